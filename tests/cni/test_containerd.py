"""A pod on a node's container runtime, as a kubelet has it made: what docs/kubernetes.md says, all but the cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import grpc
import pytest

from ..bus.conftest import RunningAgent
from ..podman.conftest import as_at_first, printed_by
from ..podman.seen import PINGS, SHOWS, lacks
from .conftest import OURS
from .containerd import Containerd
from .test_attachments import OVER_ETH0
from .test_kubernetes import CONFLIST

NETWORK = "10.244.0."


@pytest.fixture(scope="module")
def node(lasting_agent: RunningAgent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    """Whose pods' network is that of the example."""
    conflist = json.loads(CONFLIST.read_text())
    conflist["plugins"][0]["ipam"]["dataDir"] = str(tmp_path_factory.mktemp("ipam"))
    conflist["plugins"][-1] = printed_by(lasting_agent, "cni") | conflist["plugins"][-1] | {"deadline": 3}
    socket = f"{lasting_agent.directory}/gate.sock"
    made = Containerd(OURS, conflist, os.environ | {"NSPLANE_GATE": socket, "NSPLANE_GATE_POLICY": "closed"})
    yield made
    made.close()


@pytest.fixture
def agent(node: Containerd, lasting_agent: RunningAgent) -> Iterator[RunningAgent]:
    yield lasting_agent
    for sandbox in node.sandboxes:
        node.remove(sandbox)
    as_at_first(lasting_agent)


def states(agent: RunningAgent) -> dict[str, str]:
    return {entry["label"]: entry["state"] for entry in agent.client().get("microservice/") if entry["state"] == "running"}


def test_a_pods_annotation_is_its_label(node: Containerd, agent: RunningAgent) -> None:
    """containerd hands annotations on to the plugin that asks for them. The first process of the pod's first container sees all."""
    agent.client().put([OVER_ETH0 | {"gateway": f"{NETWORK}1"}])
    pod = node.run_pod("web-0", {"io.nsplane.label": "m1"})
    shown = node.run_in(pod, SHOWS)
    assert lacks(shown, "m1") == set()
    assert f"eth0\t0000090A\t{0x0100F40A:08X}" in shown
    assert "1 packets received" in node.run_in(pod, PINGS)
    assert states(agent) == {"m1": "running"}
    node.remove(pod)
    assert states(agent) == {}


def test_without_an_annotation_it_is_the_pods_name(node: Containerd, agent: RunningAgent) -> None:
    pod = node.run_pod("db-0", {})
    assert states(agent) == {"lab/db-0": "running"}
    agent.client().put([{"kind": "loopback", "name": "lo", "namespace": {"type": "microservice", "microservice": "lab/db-0"},
                         "addresses": ["10.2.2.2/32"]}])  # fmt: skip
    agent.client().wait("interface/lo")
    assert "10.2.2.2/32" in node.run_in(pod, ("ip", "address"))


def test_a_containers_environment_is_its_own_label(node: Containerd, agent: RunningAgent) -> None:
    """With nsplane-runc as the runtime of a RuntimeClass; beside the label of the pod, whose namespace it is."""
    pod = node.run_pod("two-0", {}, "nsplane")
    assert lacks(node.run_in(pod, SHOWS, MICROSERVICE_LABEL="m2"), "m2") == set()


def test_a_pod_that_waits_in_vain_is_refused_with_the_reason(node: Containerd, agent: RunningAgent) -> None:
    """A kubelet shows it at the pod, and tries again: what was there of the pod is gone."""
    waits = {"io.nsplane.label": "m1", "io.nsplane.wait": "interface/never"}
    with pytest.raises(grpc.RpcError, match="interface/never"):
        node.run_pod("web-1", waits)
    assert states(agent) == {}
    agent.client().put([{"kind": "bridge", "name": "never", "namespace": agent.namespace}])
    assert lacks(node.run_in(node.run_pod("web-1", waits), SHOWS), "m1") == set()


def test_pods_wait_for_an_agent(node: Containerd, agent: RunningAgent) -> None:
    assert agent.stop() == 0
    with pytest.raises(grpc.RpcError, match="the gate at"):
        node.run_pod("web-2", {"io.nsplane.label": "m1"})

"""Networks of Debian's CNI plugins with nsplane's at the end of the chain, and the gate of a real agent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent
from ..docker.dockerd import run
from ..podman.conftest import as_at_first, lasting_agent, printed_by
from .cnitool import DEBIANS, Attachment, Json, Network

__all__ = ["lasting_agent"]

OURS = Path(sys.executable).parent
ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
"""The capability by which containerd and CRI-O hand on a pod's annotations."""


@dataclass
class Site:
    """A host with networks and containers, all of them named namespaces that begin with `name`."""

    name: str
    agent: RunningAgent
    directory: Path
    pods: list[str]

    @property
    def host(self) -> str:
        return f"{self.name}-host"

    def pod(self, label: str | None = None, *, args: str = "", **annotations: str) -> Attachment:
        """A namespace of a container that is to be, and what its runtime says of it: a label is a pod's annotation."""
        number = len(self.pods)
        self.pods.append(f"{self.name}-pod{number}")
        run("ip", "netns", "add", self.pods[-1])
        given = annotations | ({"io.nsplane.label": label} if label is not None else {})
        kubelets = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=pod{number};K8S_POD_INFRA_CONTAINER_ID=c{number}"
        return Attachment(f"c{number}", f"/run/netns/{self.pods[-1]}", "eth0", args or kubelets, {ANNOTATIONS: given})

    def network(self, version: str = "1.0.0", *, gated: bool = True, bridged: bool = True, **settings: object) -> Network:
        """A bridge with addresses from 10.66.0.2 on, and the plugin as `nsplane gate --install cni` says, with these settings."""
        ipam = {"type": "host-local", "dataDir": f"{self.directory}/ipam", "ranges": [[{"subnet": "10.66.0.0/16"}]]}
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": ipam}
        plugins = ([bridge] if bridged else []) + ([self.plugin(**settings)] if gated else [])
        return Network({"cniVersion": version, "name": "lab", "plugins": plugins}, (OURS, DEBIANS), self.host)

    def plugin(self, **settings: object) -> Json:
        """What belongs into a chain for it."""
        return printed_by(self.agent, "cni") | settings

    def in_pod(self, attachment: Attachment, *command: str) -> str:
        """What a process prints that is the container's first one."""
        return run("nsenter", f"--net={attachment.netns}", "busybox", *command, check=False)


@pytest.fixture(scope="session", autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: CNI plugins and an agent need network namespaces")


@pytest.fixture
def site(lasting_agent: RunningAgent, tmp_path: Path) -> Iterator[Site]:
    """A host without containers, and an agent that knows the wiring of all labels."""
    made = Site(f"{lasting_agent.name}-cni", lasting_agent, tmp_path, [])
    run("ip", "netns", "add", made.host)
    yield made
    for name in (made.host, *made.pods):
        if Path("/run/netns", name).exists():
            run("ip", "netns", "delete", name)
    as_at_first(lasting_agent)

"""What examples/kubernetes has is what Kubernetes takes, and does on a node what docs/kubernetes.md says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ..bus.conftest import start_agent
from ..docker.dockerd import run
from ..podman.conftest import gate_listens, start_again
from ..podman.seen import SHOWS, lacks
from .cnitool import DEBIANS, Network
from .conftest import OURS, Site

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples/kubernetes"
CONFLIST = EXAMPLES / "10-lab.conflist"


def manifests(name: str) -> list[dict[str, Any]]:
    return [*yaml.safe_load_all((EXAMPLES / name).read_text())]


def agents_pod() -> dict[str, Any]:
    (found,) = [one for one in manifests("daemonset.yaml") if one["kind"] == "DaemonSet"]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def chain(site: Site, conflist: Path) -> Network:
    """The network of a conflist, with its addresses kept in the test's folder."""
    found = json.loads(conflist.read_text())
    found["plugins"][0]["ipam"]["dataDir"] = f"{site.directory}/ipam"
    found["plugins"][-1]["gate"] = f"{site.agent.directory}/gate.sock"
    return Network(found, (OURS, DEBIANS), site.host)


@pytest.mark.parametrize("name", [path.name for path in EXAMPLES.glob("*.yaml")])
def test_kubernetes_takes_it(name: str) -> None:
    for one in manifests(name):
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_every_volume_that_is_mounted_is_there() -> None:
    pod = agents_pod()
    volumes = {one["name"] for one in pod["volumes"]}
    mounted = {mount["name"] for one in (*pod["initContainers"], *pod["containers"]) for mount in one["volumeMounts"]}
    assert mounted == volumes


def test_the_pod_of_the_example_is_complete_behind_the_chain_of_the_example(site: Site) -> None:
    """Its runtime hands on the annotations of its template, as containerd and CRI-O do."""
    (web,) = [one for one in manifests("pods.yaml") if one["kind"] == "Deployment"]
    annotations = web["spec"]["template"]["metadata"]["annotations"]
    items = yaml.safe_load("".join(re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/kubernetes.md").read_text(), re.M | re.S)))
    place = {"type": "name", "name": site.agent.name}
    for item in items:
        if item.get("namespace", {}).get("type") == "name":
            item["namespace"] = place
    site.agent.client().put(items)
    pod = site.pod(None, **annotations)
    network = chain(site, CONFLIST)
    network.add(pod)
    shown = site.in_pod(pod, "ip", "route")
    for wanted in ("10.9.0.0/24 dev net1", "10.10.0.0/16 via 10.9.0.1 dev net1", "10.11.0.0/16 via 10.244.0.1 dev eth0"):
        assert wanted in shown
    network.check(pod)
    network.delete(pod)


def test_the_init_container_installs_the_plugin_and_leaves_the_nodes_chain(site: Site, tmp_path: Path) -> None:
    """Its own commands, where the paths of the node are the test's. Twice: as a pod that is made anew does."""
    (install,) = agents_pod()["initContainers"]
    shell, flags, script = install["command"]
    for mount in install["volumeMounts"]:
        inside = tmp_path / mount["name"]
        inside.mkdir()
        script = script.replace(mount["mountPath"], str(inside))
    of_the_node = json.loads(CONFLIST.read_text())
    ours = of_the_node["plugins"].pop()
    file = tmp_path / "networks/10-node.conflist"
    file.write_text(json.dumps(of_the_node))
    (tmp_path / "networks/20-other.conflist").write_text(json.dumps(of_the_node))
    environment = os.environ | {"PATH": f"{OURS}:{os.environ['PATH']}"}
    for _ in range(2):
        subprocess.run([shell, flags, script], check=True, env=environment, timeout=60)
        written = json.loads(file.read_text())
        assert written["plugins"][:-1] == of_the_node["plugins"]
        assert written["plugins"][-1] | {"deadline": 10} == ours
    assert json.loads((tmp_path / "networks/20-other.conflist").read_text()) == of_the_node
    assert run(str(tmp_path / "plugins/nsplane-hook"), check=False) == ""
    network = chain(site, file)
    network.add(pod := site.pod("m1"))
    assert lacks(site.in_pod(pod, *SHOWS), "m1") == set()
    network.delete(pod)


def test_the_agent_takes_its_arguments_and_answers_its_probe(site: Site, tmp_path: Path) -> None:
    assert site.agent.stop() == 0
    (container,) = agents_pod()["containers"]
    assert container["command"][:2] == ["nsplane", "agent"]
    site.agent.process = start_agent(site.agent.directory, site.agent.name, *container["command"][2:]).process
    gate_listens(site.agent)
    assert container["readinessProbe"]["exec"]["command"] == ["nsplane", "info"]
    assert site.agent.nsplane("info").returncode == 0


def test_an_agent_that_is_started_anew_knows_the_pods_that_run(site: Site, tmp_path: Path) -> None:
    """By its journal: no engine lists them, and the gate ends with it."""
    agent = site.agent
    assert agent.stop() == 0
    journal = {"NSPLANE_STATE_DIR": str(tmp_path / "state")}
    start_again(agent, **journal)
    client = agent.client()
    network = site.network(policy="closed")
    network.add(pod := site.pod("m1"))
    agent.kill()
    start_again(agent, **journal)
    (known,) = [entry for entry in client.get("microservice/") if entry["label"] == "m1"]
    assert (known["state"], known["container"]) == ("running", pod.container)
    network.check(pod)
    network.delete(pod)
    assert not [entry for entry in client.get("microservice/") if entry["label"] == "m1"]
    assert agent.stop() == 0  # the next test's keeps nothing

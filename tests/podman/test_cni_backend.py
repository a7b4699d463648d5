"""Podman's CNI backend with the plugin at the end of a conflist: no hook, and the label is the container's name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent, eventually
from ..cni.conftest import OURS
from ..docker.dockerd import PATIENCE
from ..engine.wishes import by_label, route
from .conftest import Install, printed_by
from .engine import Podman
from .seen import PINGS, SHOWS, lacks, routes

NETWORK = "lab"
GATEWAY = "10.67.0.1"


@pytest.fixture
def network(podman: Podman, lasting_agent: RunningAgent, tmp_path: Path) -> Iterator[str]:
    """A network of podman's: a bridge, and the plugin as `nsplane gate --install cni` says."""
    bridge = {
        "type": "bridge",
        "bridge": "lab0",
        "isGateway": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(tmp_path),
            "ranges": [[{"subnet": "10.67.0.0/16"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ours = printed_by(lasting_agent, "cni") | {"label": "{pod}", "policy": "closed"}
    file = podman.networks / "lab.conflist"
    file.write_text(json.dumps({"cniVersion": "0.4.0", "name": NETWORK, "plugins": [bridge, ours]}))
    plugin = podman.plugins / "nsplane-hook"
    plugin.symlink_to(OURS / "nsplane-hook")
    yield f"--network={NETWORK}"
    podman.remove_all()
    plugin.unlink()
    file.unlink()


def test_the_first_process_sees_all_of_it(podman: Podman, gated_agent: RunningAgent, network: str) -> None:
    client = gated_agent.client()
    client.put([route("eth0", "10.9.0.0/16", by_label("m1"), gateway=GATEWAY)])
    done = podman.run(None, "--name=m1", network, command=SHOWS)
    assert (done.returncode, lacks(done.stdout, "m1")) == (0, set()), done.stderr
    assert {("eth0", "0.0.0.0", GATEWAY), ("eth0", "10.9.0.0", GATEWAY)} <= routes(done.stdout)
    eventually(lambda: [entry["state"] for entry in client.get("microservice/m1")] == ["awaited"], PATIENCE)
    again = podman.asked("start", "--attach", "m1")
    assert (again.returncode, lacks(again.stdout, "m1")) == (0, set()), again.stderr
    assert podman.run(None, "--name=m2", network, command=PINGS).returncode == 0


def test_a_refusal_is_podmans_message(podman: Podman, gated_agent: RunningAgent, network: str) -> None:
    assert gated_agent.stop() == 0
    done = podman.run(None, "--name=m1", network, command=SHOWS)
    assert done.returncode == 126
    assert "the gate at" in done.stderr
    assert podman.run(None, "--name=none", command=("true",)).returncode == 0


def test_hook_and_plugin_may_tell_of_one_start(podman: Podman, gated_agent: RunningAgent, install: Install, network: str) -> None:
    """By its namespace's path and by its process: nothing is made twice, and nothing goes before both have ended."""
    install(gated_agent)
    client = gated_agent.client()
    shows = ("sh", "-c", f"{' '.join(SHOWS)}; sleep 600")
    done = podman.run("m1", "--name=m1", "--detach", network, command=shows)
    assert done.returncode == 0, done.stderr
    eventually(lambda: "HW address" in podman.podman("logs", "m1"), PATIENCE)
    assert lacks(podman.podman("logs", "m1"), "m1") == set()
    assert {entry["container"] for entry in client.get("microservice/m1")} == {done.stdout.strip()}
    assert "1 packets received" in podman.podman("exec", "m1", *PINGS)
    podman.podman("rm", "--force", "--time=0", "m1")
    eventually(lambda: [entry["state"] for entry in client.get("microservice/m1")] == ["awaited"], PATIENCE)

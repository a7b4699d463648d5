"""Pods, restarts, commands in running containers and removals, with the hook in podman's folder."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually
from ..docker.dockerd import IMAGE, PATIENCE
from ..docker.truth import GATEWAY
from ..engine.conftest import ip_in
from ..engine.wishes import by_label
from .conftest import Install, gate_of
from .engine import NETWORK, Podman
from .seen import SHOWS, lacks

EXAMPLES = Path(__file__).parent.parent.parent / "examples/kubernetes"


def shown(podman: Podman, container: str, times: int) -> list[str]:
    """What a container has printed in each of its starts, of which there are so many by now."""
    eventually(lambda: podman.podman("logs", container).count("Main:") == times, PATIENCE)
    return podman.podman("logs", container).split("Main:")[1:]


def state(client: Client, label: str) -> str:
    return str((client.entry(f"microservice/{label}") or {})["state"])


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_every_start_of_a_container_sees_all_of_it(
    runtime: str, podman: Podman, gated_agent: RunningAgent, install: Install
) -> None:
    """Also those that podman's restart policy makes, when nobody has called podman."""
    install(gated_agent)
    fails = ("sh", "-c", f"{' '.join(SHOWS)}; exit 3")
    made = podman.run("m1", "--detach", "--restart=on-failure:2", command=fails, runtime=runtime)
    assert made.returncode == 0, made.stderr
    assert [lacks(text, "m1") for text in shown(podman, made.stdout.strip(), 3)] == [set()] * 3
    stays = ("sh", "-c", f"{' '.join(SHOWS)}; sleep 600")
    made = podman.run("m2", "--detach", command=stays, runtime=runtime)
    podman.podman("restart", "--time=0", made.stdout.strip())
    assert [lacks(text, "m2") for text in shown(podman, made.stdout.strip(), 2)] == [set()] * 2


def test_a_container_of_a_pod_has_it_in_the_pods_namespace(podman: Podman, gated_agent: RunningAgent, install: Install) -> None:
    """The infra container has no label, and is not held; each of the others may have one."""
    install(gated_agent)
    podman.podman("pod", "create", "--name=pod", f"--cgroup-parent=/{podman.name}", f"--network={NETWORK}")
    first = podman.run("m1", "--pod=pod", command=SHOWS)
    assert (first.returncode, lacks(first.stdout, "m1")) == (0, set()), first.stderr
    # One that lives on: what is there for its label stays there beside the next one's.
    podman.started("m1", "--pod=pod")
    gated_agent.client().put([{"kind": "loopback", "name": "lo2", "namespace": by_label("m2"), "addresses": ["10.2.2.2/32"]}])
    second = podman.run("m2", "--pod=pod", command=("ip", "address"))
    assert second.returncode == 0, second.stderr
    assert "10.2.2.2/32" in second.stdout
    assert "10.77.1.1/16" in second.stdout


def test_the_pods_of_the_kubernetes_example(podman: Podman, gated_agent: RunningAgent, install: Install) -> None:
    """The one that has its label in its environment, from the pod's label. (podman gives annotations to no container.)"""
    install(gated_agent)
    gated_agent.client().put([{"kind": "loopback", "name": "lo", "namespace": by_label("db"), "addresses": ["10.2.2.2/32"]}])
    podman.podman("tag", IMAGE, "docker.io/library/busybox")
    podman.podman("kube", "play", f"--network={NETWORK}", str(EXAMPLES / "pods.yaml"))
    pid = podman.inspect("db-db")["State"]["Pid"]
    assert "10.2.2.2" in [address["local"] for address in ip_in(f"/proc/{pid}/ns/net", "address", "show", "lo")[0]["addr_info"]]
    (one,) = [entry for entry in gated_agent.client().get("microservice/") if entry["label"] == "db"]
    assert (one["pid"], one["source"]) == (pid, "gate")


def test_exec_waits_for_nobody(podman: Podman, gated_agent: RunningAgent, install: Install) -> None:
    install(gated_agent, policy="closed")
    started = podman.started("m1")
    gate = gate_of(gated_agent)
    os.kill(gate, signal.SIGSTOP)
    assert "1 packets received" in podman.podman("exec", started, "ping", "-c", "1", "-W", "20", GATEWAY)
    os.kill(gate, signal.SIGCONT)


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_one_that_is_removed_while_it_is_held(runtime: str, podman: Podman, gated_agent: RunningAgent, install: Install) -> None:
    """podman waits with it until the start is done, and it was held no longer than it may be."""
    install(gated_agent, deadline="2")
    run = [
        *podman.command("run", "--name=held", "--env=MICROSERVICE_LABEL=m1", "--env=NSPLANE_WAIT=interface/never", runtime=runtime)
    ]
    run += [f"--cgroup-parent=/{podman.name}", "--network=none", IMAGE, "sleep", "600"]
    with subprocess.Popen(run, env=os.environ | podman.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        client = gated_agent.client()
        eventually(lambda: state(client, "m1") == "running", PATIENCE)
        podman.podman("rm", "--force", "--time=0", "held")
    assert podman.containers() == []
    eventually(lambda: state(client, "m1") == "awaited", PATIENCE)
    done = podman.run("m1", command=SHOWS, runtime=runtime)
    assert (done.returncode, lacks(done.stdout, "m1")) == (0, set()), done.stderr

"""Every way in which docker starts a container goes by the gate, in whatever namespaces its process is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..bus.conftest import RunningAgent, eventually
from ..engine.wishes import bridge, by_label
from ..podman.seen import PINGS, lacks
from .conftest import follows
from .dockerd import PATIENCE, Dockerd, run
from .gated import SHOWS_AND_SLEEPS, at_once, first, gated, shown
from .truth import LABELS

SHOWS_AND_FAILS = (*SHOWS_AND_SLEEPS[:2], SHOWS_AND_SLEEPS[2].replace("exec sleep 600", "exit 3"))


def test_restarts_of_every_sort(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    client = gated_agent.client()
    # By a policy, five starts in all.
    failing = dockerd.run("m1", "--runtime=closed", "--restart=on-failure:4", command=SHOWS_AND_FAILS)
    # By hand, and as docker itself ends and begins.
    other = dockerd.run("m2", "--runtime=closed", "--restart=always", command=SHOWS_AND_SLEEPS)
    unlabelled = dockerd.run(None, "--runtime=closed", "--restart=always", command=SHOWS_AND_SLEEPS)
    shown(other)
    dockerd.docker("exec", other.id, *PINGS)
    dockerd.docker("restart", other.id)
    shown(other, 2)
    dockerd.docker("kill", other.id)
    dockerd.docker("start", other.id)
    shown(other, 3)
    seen = shown(failing, 5)
    assert len(seen) == 5
    assert [lacks(one, "m1") for one in seen] == [set()] * 5
    eventually(lambda: not failing.state["Running"], PATIENCE)
    shown(unlabelled)
    dockerd.stop()
    dockerd.start()
    assert [lacks(one, "m2") for one in shown(other, 4)] == [set()] * 4
    assert len(shown(unlabelled, 2)) == 2
    eventually(lambda: follows(client), PATIENCE)
    dockerd.docker("exec", other.id, *PINGS)


def test_namespaces_that_are_shared(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """Another container's, and the engine's own."""
    links = {"one": f"{gated_agent.name}-1", "two": f"{gated_agent.name}-2"}
    gated_agent.client().put([bridge(name, by_label(label), addresses=["10.71.0.1/32"]) for label, name in links.items()])
    owner = dockerd.run("m1", "--runtime=closed")
    joined = first(dockerd, "one", f"--network=container:{owner.id}", runtime="closed", command=("ls", "/sys/class/net"))
    assert {"lo", "eth1", links["one"]} == set(joined.stdout.split()), joined.stderr
    here = first(dockerd, "two", "--network=host", runtime="closed", command=("ls", "/sys/class/net"))
    assert links["two"] in here.stdout.split(), here.stderr


def test_a_label_of_dockers_own(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """It stands in nothing that a runtime is given: the gate asks docker."""
    done = first(dockerd, None, "--label=nsplane.microservice=m1", runtime="closed")
    assert lacks(done.stdout, "m1") == set(), done.stderr
    done = first(dockerd, None, "--label=other=m1", runtime="closed")
    assert (done.returncode, len(lacks(done.stdout, "m1"))) == (0, 4), done.stderr


@contextmanager
def subordinate_ids(folder: Path) -> Iterator[None]:
    """The user nobody gets some, for as long."""
    files = "subuid", "subgid"
    for name in files:
        (folder / name).write_text("nobody:200000:65536\n")
        run("mount", "--bind", str(folder / name), f"/etc/{name}")
    try:
        yield
    finally:
        for name in files:
            run("umount", f"/etc/{name}")


def test_processes_of_other_users(directory: Path, tmp_path: Path) -> None:
    """An engine that gives each container a user namespace."""
    with subordinate_ids(tmp_path):
        dockerd = Dockerd(settings={"userns-remap": "nobody:nogroup"})
        dockerd.directory.chmod(0o711)
        dockerd.start()
        with gated(dockerd, directory):
            assert at_once(dockerd, LABELS[:2], runtime="closed") == {label: set() for label in LABELS[:2]}
            done = first(dockerd, "m1", "--env=NSPLANE_WAIT=interface/late", runtime="closed-hasty")
            assert "nsplane: m1: not all is applied: interface/late is " in done.stderr
        dockerd.close()

"""Which containers have which label, where the label comes from, and which of several stands behind one."""

from __future__ import annotations

import subprocess

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually
from ..engine.wishes import bridge, by_label, route
from .dockerd import PATIENCE, Container, Dockerd
from .wiring import index, names, next_event, settled, until

FOUND = ("interface/b", "route/b/10.9.0.0/16")


def want(client: Client, label: str, name: str = "b") -> None:
    """A bridge with an address and a route in the microservice."""
    client.put([bridge(name, by_label(label), addresses=["10.7.0.1/24"]), route(name, "10.9.0.0/16", gateway="10.7.0.9")])


def behind(client: Client, label: str) -> str | None:
    """The container that stands behind the label."""
    entry = client.entry(f"microservice/{label}")
    assert entry is not None
    container: str | None = entry["container"]
    return container


def assert_moved(client: Client, there: Container, *elsewhere: Container) -> None:
    """What want() asks for comes to this container, and is in no other."""
    eventually(lambda: names(there) == {"lo", "b"} and all(names(one) == {"lo"} for one in elsewhere), PATIENCE)
    settled(client, FOUND)
    assert [one["dst"] for one in there.ip("route")] == ["10.7.0.0/24", "10.9.0.0/16"]
    for one in elsewhere:
        assert one.ip("route") == []
    assert behind(client, "web") == there.id


def test_the_newest_of_two_containers_wins_and_the_older_takes_over(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    want(client, "web")
    with client.subscribe("microservice/") as events:
        events.ready()
        older = dockerd.run("web", name="older")
        assert_moved(client, older)
        newer = dockerd.run("web", name="newer")
        assert_moved(client, newer, older)
        dockerd.docker("kill", "newer")
        assert_moved(client, older)
        dockerd.docker("start", "newer")
        assert_moved(client, newer, older)
        dockerd.docker("kill", "newer")
        assert_moved(client, older)
        dockerd.docker("kill", "older")
        settled(client, FOUND, "pending")
        heard = [next_event(events) for _ in range(8)]
    assert {event.topic for event in heard} == {"microservice/web"}
    assert [(event.body["name"], event.body["event"], event.body["current"]) for event in heard] == [
        ("older", "started", True),
        ("newer", "started", True),
        ("newer", "stopped", False),
        ("older", "took-over", True),
        ("newer", "started", True),
        ("newer", "stopped", False),
        ("older", "took-over", True),
        ("older", "stopped", False),
    ]
    ids = {"older": older.id, "newer": newer.id}
    assert all(event.body["container"] == ids[event.body["name"]] for event in heard)
    assert behind(client, "web") is None


def test_an_older_container_that_goes_moves_nothing(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    want(client, "web")
    older = dockerd.run("web")
    newer = dockerd.run("web")
    assert_moved(client, newer, older)
    link = index(newer, "b")
    with client.subscribe("microservice/") as events:
        events.ready()
        dockerd.docker("rm", "--force", older.id)
        event = next_event(events)
    assert (event.body["event"], event.body["container"], event.body["current"]) == ("stopped", older.id, False)
    assert_moved(client, newer)
    assert index(newer, "b") == link


def test_an_older_container_that_is_restarted_is_the_newest(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    want(client, "web")
    first = dockerd.run("web")
    second = dockerd.run("web")
    assert_moved(client, second, first)
    dockerd.docker("restart", "--time", "1", first.id)
    assert_moved(client, first, second)
    dockerd.docker("stop", first.id)
    assert_moved(client, second)


def test_watch_says_which_container_stands_behind_a_label(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    watch = docker_agent.start("watch", "microservice/", "--count", "4", stdout=subprocess.PIPE)
    try:
        eventually(lambda: client.info()["bus"]["publisher"]["subscriptions"] > 0)
        older, newer = dockerd.run("web", name="older"), dockerd.run("web", name="newer")
        dockerd.docker("kill", "newer")
        lines = watch.communicate(timeout=PATIENCE)[0].splitlines()
    finally:
        watch.kill()
    assert watch.wait() == 0
    for line, event, container in zip(
        lines, ("started", "started", "stopped", "took-over"), (older, newer, newer, older), strict=True
    ):
        assert line.split()[1] == "microservice/web"
        assert event in line
        assert container.name in line or container.id[:12] in line


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (("--env", "MICROSERVICE_LABEL=by-env"), "by-env"),
        (("--label", "nsplane.microservice=by-label"), "by-label"),
        (("--env", "MICROSERVICE_LABEL=by-env", "--label", "nsplane.microservice=by-label"), "by-env"),
    ],
    ids=["environment", "container label", "the environment wins"],
)
def test_the_label_is_the_containers_environment_or_label(
    options: tuple[str, ...], label: str, dockerd: Dockerd, docker_agent: RunningAgent
) -> None:
    client = docker_agent.client()
    want(client, label)
    container = dockerd.run(None, *options)
    settled(client, FOUND)
    assert names(container) == {"lo", "b"}
    assert [entry["label"] for entry in client.get("microservice/")] == [label]
    assert behind(client, label) == container.id


@pytest.mark.parametrize("label", ["a/b", "web 1", "ümlaut", "a@b;c:d%25=e", "x" * 255, "'\"{}$(ls)\\"])
def test_a_label_may_have_any_characters_but_control_characters(label: str, dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    want(client, label)
    container = dockerd.run(label)
    settled(client, FOUND)
    assert names(container) == {"lo", "b"}
    assert behind(client, label) == container.id
    shown = docker_agent.nsplane("get", f"microservice/{label}")
    assert label in shown.stdout
    dockerd.docker("kill", container.id)
    settled(client, FOUND, "pending")


def test_a_container_without_a_label_is_of_no_interest(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    with client.subscribe("microservice/") as events:
        events.ready()
        dockerd.run(None, "--env", "OTHER=web", "--label", "other=web", name="of-no-interest")
        dockerd.docker("restart", "--time", "1", "of-no-interest")
        dockerd.docker("rename", "of-no-interest", "as-little")
        labelled = dockerd.run("web")
        assert next_event(events).body["container"] == labelled.id
    assert [entry["label"] for entry in client.get("microservice/")] == ["web"]
    assert "of-no-interest" not in docker_agent.log


def test_a_label_that_cannot_be_is_reported_and_stops_nothing(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    want(client, "web")
    bad = {"too-long": "x" * 256, "much-too-long": "ü" * 150, "two-lines": "a\nb", "a-tab": "a\tb", "a-c1-control": "a\x85b"}
    with client.subscribe("microservice/") as events:
        events.ready()
        for name, label in bad.items():
            dockerd.run(label, name=name)
            dockerd.run(None, "--label", f"nsplane.microservice={label}", name=f"{name}-too")
        container = dockerd.run("web")
        assert next_event(events).body["container"] == container.id
    settled(client, FOUND)
    assert [entry["label"] for entry in client.get("microservice/")] == ["web"]
    for name in bad:
        lines = [line for line in docker_agent.log.splitlines() if name in line]
        assert any(f"{name}-too" in line for line in lines)
        assert any(f"{name}-too" not in line for line in lines), f"{name} is not reported"
    for name in bad:
        dockerd.docker("restart", "--time", "0", name)
        dockerd.docker("rm", "--force", name, f"{name}-too")
    dockerd.docker("restart", "--time", "1", container.id)
    eventually(lambda: names(container) == {"lo", "b"}, PATIENCE)
    settled(client, FOUND)


def test_a_label_that_cannot_be_by_the_environment_is_not_taken_from_the_container_label(
    dockerd: Dockerd, docker_agent: RunningAgent
) -> None:
    client = docker_agent.client()
    with client.subscribe("microservice/") as events:
        events.ready()
        dockerd.run("a\nb", "--label", "nsplane.microservice=web")
        later = dockerd.run("later")
        assert until(events, event="started").body["container"] == later.id
    assert [entry["label"] for entry in client.get("microservice/")] == ["later"]

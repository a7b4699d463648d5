"""`nsplane get microservices` lists what runs, since when and with how many items, and what is waited for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from ..bus.conftest import RunningAgent, eventually
from ..engine.wishes import arp, bridge, by_label, route
from .dockerd import PATIENCE, Dockerd
from .wiring import settled, states


@pytest.fixture
def listed(dockerd: Dockerd, docker_agent: RunningAgent) -> dict[str, Any]:
    """Entries by label: `web` runs, and has one item that waits for another; `idle` runs; `db` is waited for."""
    client = docker_agent.client()
    client.put(
        [
            bridge("web-br", by_label("web"), addresses=["10.1.0.1/24"]),
            route("web-br", "10.2.0.0/16", gateway="10.1.0.2"),
            arp("web-br", "10.1.0.2"),
            route("eth7", "10.3.0.0/16", by_label("web")),
            bridge("db-br", by_label("db"), addresses=["10.1.0.1/24"]),
            route("db-br", "10.2.0.0/16", gateway="10.1.0.2"),
            bridge("elsewhere", docker_agent.namespace),
        ]
    )
    dockerd.run("web", name="web-1")
    dockerd.run("idle", name="idle-1")
    settled(client, ["interface/web-br", "route/web-br/10.2.0.0/16", "arp/web-br/10.1.0.2"])
    assert states(client) == {"configured": 4, "pending": 3}
    shown = docker_agent.nsplane("get", "microservices", "--json")
    entries: list[dict[str, Any]] = msgspec.json.decode(shown.stdout)
    assert [entry["label"] for entry in entries] == ["db", "idle", "web"]
    return {entry["label"]: entry for entry in entries}


def test_as_json(listed: dict[str, Any], dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    for label, items in (("web", {"configured": 3, "waiting": 1}), ("idle", {"configured": 0, "waiting": 0})):
        inspected = msgspec.json.decode(dockerd.docker("inspect", f"{label}-1"))[0]
        started_at = listed[label].pop("started_at")
        assert abs(started_at - datetime.fromisoformat(inspected["State"]["StartedAt"]).timestamp()) < 0.001
        assert listed[label] == {
            "key": f"microservice/{label}",
            "state": "running",
            "label": label,
            "pid": inspected["State"]["Pid"],
            "container": inspected["Id"],
            "name": f"{label}-1",
            "source": "docker",
            "netns": None,
            "current": True,
            "items": items,
        }
    assert listed["db"] == {
        "key": "microservice/db",
        "state": "awaited",
        "label": "db",
        "items": {"configured": 0, "waiting": 2},
        "current": False,
        **dict.fromkeys(("pid", "container", "name", "source", "netns", "started_at")),
    }


def test_as_a_table(listed: dict[str, Any], docker_agent: RunningAgent) -> None:
    shown = docker_agent.nsplane("get", "microservices")
    heading, *lines = shown.stdout.splitlines()
    assert heading.split()[0] == "LABEL"
    rows = {line.split()[0]: line for line in lines}
    assert sorted(rows) == ["db", "idle", "web"]
    for label in ("web", "idle"):
        fields = rows[label].split()
        assert {str(listed[label]["pid"]), f"({listed[label]['container'][:12]})", f"{label}-1"} <= set(fields)
        assert "s" in fields, "how long it runs"
    assert "awaited" in rows["db"]
    assert heading.split()[-2:] == ["CONFIGURED", "WAITING"]
    assert [rows[label].split()[-2:] for label in ("db", "idle", "web")] == [["0", "2"], ["0", "0"], ["3", "1"]]


def test_what_is_waited_for_no_longer_is_not_listed(listed: dict[str, Any], dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    assert listed["db"]["items"] == {"configured": 0, "waiting": 2}
    client.delete(["interface/db-br", "route/db-br/10.2.0.0/16"])
    assert [entry["label"] for entry in client.get("microservice/")] == ["idle", "web"]
    dockerd.docker("kill", "web-1", "idle-1")
    settled(client, ["interface/web-br"], "pending")
    eventually(lambda: [entry["state"] for entry in client.get("microservice/")] == ["awaited"], PATIENCE)
    assert [(entry["label"], entry["items"]) for entry in client.get("microservice/")] == [("web", {"configured": 0, "waiting": 4})]

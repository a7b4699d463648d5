"""A network card of the emulated machine, named by its PCI address, is moved and given back, by the kernel too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine

from ..engine.conftest import Lab, ip, life, run, until
from ..engine.wishes import by_label, by_name

PCI = "0000:00:1e.0"
KEY = "interface/card"


@pytest.fixture
def card() -> Iterator[str]:
    """The card's name; its driver is loaded only now."""
    run("modprobe e1000")
    (name,) = os.listdir(f"/sys/bus/pci/devices/{PCI}/net")
    run(f"ip link set {name} mtu 1400 up")
    run(f"ip addr add 10.7.0.1/24 dev {name}")
    yield name
    run("modprobe -r e1000")


def state(name: str) -> dict[str, Any] | None:
    found = [link for link in ip("addr") if link["ifname"] == name]
    return {**{field: found[0][field] for field in ("mtu", "address")}, "up": "UP" in found[0]["flags"]} if found else None


ITEM = {"kind": "host_device", "name": "card", "pci": PCI, "host_name": "eth0", "mtu": 1300, "addresses": ["10.9.0.1/24"]}


def test_a_card_is_named_by_its_pci_address(card: str, engine: Engine, lab: Lab) -> None:
    before = state(card)
    assert engine.put([ITEM | {"namespace": by_name(lab.name("red"))}], timeout=10)["counts"] == {"configured": 1}
    assert state(card) is None
    (link,) = ip("link", "show", "dev", "eth0", netns=lab.name("red"))
    assert (link["mtu"], "UP" in link["flags"]) == (1300, True)
    engine.delete([KEY], timeout=10)
    assert state(card) == before


def test_a_card_comes_late_and_goes(engine: Engine, lab: Lab) -> None:
    engine.put([ITEM | {"namespace": by_name(lab.name("red"))}], timeout=10)
    assert (engine.get(KEY) or {})["missing"] == [f"link/with pci {PCI}"]
    run("modprobe e1000")
    until(engine, lambda: (engine.get(KEY) or {})["state"] == "configured")
    run("modprobe -r e1000")
    until(engine, lambda: (engine.get(KEY) or {})["missing"] == [f"link/with pci {PCI}"])


@pytest.mark.parametrize("is_wanted", [False, True])
def test_its_namespace_ends_while_nothing_runs(card: str, lab: Lab, tmp_path: Path, is_wanted: bool) -> None:
    """The kernel gives a card to the first namespace, under the name that it has: there it becomes what it was."""
    before, process = state(card), lab.process()
    with life(lab, tmp_path) as engine:
        engine.microservice("started", "web", pid=process.pid)
        engine.put([ITEM | {"namespace": by_label("web")}], timeout=10)
        assert state(card) is None
    process.end()
    again = lab.process()
    with life(lab, tmp_path) as engine:
        if is_wanted:
            engine.microservice("started", "web", pid=again.pid)
            until(engine, lambda: (engine.get(KEY) or {})["state"] == "configured")
            assert {link["ifname"] for link in again.ip("link")} == {"lo", "eth0"}
            engine.delete([KEY], timeout=10)
        until(engine, lambda: state(card) == before)
        (link,) = ip("link", "show", "dev", card)
        assert "ifalias" not in link
        engine.replace([], timeout=10)
    assert "10.7.0.1" in run(f"ip addr show dev {card}")

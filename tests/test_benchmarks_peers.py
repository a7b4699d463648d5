"""Every peer of the benchmarks puts the very items that the publisher does, and deletes them where it is measured at it."""

import contextlib
import ipaddress
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from benchmarks.bulk import publisher
from benchmarks.bulk.floor import Floor
from benchmarks.bulk.measure import Bulk
from benchmarks.bulk.peers import PEERS, frr
from benchmarks.bulk.peers.peer import Peer
from benchmarks.network import fresh_namespace

ITEMS = 600
"""More than 256: two bytes of the number."""


def shown(namespace: str, *command: str) -> list[dict[str, Any]]:
    said = subprocess.run(["ip", "-json", "-n", namespace, *command], stdout=subprocess.PIPE, check=True).stdout
    objects: list[dict[str, Any]] = json.loads(said)
    return objects


def found(kind: str, namespace: str, protocol: int) -> dict[str, str | None]:
    """The destinations that the kernel has, with their MACs."""
    if kind == "arps":
        return {one["dst"]: one["lladdr"] for one in shown(namespace, "-4", "neigh", "show", "nud", "permanent")}
    family = "-6" if kind == "routes6" else "-4"
    return {one["dst"]: None for one in shown(namespace, family, "route", "show", "proto", str(protocol))}


def wanted(kind: str) -> dict[str, str | None]:
    items = [publisher.SIMPLE[kind](number) for number in range(ITEMS)]
    if kind == "arps":
        return {item["ip"]: item["mac"] for item in items}
    return {str(ipaddress.ip_interface(item["dst"]).ip): None for item in items}


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
@pytest.mark.parametrize(
    ("peer", "kind"), [(peer, kind) for peer in PEERS for kind in peer.kinds], ids=lambda of: of if isinstance(of, str) else of.name
)
def test_a_peer_puts_what_the_publisher_puts(peer: Peer, kind: str, tmp_path: Path) -> None:
    if missing := peer.missing():
        pytest.skip(f"{peer.name} is not installed ({missing})")
    name = f"nsp-peer-{os.getpid()}"
    with (
        fresh_namespace(name, "bench") as netns,
        contextlib.closing(peer.work(kind, netns, "bench", ITEMS, tmp_path)) as work,
    ):
        assert next(work) > 0
        assert found(kind, name, peer.kinds[kind]) == wanted(kind)
        for seconds in work:
            assert seconds > 0
            assert found(kind, name, peer.kinds[kind]) == {}


def test_a_peer_that_is_not_installed_is_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    floor = Floor(tmp_path)
    without = len(list(Bulk("routes", 1, floor).sides(512, peers=False)))
    monkeypatch.setattr(shutil, "which", lambda program: None if program in ("bird", "go") else program)
    monkeypatch.setattr(frr, "PROGRAMS", tmp_path)
    assert len(list(Bulk("routes", 1, floor).sides(512, peers=True))) == without + 2, "iproute2 and pyroute2"
    assert capsys.readouterr().err == (
        "routes: Go netlink is left out, it is not installed (golang-go, golang-github-vishvananda-netlink-dev)\n"
        "routes: BIRD is left out, it is not installed (bird2)\n"
        "routes: FRR is left out, it is not installed (make frr builds it)\n"
    )
    without = len(list(Bulk("arps", 1, floor).sides(512, peers=False)))
    assert len(list(Bulk("arps", 1, floor).sides(512, peers=True))) == without + 2
    said = capsys.readouterr().err
    assert "BIRD" not in said, "it has no neighbours to put, installed or not"
    assert "FRR" not in said

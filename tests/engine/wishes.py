"""Items as the tests ask for them, and the keys that they have."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

Item = dict[str, Any]


def by_name(name: str) -> Item:
    return {"type": "name", "name": name}


def by_pid(pid: int) -> Item:
    return {"type": "pid", "pid": pid}


def by_file(path: str) -> Item:
    return {"type": "file", "path": path}


def by_label(label: str) -> Item:
    return {"type": "microservice", "microservice": label}


def reference(namespace: Item) -> str:
    """A namespace as it stands in the keys of routes and ARP entries."""
    kind = str(namespace["type"])
    field = "path" if kind == "file" else kind
    return f"{kind}:{quote(str(namespace[field]), safe='')}"


def _given(fields: Item) -> Item:
    return {name: value for name, value in fields.items() if value is not None}


def bridge(name: str, namespace: Item | None = None, **fields: Any) -> Item:
    return _given({"kind": "bridge", "name": name, "namespace": namespace, **fields})


def existing(name: str, namespace: Item | None = None, **fields: Any) -> Item:
    return _given({"kind": "existing", "name": name, "namespace": namespace, **fields})


def veth(name: str, peer: str, namespace: Item | None = None, **fields: Any) -> Item:
    return _given({"kind": "veth", "name": name, "peer": peer, "namespace": namespace, **fields})


def route(interface: str | None, dst: str, namespace: Item | None = None, **fields: Any) -> Item:
    return _given({"kind": "route", "interface": interface, "dst": dst, "namespace": namespace, **fields})


def arp(interface: str, ip: str, mac: str = "02:00:00:00:00:09", namespace: Item | None = None, **fields: Any) -> Item:
    return _given({"kind": "arp", "interface": interface, "ip": ip, "mac": mac, "namespace": namespace, **fields})

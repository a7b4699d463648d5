"""What a request would change: for `plan`, and to take it back.

A change is a map {key, action, interface, source, generation, state, before, after}: `state` is the present one, `before` and
`after` are items, or None. `action` is `create`, `change`, `recreate` (and so interrupt), `delete`, `unchanged`, `absent`,
`conflict` or `invalid`.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from nsplane import kinds
from nsplane.kernel import Core, Frame
from nsplane.model.items import interface_key, is_interface_key
from nsplane.model.requests import Changing, Clear, Delete, Put, Replace, Sweep
from nsplane.plan.node import Node
from nsplane.plan.planner import Planner
from nsplane.request.checks import Refused, entry_of, refused_bulk
from nsplane.request.decisions import Decision, decide_interfaces
from nsplane.request.forecast import LINK, MASTER, Forecast, forecast

Change = dict[str, Any]
NOTHING = frozenset(("unchanged", "absent"))
REFUSED = frozenset(("conflict", "invalid"))
PLACE = ("index", "offset")

_encode = msgspec.msgpack.Encoder().encode


class Diff:
    """Compares requests with what is wanted now."""

    def __init__(self, core: Core, planner: Planner) -> None:
        self._core = core
        self._planner = planner

    def of(self, envelope: Changing, frame: Frame) -> list[Change]:
        """What a request would change, in its order: interfaces first, then routes and ARP entries, then what it sweeps away."""
        origin = self._core.origin(envelope.source, getattr(envelope, "generation", 0))
        changes = [invalid(one) for one in refused_bulk(frame)]
        interfaces = decide_interfaces(self._planner.nodes, envelope, frame)
        swept = [_shown(one) for one in interfaces if one.action == "delete"]
        named = [_shown(one) for one in interfaces if one.action != "delete"]
        match envelope:
            case Put():
                changes += named + decode(*self._core.compare(frame, origin))
            case Replace():
                changes += named + decode(*self._core.compare(frame, origin))
                changes += swept + decode(*self._core.compare_sweep(frame, origin))
            case Delete():
                changes += list(map(_shown, interfaces)) + decode(*self._core.compare(frame, origin, envelope.force))
            case Sweep():
                changes += swept + decode(*self._core.compare_sweep(None, origin))
            case Clear():
                changes += swept
                for source in self._core.sources():
                    changes += decode(*self._core.compare_sweep(Frame(), self._core.origin(source, 0)))
        return changes

    def planned(self, envelope: Changing, frame: Frame) -> dict[str, Any]:
        """The answer to `plan`: the changes, with the verdict that each would get, who else would wait, and how many there are of
        each action. What stays as it is, and is configured, is only counted. `error` is that of the request, where it would be
        refused whole or undone."""
        changes = self.of(envelope, frame)
        refused = sum(change["action"] in REFUSED for change in changes)
        error = None
        if refused and (envelope.atomic or isinstance(envelope, Replace)):
            code = "undone" if envelope.atomic else "refused"
            error = {"code": code, "message": f"{refused} of its items are invalid or in conflict: nothing would be changed"}
        else:
            will = forecast(self._planner, changes)
            for change in changes:
                if change["after"] is not None and change["action"] not in REFUSED:
                    change |= self._verdict(will, change)
            self._count_interrupted(will, changes)
            changes += [self._waiting(will, key) for key in will.losing()]
            failing = sum(change.get("state") == "failed" for change in changes if change["action"] != "wait")
            if envelope.atomic and failing:
                error = {"code": "undone", "message": f"{failing} items would fail: everything would be as it was"}
        counts: dict[str, int] = {}
        for change in changes:
            counts[change["action"]] = counts.get(change["action"], 0) + 1
        told = [one for one in changes if one["action"] not in NOTHING or one.get("state", "configured") != "configured"]
        return {"changes": list(map(without_secrets, told)), "counts": counts, "error": error}

    def _verdict(self, will: Forecast, change: Change) -> dict[str, Any]:
        """What an item would be: as far as can be told, what it would lack, or why it would fail."""
        interface = is_interface_key(change["key"])
        verdict = (
            will.interface(change["key"])
            if interface
            else will.row(change["interface"], change["after"] if change["action"] == "create" else None)
        )
        told = {"state": verdict.state, "missing": verdict.missing, "errno": verdict.errno, "message": verdict.message}
        if not interface and verdict.state == "configured" and change["action"] == "unchanged" and change["state"] != "configured":
            data = self._core.row(change["key"])
            entry = {} if data is None else msgspec.msgpack.decode(data)
            told = {name: entry.get(name) for name in told}
            told["state"] = "failed" if told["state"] in ("failed", "retrying") else "pending"
        return told

    def _count_interrupted(self, will: Forecast, changes: list[Change]) -> None:
        """Whom each interface takes along that goes, is made anew or goes down: what is on its link, and on those of whom it leaves
        without; what is made anew with it, and who is without a master meanwhile, is named besides."""
        going: dict[str, int] = {}
        for change in changes:
            if change["action"] == "delete" and not is_interface_key(change["key"]):
                key = interface_key(change["interface"])
                going[key] = going.get(key, 0) + 1
        for change in changes:
            if change["key"] is None or not is_interface_key(change["key"]):
                continue
            if change["action"] in ("delete", "recreate"):
                lost = {key: LINK if will.link(key).state != "configured" else MASTER for key in will.losing(change["key"])}
                others = lost | (will.interrupted(change["key"]) if change["action"] == "recreate" else {})
                gone = (change["key"], *(key for key, how in others.items() if how == LINK))
                change["interrupts"] = sum(will.rows_on(key) - going.get(key, 0) for key in gone) + len(others)
                if change["action"] == "recreate":
                    change["interrupted"] = [self._interrupted(will, key, how, going) for key, how in others.items()]
            elif change["action"] == "change":
                is_down, ports = will.going_down(change["key"])
                if is_down or change["after"].get("enabled") is False:
                    rows = sum(will.rows_on(key) - going.get(key, 0) for key in (change["key"], *ports))
                    change["interrupts"] = rows + len(ports)
                if ports:
                    change["interrupted"] = [self._interrupted(will, key, MASTER, going) for key in ports]

    def _interrupted(self, will: Forecast, key: str, how: str, going: dict[str, int]) -> dict[str, Any]:
        rows = will.rows_on(key) - going.get(key, 0) if how == LINK else 0
        return {"key": key, "loses": how, "items": rows, "microservice": will.microservice(key)}

    def _waiting(self, will: Forecast, key: str) -> Change:
        """An interface that the request does not name, and that would lose what it needs."""
        verdict = will.interface(key)
        change = change_of(key, "wait", self._planner.nodes[key], None)
        change["after"] = change["before"]
        told = {"state": verdict.state, "missing": verdict.missing, "errno": verdict.errno, "message": verdict.message}
        return change | told | {"interrupts": 0 if will.link(key).state == "configured" else will.rows_on(key)}


def _shown(decision: Decision) -> Change:
    """A decision about an interface item, as a change."""
    if decision.refused is not None:
        return invalid(decision.refused)
    after = None if decision.item is None else as_map(decision.item)
    return change_of(decision.key, decision.action, decision.node, after)


def as_map(item: msgspec.Struct) -> Any:
    """An item as it comes over the bus."""
    return msgspec.msgpack.decode(_encode(item))


def without_secrets(change: Change) -> Change:
    """A change as it is shown."""
    before, after = change["before"], change["after"]
    return change | {"before": kinds.as_shown(before), "after": kinds.as_shown(after, before)}


def change_of(key: str, action: str, node: Node | None, after: Any) -> Change:
    return {
        "key": key,
        "action": action,
        "interface": key.removeprefix("interface/"),
        "source": node and node.source,
        "generation": node.generation if node is not None else 0,
        "state": node and node.shown_state,
        "before": as_map(node.item) if node is not None else None,
        "after": after,
    }


def invalid(refused: Refused) -> Change:
    """Of what is not even an item: with all that an entry of it has."""
    entry = entry_of(refused)
    shown = {name: entry[name] for name in ("key", *PLACE, "field", "message", "item") if name in entry}
    return {"action": "invalid", "before": None, "after": None} | shown


def decode(count: int, data: bytes) -> list[Change]:
    """The core's maps, one behind the other."""
    found: list[Change] = msgspec.msgpack.decode(b"\xdd" + count.to_bytes(4, "big") + data)
    return found


def refusals(changes: list[Change]) -> list[dict[str, object]]:
    """The entries of what is invalid or in conflict."""
    entries = []
    for change in changes:
        if change["action"] not in REFUSED:
            continue
        entry = {
            "key": change["key"],
            "state": change["action"],
            "source": change.get("source"),
            "missing": [],
            "errno": None,
            "message": f"the key belongs to source {change.get('source')}",
            "since": time.time(),
            "tries": 0,
            "item": kinds.as_shown(change["before"]),
        }
        if change["action"] == "invalid":
            told = (*PLACE, "field", "message", "item")
            entry |= {"errno": "EINVAL"} | {name: change[name] for name in told if name in change}
        entries.append(entry)
    return entries


def undoing(changes: list[Change], now: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The requests that take changes back, and the keys that have been changed again since and are left: `now` has the item of each
    key, or None."""
    puts: dict[tuple[str, int], list[Any]] = {}
    deletes: list[str] = []
    left: list[str] = []
    for change in changes:
        if change["action"] in NOTHING | REFUSED:
            continue
        if now.get(change["key"]) != change["after"]:
            left.append(change["key"])
        elif change["before"] is None:
            deletes.append(change["key"])
        else:
            puts.setdefault((change["source"], change["generation"]), []).append(change["before"])
    requests: list[dict[str, Any]] = [{"op": "delete", "force": True, "keys": deletes}] if deletes else []
    for (source, generation), items in puts.items():
        requests.append({"op": "put", "source": source, "generation": generation, "items": items})
    return requests, left

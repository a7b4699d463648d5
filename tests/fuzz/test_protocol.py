"""Whatever comes over the bus, the agent lives on, answers each request that can be read with a result or an error, does not grow,
and shows what it has accepted."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from nsplane.kernel import bulk_fields
from nsplane.kinds import all_kinds
from nsplane.model.requests import FIELDS

from ..bus.conftest import RunningAgent, eventually, left_of, start_agent
from .inputs import Change, changed, changes, counted, inputs, values

Request = dict[str, Any]
Item = dict[str, Any]
NAME = f"fz{os.getpid() % 10000}"
PLACE = {"type": "name", "name": NAME}
LONGEST_MS = 120_000
GROWTH_KIB = 48 << 10
"""For all inputs together: what is kept of each, were it little, is more than that."""

MODELS: dict[str, Item] = {
    "bridge": {"name": f"{NAME}a", "namespace": PLACE, "addresses": ["10.7.0.1/24"]},
    "dummy": {"name": f"{NAME}b", "namespace": PLACE},
    "veth": {"name": f"{NAME}c", "namespace": PLACE, "peer": f"{NAME}d"},
    "route": {"interface": f"{NAME}a", "dst": "10.8.0.0/16", "gateway": "10.7.0.2"},
    "arp": {"interface": f"{NAME}a", "ip": "10.7.0.3", "mac": "02:00:00:00:00:03"},
    "fdb": {"interface": f"{NAME}a", "mac": "02:00:00:00:00:04"},
}
names = st.sampled_from([f"{NAME}{letter}" for letter in "abcd"] + [NAME, "name", "type", "gateway", "interface", "weight", "lo"])
given_values = values(names)


ITS_FIELDS = {name: [*kind.item.__struct_fields__, "kind"] for name, kind in all_kinds().items()}
for of in bulk_fields():
    ITS_FIELDS.setdefault(of.kind, ["kind"]).append(of.name)


@st.composite
def items(draw: st.DrawFn) -> Any:
    """One that would do, but for some fields; or none at all."""
    kind = draw(st.sampled_from(sorted([*ITS_FIELDS, *MODELS])))
    item = {"kind": kind} | MODELS.get(kind, {"name": draw(names), "namespace": PLACE})
    for field in draw(st.lists(st.sampled_from(ITS_FIELDS[kind]), max_size=3)):
        item[field] = draw(given_values)
    return draw(st.just(item) | given_values) if draw(st.booleans()) else item


keys = st.sampled_from([f"interface/{NAME}{letter}" for letter in "abcd"] + [f"route/{NAME}a/10.8.0.0/16", f"arp/{NAME}a/10.7.0.3"])
lists = {"items": st.lists(items(), max_size=4), "keys": st.lists(keys | given_values, max_size=3)}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One of an op, with what it takes, and perhaps with what it does not."""
    op = draw(st.sampled_from([*FIELDS, "put", "put", "put", "delete", "replace"]))
    request: Request = {"op": op}
    if op in ("put", "replace", "delete"):
        which = "keys" if op == "delete" else "items"
        request[which] = draw(lists[which])
    for field in draw(st.lists(st.sampled_from([*(FIELDS[op] - {"op", "id"}), "items", "keys"]), max_size=3, unique=True)):
        request[field] = draw(lists.get(field, given_values))
    if op == "plan":
        request["request"] = draw(st.just({"op": "put"} | {"items": draw(lists["items"])}) | given_values)
    if op == "microservice" and draw(st.booleans()):
        request |= {"event": draw(st.sampled_from(["started", "stopped", "list"])), "label": "fuzz", "pid": os.getpid()}
    if op == "microservice" and "wait" in request:
        request |= {"wait": "applied", "timeout": 0.1}
    if request.get("wait") == "none":
        request["wait"] = "accepted"
    return request


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    directory = Path(tempfile.mkdtemp(prefix="nspt-"))
    agent = start_agent(directory, NAME, "--no-docker", "--state-dir", str(directory / "state"))
    yield agent
    client = agent.client("cleaner")
    client.delete([entry["key"] for entry in client.get()], force=True)
    eventually(lambda: not left_of(NAME))
    assert agent.stop() == 0, agent.log
    for used in agent.clients:
        used.close()
    assert "Traceback" not in agent.log, agent.log
    shutil.rmtree(directory)


class Peer:
    """A socket of the bus, and the memory that the agent has when it has done all once."""

    def __init__(self, agent: RunningAgent) -> None:
        self.agent = agent
        self.context = zmq.Context()
        self.socket = self.connected()
        self.number = 0
        self.memory = 0

    def connected(self) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, LONGEST_MS)
        socket.connect(self.agent.bus)
        return socket

    def ask(self, sent: list[Request], together: bool) -> list[Any]:
        """Sends requests, each by itself or all in one message, and returns what is answered to each."""
        for request in sent:
            self.number += 1
            request["id"] = self.number
        encoded = [msgpack.packb(request, default=str) for request in sent]
        for message in [bytes([0x90 | len(encoded)]) + b"".join(encoded)] if together else encoded:
            self.socket.send(message)
        answers: dict[int, Any] = {}
        while len(answers) < len(sent):
            reply = msgpack.unpackb(self.socket.recv(), strict_map_key=False)
            for answer in reply if isinstance(reply, list) else [reply]:
                assert answer["id"] not in answers
                answers[answer["id"]] = answer
        return [answers[request["id"]] for request in sent]

    def info(self) -> Any:
        return self.ask([{"op": "info"}], False)[0]

    def get(self, **more: Any) -> list[Any]:
        entries, cursor = [], None
        while True:
            page = self.ask([{"op": "get", "cursor": cursor, **more}], False)[0]
            entries += page["items"]
            cursor = page.get("next")
            if cursor is None:
                return entries

    def clear(self) -> None:
        """Nothing of it is left; it is as well as before, and as large."""
        self.ask([{"op": "clear"}], False)
        assert not self.get()
        assert self.info()["ok"]
        assert self.agent.process.poll() is None
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{self.agent.process.pid}/status").read_text(), re.MULTILINE)
        assert found
        self.memory = self.memory or int(found[1])
        assert int(found[1]) < self.memory + GROWTH_KIB


@pytest.fixture(scope="module")
def peer(agent: RunningAgent) -> Iterator[Peer]:
    peer = Peer(agent)
    yield peer
    peer.context.destroy()


def check(answer: Any) -> None:
    """It is a result, or an error that says what is wrong, and no fault of the agent's own."""
    assert isinstance(answer["ok"], bool)
    if answer["ok"]:
        return
    error = answer["error"]
    assert error["code"] != "internal", error
    assert error["message"]


@inputs(60)
@given(sent=st.lists(requests(), min_size=1, max_size=5), together=st.booleans())
def test_each_request_is_answered(peer: Peer, sent: list[Request], together: bool) -> None:
    counted()
    answers = peer.ask(sent, together)
    for answer in answers:
        check(answer)
    for request, answer in zip(sent, answers, strict=True):
        for entry in answer.get("items") or [] if request["op"] in ("put", "replace") else []:
            assert {"key", "state", "message"} <= entry.keys()
            assert entry["state"] != "invalid" or entry["message"]
    peer.clear()


@inputs(60)
@given(
    sent=st.lists(requests(), min_size=1, max_size=3),
    steps=changes,
    noise=st.binary(max_size=40),
    before=st.lists(st.binary(max_size=9), max_size=18),
)
def test_bytes_that_are_no_request(peer: Peer, sent: list[Request], steps: list[Change], noise: bytes, before: list[bytes]) -> None:
    """Of such an answer may come or not; of the next request it does."""
    counted()
    socket = peer.connected()
    data = b"".join(msgpack.packb(request, default=str) for request in sent)
    for message in (changed(data, steps), noise, bytes([0x90 | len(sent)]) + changed(data, steps)):
        socket.send_multipart([*before, message])
    socket.send_multipart([b"last", msgpack.packb({"op": "info", "id": "last"})])
    last = None
    while last != "last":
        *_, frame = socket.recv_multipart()
        reply = msgpack.unpackb(frame, strict_map_key=False)
        for answer in reply if isinstance(reply, list) else [reply]:
            last = answer["id"]
            check(answer)
    socket.close()
    peer.clear()


wishes = st.tuples(
    st.sampled_from(["put", "put", "delete"]),
    st.sampled_from(["lab", "field"]),
    st.lists(
        st.sampled_from(
            [
                *(
                    (f"route/{NAME}a/10.{n}.0.0/16", {"kind": "route", "interface": f"{NAME}a", "dst": f"10.{n}.0.0/16"})
                    for n in range(20, 26)
                ),
                *(
                    (f"arp/{NAME}b/10.7.0.{n}", MODELS["arp"] | {"kind": "arp", "interface": f"{NAME}b", "ip": f"10.7.0.{n}"})
                    for n in range(6)[1:]
                ),
                *((f"interface/{MODELS[kind]['name']}", MODELS[kind] | {"kind": kind}) for kind in ("bridge", "dummy")),
            ]
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda one: str(one[0]),
    ),
)


@inputs(25)
@given(said=st.lists(wishes, min_size=1, max_size=6), together=st.booleans())
def test_what_was_accepted_is_what_is_shown(
    peer: Peer, said: list[tuple[str, str, list[tuple[str, Item]]]], together: bool
) -> None:
    """With what each source may do: another's item is in conflict, and stays."""
    counted()
    whose: dict[str, str] = {}
    sent: list[Request] = []
    conflicts: list[set[str]] = []
    for op, source, some in said:
        sent.append(
            {"op": op, "source": source}
            | ({"items": [item for _, item in some]} if op == "put" else {"keys": [key for key, _ in some]})
        )
        others = {key for key, _ in some if whose.get(key, source) != source}
        conflicts.append(others)
        for key in {key for key, _ in some} - others:
            if op == "put":
                whose[key] = source
            else:
                whose.pop(key, None)
    for answer, others in zip(peer.ask(sent, together), conflicts, strict=True):
        check(answer)
        assert {entry["key"] for entry in answer["items"] if entry["state"] == "conflict"} == others
    shown = {entry["key"]: entry["source"] for entry in peer.get()}
    assert shown == whose
    peer.clear()

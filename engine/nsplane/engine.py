"""The engine: from frames to operations and rows, and from verdicts to replies.

    frame -> decode -> nodes and rows -> plan -> writer (C) -> verdicts -> reply
                          ^                                      |
              kernel's links, processes, mounts <-- facts <------┘

It has no loop of its own: wait for `fileno()` to become readable and call `process()`; or use `put`, `delete` and `settle`,
which do that.
"""

from __future__ import annotations

import errno
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from nsplane import kernel, kinds
from nsplane.checks import bad_frame, refusal
from nsplane.descriptors import Descriptors
from nsplane.errors import BadRequest, ItemError
from nsplane.identity import machine_id
from nsplane.items import Settings, check_label, interface_key, is_interface_key
from nsplane.kernel import Core, Frame, FrameError, KernelError, OpResult
from nsplane.kinds import InterfaceItem
from nsplane.listing import Listing, microservice_entry
from nsplane.microservices import Instance, Microservices
from nsplane.node import Node
from nsplane.places import Places
from nsplane.plan import Planner
from nsplane.requests import (
    AnyEnvelope,
    Delete,
    Get,
    Info,
    Microservice,
    Put,
    Replace,
    Request,
    Running,
    Sweep,
    decode_envelope,
)

PROTOCOL_VERSION = 1
EXPRESS_ITEMS = 16
"""A request of at most so many items may overtake what is queued for the writer."""

_encode = msgspec.msgpack.Encoder().encode


class Engine:
    """Configures network namespaces as its items say, and keeps them so. Needs CAP_NET_ADMIN, CAP_SYS_ADMIN and
    CAP_NET_BROADCAST; one thread uses it.

    `agent_id` marks the links that it makes: the same id recognises them later, so two engines on one machine want two. By default
    it is the machine's (`machine_id`).
    """

    def __init__(self, agent_id: str | None = None) -> None:
        self.agent_id = agent_id or machine_id()
        self.instance = uuid.uuid4().hex
        self.bus_info: dict[str, object] = {}
        """What the bus adds to `info`."""
        self._started = time.time()
        self._revision = 0
        self._watched = False
        self._changes: list[tuple[str, bytes]] = []
        self._requests: dict[int, Request] = {}
        self._finished: list[Request] = []
        self._frame = Frame()
        self._descriptors = Descriptors()
        self._core = Core()
        self._planner = Planner(self._core, self.agent_id, self._note)
        planner, watch, unwatch = self._planner, self._descriptors.add, self._descriptors.remove
        planner.places = self._places = Places(planner.facts, planner.namespaces, watch, unwatch, self._note_namespace)
        self._microservices = Microservices(planner.facts, planner.namespaces, watch, unwatch, self._note_microservice)
        self._listing = Listing(self._core, planner, self._microservices)
        watch(self._core.fd)
        watch(planner.namespaces.monitor.fd)
        self._descriptors.mounts_changed = self._places.check_mounts

    def close(self) -> None:
        """Ends the writer and closes everything. The network is left as it is."""
        self._core.close()
        self._microservices.close()
        self._places.close()
        self._planner.namespaces.close()
        self._descriptors.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ---- for a loop ----

    def fileno(self) -> int:
        """A descriptor that is readable when `process` has something to do."""
        return self._descriptors.fileno()

    def submit(self, frame: bytes | memoryview) -> Request:
        """Takes a request, one msgpack map of the wire protocol, in. BadRequest: it is none, and nothing was changed.

        A question (`get`, `info`, `microservice`) is answered at once; what puts or deletes is done after later calls of `process`.
        """
        try:
            self._frame.read(frame)
            return self._take(decode_envelope(self._frame.envelope))
        except FrameError as error:
            raise bad_frame(error) from None
        finally:
            self._frame.release()

    def _take(self, envelope: AnyEnvelope) -> Request:
        match envelope:
            case Put() | Replace():
                self._refuse_list(envelope, keys=True)
                return self._put(envelope)
            case Delete():
                self._refuse_list(envelope, keys=False)
                return self._delete(envelope)
            case Sweep():
                self._refuse_list(envelope)
                return self._sweep(envelope)
            case Get():
                self._refuse_list(envelope)
                return self._answer(envelope, "get", self._listing.get(envelope))
            case Microservice():
                self._refuse_list(envelope)
                self._wake()
                return self._answer(envelope, "microservice", self._microservice(envelope))
            case Info():
                self._refuse_list(envelope)
                return self._answer(envelope, "info", self.info())

    def process(self) -> list[Request]:
        """Does what can be done without waiting; returns the requests that got their last verdict since."""
        self._descriptors.serve()
        for _ in range(ROUNDS):
            if not self._round():
                break
        finished, self._finished = self._finished, []
        for request in finished:
            self._requests.pop(request.serial, None)
            self._core.close_request(request.serial)
        return finished

    def _round(self) -> bool:
        """Takes in what was completed and plans what follows. Was there anything?"""
        results: list[OpResult] = []
        some = False
        while (completed := self._core.poll()) is not None:
            some = True
            if isinstance(completed, OpResult):
                results.append(completed)
            else:
                self._take_rows(completed, last=True)
        # What the operations did was heard before they ended, so it is known before their nodes are looked at again.
        try:
            self._planner.namespaces.read_events()
        finally:
            for result in results:
                self._planner.completed(result)
        for slot, what in self._core.notices():
            some = True
            if what == kernel.NOTICE_TOUCHED:
                self._planner.slot_touched(slot)
            else:
                self._planner.slot_empty(slot)
        if self._planner.run():
            self._wake()
        return some

    def settle(self, request: Request, timeout: float | None = None) -> Request:
        """Processes until `request` has all its verdicts. TimeoutError."""
        end = None if timeout is None else time.monotonic() + timeout
        while not request.done:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"no verdict on {request.outstanding or 'all'} items of the request after {timeout} s")
            self._descriptors.wait(left)
            self.process()
        return request

    # ---- for a program that embeds it ----

    def put(self, items: Sequence[Any], source: str = "default", timeout: float | None = None) -> dict[str, Any]:
        """Each item (a dict, or a Struct of nsplane.kinds) becomes exactly this. Returns {revision, counts, items} when every
        item has its first verdict: `items` are those that are not configured."""
        return self._ask({"op": "put", "source": source, "items": items}, timeout)

    def replace(self, items: Sequence[Any], source: str = "default", timeout: float | None = None) -> dict[str, Any]:
        """These items become the whole of what `source` wants; BadRequest (`refused`) if any is invalid or in conflict."""
        return self._ask({"op": "replace", "source": source, "items": items}, timeout)

    def delete(
        self, keys: Iterable[str], source: str = "default", force: bool = False, timeout: float | None = None
    ) -> dict[str, Any]:
        """Removes items by their keys."""
        return self._ask({"op": "delete", "source": source, "force": force, "keys": list(keys)}, timeout)

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of one item: {key, state, source, missing, errno, message, since, tries, item}."""
        found: list[dict[str, Any]] = self._ask({"op": "get", "key": key}, None)["items"]
        return found[0] if found else None

    def microservice(self, event: str, label: str, **fields: Any) -> dict[str, Any]:
        """Announces that a microservice `started` (with `pid`) or `stopped`."""
        return self._ask({"op": "microservice", "event": event, "label": label, **fields}, None)

    def _ask(self, message: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        request = self.submit(_encode(message))
        reply: dict[str, Any] = msgspec.msgpack.decode(self.settle(request, timeout).reply())
        if request.error is not None:
            raise request.error
        return reply

    # ---- what is wanted ----

    def _open(self, envelope: Put | Replace | Delete | Sweep, op: str) -> Request:
        request = Request(op, envelope.id, envelope.wait, self._core.open_request(), self._finish)
        self._requests[request.serial] = request
        return request

    def _finish(self, request: Request) -> None:
        self._finished.append(request)

    def _commit(self, request: Request) -> Request:
        self._revision += 1
        request.revision = self._revision
        self._core.commit_request(request.serial)
        if request.wait == "accepted":
            self._take_rows(request.serial, last=False)
        return request

    def _take_rows(self, serial: int, last: bool) -> None:
        request = self._requests.get(serial)
        if request is not None:
            request.take_rows(self._core.result(serial), last)

    def _put(self, envelope: Put | Replace) -> Request:
        whole = isinstance(envelope, Replace)
        generation = envelope.generation if isinstance(envelope, Put) else 0
        origin = self._core.origin(envelope.source, generation)
        request = self._open(envelope, "replace" if whole else "put")
        wishes = self._decode_interfaces(request, envelope.source)
        if whole:
            refused = self._core.check(self._frame, request.serial, origin) + sum(request.counts.values())
            if refused:
                what = f"{refused} of {self._frame.count} items are invalid or in conflict: nothing was changed"
                request.error = BadRequest("refused", what, "items", envelope.id)
                self._core.commit_request(request.serial)
                self._take_rows(request.serial, last=False)
                return request
        for item, settings in wishes:
            self._wish(item, settings, request, envelope.source, generation)
        self._core.put(self._frame, request.serial, origin, self._frame.count <= EXPRESS_ITEMS)
        if whole:
            self._unwish(request, lambda node: node.source == envelope.source and node.touched_by != request.serial)
            self._core.sweep(request.serial, origin, True)
        return self._commit(request)

    def _decode_interfaces(self, request: Request, source: str) -> list[tuple[InterfaceItem, Settings]]:
        """The frame's interface items; those that are invalid or another source's get their verdict."""
        wishes: dict[str, tuple[InterfaceItem, Settings]] = {}
        for index, data in self._frame.others():
            try:
                item = kinds.decode(data)
                settings = kinds.check(item)
                key = interface_key(item.name)
                if key in wishes:
                    raise ItemError("name", f"{key} is in this request twice")
            except ItemError as error:
                request.count("invalid", refusal(index, data, error))
                continue
            node = self._planner.nodes.get(key)
            if node is not None and not node.gone and node.source != source:
                request.count("conflict", node.entry("conflict") | {"message": f"the key belongs to source {node.source}"})
                continue
            wishes[key] = item, settings
        return list(wishes.values())

    def _wish(self, item: InterfaceItem, settings: Settings, request: Request, source: str, generation: int) -> None:
        key = interface_key(item.name)
        node = self._planner.nodes.get(key)
        if node is None:
            node = self._planner.nodes[key] = Node(self._planner, key)
        else:
            self._planner.touch(node)  # and whom it named until now
        node.owe(request)
        node.wish(item, settings, kinds.KINDS[type(item)], source, generation)

    def _delete(self, envelope: Delete) -> Request:
        request = self._open(envelope, "delete")
        seen: set[str] = set()
        for index, data in self._frame.others():
            key = msgspec.msgpack.decode(data, type=str)
            node = self._planner.nodes.get(key)
            if not is_interface_key(key) or key in seen:
                text = f"{key} is in this request twice" if key in seen else f"{key[:48]!r} is no key of an item"
                request.count("invalid", refusal(index, data, ItemError("key", text)))
            elif node is None or (node.gone and node.state != "failed"):
                request.count("removed")
            elif node.source != envelope.source and not envelope.force:
                request.count("conflict", node.entry("conflict") | {"message": f"the key belongs to source {node.source}"})
            else:
                self._unwish_node(node, request)
            seen.add(key)
        origin = self._core.origin(envelope.source, 0)
        self._core.delete(self._frame, request.serial, origin, envelope.force, self._frame.count <= EXPRESS_ITEMS)
        return self._commit(request)

    def _sweep(self, envelope: Sweep) -> Request:
        request = self._open(envelope, "sweep")
        self._unwish(request, lambda node: node.source == envelope.source and node.generation < envelope.generation)
        self._core.sweep(request.serial, self._core.origin(envelope.source, envelope.generation), False)
        return self._commit(request)

    def _unwish(self, request: Request, which: Callable[[Node], bool]) -> None:
        for node in self._planner.nodes.values():
            if not node.gone and which(node):
                self._unwish_node(node, request)

    def _unwish_node(self, node: Node, request: Request) -> None:
        node.owe(request)
        node.gone = True
        node.fact_changed()

    # ---- questions ----

    def _answer(self, envelope: AnyEnvelope, op: str, body: dict[str, object]) -> Request:
        request = Request(op, envelope.id, "applied")
        request.answer(body)
        return request

    def _refuse_list(self, envelope: AnyEnvelope, keys: bool | None = None) -> None:
        """Refuses `items` or `keys` where the op has no such list: `keys` says which would be wrong, None both."""
        given = self._frame.count or self._frame.has_keys  # of an empty `items` nothing is known, and nothing wrong
        if given and (keys is None or self._frame.has_keys is keys):
            name = "keys" if self._frame.has_keys else "items"
            raise BadRequest("bad-request", "is not a field of this op", name, envelope.id)

    def info(self) -> dict[str, object]:
        """Version, protocol, instance, limits and counts."""
        states: dict[str, int] = {}
        for node in self._planner.nodes.values():
            states[node.shown_state] = states.get(node.shown_state, 0) + 1
        totals = self._core.totals()
        return {
            "version": kernel.library_version(),
            "protocol": PROTOCOL_VERSION,
            "instance": self.instance,
            "agent": self.agent_id,
            "pid": os.getpid(),
            "started": self._started,
            "kernel": platform.release(),
            "revision": self._revision,
            "namespaces": len(self._planner.namespaces),
            "microservices": len(self._microservices.labels()),
            "microservice_sources": {name: asdict(source) for name, source in self._microservices.sources.items()},
            "items": {"interface": states, **totals.pop("rows")},  # type: ignore[dict-item]
            "writer": totals,
            "bus": self.bus_info,
        }

    @property
    def backlog(self) -> int:
        """Rows and operations that wait for the writer."""
        return self._core.queued()

    # ---- microservices ----

    def _wake(self) -> None:
        """Has `fileno` become readable: facts have changed, and `process` is to look at who depends on them."""
        serial = self._core.open_request()
        self._core.commit_request(serial)
        self._core.close_request(serial)

    def _microservice(self, envelope: Microservice) -> dict[str, object]:
        def refuse(path: str, message: str) -> BadRequest:
            return BadRequest("bad-request", message, path, envelope.id)

        answer: dict[str, object] = {"instance": self.instance}
        if envelope.event == "status":
            if envelope.state is None:
                raise refuse("state", "is missing")
            self._microservices.heard_of(envelope.source, envelope.state, envelope.message)
            return answer
        if envelope.event == "list":
            if envelope.microservices is None:
                raise refuse("microservices", "is missing")
            for i, one in enumerate(envelope.microservices):
                self._check_microservice(one.label, one.pid, f"microservices[{i}].", refuse)
            return answer | {"refused": self._microservices.replace(envelope.source, envelope.microservices)}
        if envelope.label is None:
            raise refuse("label", "is missing")
        self._check_microservice(envelope.label, envelope.pid, "", refuse)
        if envelope.event == "stopped":
            self._microservices.stopped(envelope.source, envelope.label, envelope.pid, envelope.container)
            return answer
        if envelope.pid is None:
            raise refuse("pid", "is missing")
        running = Running(envelope.label, envelope.pid, envelope.container, envelope.name, envelope.started_at, envelope.start_time)
        try:
            self._microservices.started(envelope.source, running)
        except KernelError as error:
            code = "no-such-process" if error.errno == errno.ESRCH else "no-resources"
            raise BadRequest(code, error.strerror or str(error), "pid", envelope.id) from None
        return answer

    @staticmethod
    def _check_microservice(label: str, pid: int | None, path: str, refuse: Callable[[str, str], BadRequest]) -> None:
        try:
            check_label(label, "label")
        except ItemError as error:
            raise refuse(path + "label", error.message) from None
        if pid is not None and not 1 <= pid < 2**31:
            raise refuse(path + "pid", f"{pid} is no process number")

    # ---- events ----

    def watch(self, on: bool, rows: bool | None = None) -> None:
        """Whether changes are noted for `changes`; those of routes and ARP entries too unless `rows` says otherwise."""
        self._watched = on
        self._core.watch(on if rows is None else rows)
        if not on:
            self._changes = []

    @property
    def changes_lost(self) -> int:
        """Changes of rows that were not noted since nobody fetched them in time."""
        return self._core.dropped()

    def changes(self) -> list[tuple[str, bytes]]:
        """What changed since the last call: (topic, msgpack map of at most 15 pairs)."""
        rows = [(f"item/{key}", entry) for key, entry in self._core.changes()] if self._watched else []
        noted, self._changes = self._changes, []
        return noted + rows

    def _note(self, topic: str, event: dict[str, object]) -> None:
        if self._watched:
            self._changes.append((topic, _encode(event)))

    def _note_namespace(self, fact: str, event: str) -> None:
        self._note(fact, {"key": fact, "event": event, "time": time.time()})

    def _note_microservice(self, event: str, instance: Instance) -> None:
        if self._watched:
            stands = self._microservices.current(instance.label) is instance
            self._note(
                f"microservice/{instance.label}", microservice_entry(instance, stands) | {"event": event, "time": time.time()}
            )


ROUNDS = 4
"""How often `process` looks again for what was completed meanwhile, before it lets the caller have its turn."""

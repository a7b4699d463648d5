"""The engine: from frames to operations and rows, and from verdicts to replies.

    frame -> decode -> nodes and rows -> plan -> writer (C) -> verdicts -> reply
                          ^                                      |
              kernel's links, processes, mounts <-- facts <------┘

It has no loop of its own: wait for `fileno()` to become readable and call `process()`; or use `put`, `delete` and `settle`,
which do that.
"""

from __future__ import annotations

import hashlib
import os
import platform
import select
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from nsplane import kernel, kinds
from nsplane.errors import BadRequest, ItemError
from nsplane.items import Settings, check_label, interface_key, is_interface_key
from nsplane.kernel import Core, Frame, FrameError, KernelError, OpResult, Timer
from nsplane.kinds import InterfaceItem
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
    Sweep,
    decode_envelope,
    raw_array,
)

PROTOCOL_VERSION = 1
EXPRESS_ITEMS = 16
"""A request of at most so many items may overtake what is queued for the writer."""
PAGE_BYTES = 1 << 20
MOUNT_CHECK_SECONDS = 0.02

_encode = msgspec.msgpack.Encoder().encode


class Engine:
    """Configures network namespaces as its items say, and keeps them so. Needs CAP_NET_ADMIN, CAP_SYS_ADMIN and
    CAP_NET_BROADCAST; one thread uses it.

    `agent_id` marks the links that it makes: the same id recognises them later. By default it is the machine's.
    """

    def __init__(self, agent_id: str | None = None) -> None:
        self.agent_id = agent_id or _machine_id()
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
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._core = Core()
        self._planner = Planner(self._core, self.agent_id, self._note)
        planner = self._planner
        planner.places = self._places = Places(
            planner.facts, planner.namespaces, self._watch_fd, self._unwatch_fd, self._note_namespace
        )
        self._microservices = Microservices(
            planner.facts, planner.namespaces, self._watch_fd, self._unwatch_fd, self._note_microservice
        )
        self._mount_timer = Timer()
        # A poll of the mount table takes its news away, and whoever waits for `fileno` polls what is behind it: so one descriptor
        # wakes, and the other tells.
        self._mounts_wake, self._mounts = (os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC) for _ in range(2))
        self._mounts_poll = select.poll()
        self._mounts_poll.register(self._mounts, select.POLLPRI | select.POLLERR)
        self._watch_fd(self._core.fd, lambda: None)
        self._watch_fd(planner.namespaces.monitor.fd, lambda: None)
        self._watch_fd(self._mount_timer.fd, self._check_mounts)
        self._mount_check_due = False
        self._watch_fd(self._mounts_wake, lambda: None, select.EPOLLPRI | select.EPOLLERR)

    def close(self) -> None:
        """Ends the writer and closes everything. The network is left as it is."""
        self._core.close()
        self._microservices.close()
        self._places.close()
        self._planner.namespaces.close()
        self._mount_timer.close()
        os.close(self._mounts_wake)
        os.close(self._mounts)
        self._epoll.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ---- for a loop ----

    def fileno(self) -> int:
        """A descriptor that is readable when `process` has something to do."""
        return self._epoll.fileno()

    def submit(self, frame: bytes | memoryview) -> Request:
        """Takes a request, one msgpack map of the wire protocol, in. BadRequest: it is none, and nothing was changed.

        A question (`get`, `info`, `microservice`) is answered at once; what puts or deletes is done after later calls of `process`.
        """
        try:
            self._frame.read(frame)
            return self._take(decode_envelope(self._frame.envelope))
        except FrameError as error:
            raise _no_frame(error) from None
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
                return self._answer(envelope, "get", self._get(envelope))
            case Microservice():
                self._refuse_list(envelope)
                self._wake()
                return self._answer(envelope, "microservice", self._microservice(envelope))
            case Info():
                self._refuse_list(envelope)
                return self._answer(envelope, "info", self.info())

    def process(self) -> list[Request]:
        """Does what can be done without waiting; returns the requests that got their last verdict since."""
        for fd, _ in self._epoll.poll(0, 256):
            callback = self._callbacks.get(fd)  # None: let go of by one of the others
            if callback is not None:
                callback()
        if self._mounts_poll.poll(0):
            self._mounts_changed()
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
        self._planner.namespaces.read_events()
        for result in results:
            self._planner.completed(result)
        for slot, what in self._core.notices():
            some = True
            if what == kernel.NOTICE_TOUCHED:
                self._planner.slot_touched(slot)
            else:
                self._planner.slot_empty(slot)
        self._planner.run()
        return some

    def settle(self, request: Request, timeout: float | None = None) -> Request:
        """Processes until `request` has all its verdicts. TimeoutError."""
        end = None if timeout is None else time.monotonic() + timeout
        while not request.done:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"no verdict on {request.outstanding or 'all'} items of the request after {timeout} s")
            self._epoll.poll(left, 1)
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
                request.count("invalid", _refused(index, data, error))
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
                request.count("invalid", _refused(index, data, ItemError("key", text)))
            elif node is None or node.gone:
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

    def _get(self, envelope: Get) -> dict[str, object]:
        if not 1 <= envelope.limit <= 100_000:
            raise BadRequest("bad-request", f"{envelope.limit} is not 1 to 100000", "limit", envelope.id)
        if envelope.key is not None:
            node = self._planner.nodes.get(envelope.key)
            entry = _encode(node.entry()) if node is not None and not node.gone else self._core.row(envelope.key)
            if entry is None and envelope.key.startswith("microservice/"):
                entry = next((_encode(one) for one in self._labels(envelope.key) if one["key"] == envelope.key), None)
            return {"items": raw_array(1, entry) if entry is not None else [], "next": None}
        return self._page(envelope)

    def _page(self, envelope: Get) -> dict[str, object]:
        """One page: interfaces and microservices in the order of their keys, then rows as they lie."""
        part, _, rest = (envelope.cursor or "key:").partition(":")
        if part not in ("key", "row") or (part == "row" and not rest.isdecimal()):
            raise BadRequest("bad-request", "is not one that a page ended with", "cursor", envelope.id)
        entries: list[bytes] = []
        last = rest
        row = int(rest) if part == "row" else 0
        if part == "key":
            for entry in self._few(envelope):
                if str(entry["key"]) <= rest:
                    continue
                if len(entries) == envelope.limit:
                    return {"items": raw_array(len(entries), b"".join(entries)), "next": f"key:{last}"}
                last = str(entry["key"])
                entries.append(_encode(entry))
        mask = 1 << kernel.STATES.index(envelope.state) if envelope.state else 0
        most = envelope.limit - len(entries)
        if not most:
            return {"items": raw_array(len(entries), b"".join(entries)), "next": "row:0"}
        count, data, row = self._core.rows(envelope.prefix, mask, envelope.source, row, most, PAGE_BYTES)
        return {
            "items": raw_array(len(entries) + count, b"".join(entries) + data),
            "next": f"row:{row}" if row else None,
        }

    def _few(self, envelope: Get) -> list[dict[str, object]]:
        found = [
            node.entry()
            for key, node in self._planner.nodes.items()
            if key.startswith(envelope.prefix)
            and not node.gone
            and envelope.state in (None, node.state)
            and envelope.source in (None, node.source)
        ]
        if envelope.prefix.startswith("microservice/") and envelope.state is None:
            found += [one for one in self._labels(envelope.prefix) if envelope.source in (None, one["source"])]
        return sorted(found, key=lambda entry: str(entry["key"]))

    def _labels(self, prefix: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for label in self._microservices.labels():
            instance = self._microservices.current(label)
            if instance is not None and f"microservice/{label}".startswith(prefix):
                found.append(self._label(instance))
        return found

    def _label(self, instance: Instance) -> dict[str, object]:
        return {
            "key": f"microservice/{instance.label}",
            "state": "running",
            "label": instance.label,
            "pid": instance.pid,
            "container": instance.container,
            "source": instance.source,
            "started_at": instance.started_at,
        }

    def info(self) -> dict[str, object]:
        """Version, protocol, instance, limits and counts."""
        states: dict[str, int] = {}
        for node in self._planner.nodes.values():
            states[node.state] = states.get(node.state, 0) + 1
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

        if envelope.event == "list":
            if envelope.microservices is None:
                raise refuse("microservices", "is missing")
            for i, one in enumerate(envelope.microservices):
                self._check_microservice(one.label, one.pid, f"microservices[{i}].", refuse)
            listed = [(one.label, one.pid, one.container, one.started_at) for one in envelope.microservices]
            return {"refused": self._microservices.replace(envelope.source, listed)}
        if envelope.label is None:
            raise refuse("label", "is missing")
        self._check_microservice(envelope.label, envelope.pid, "", refuse)
        if envelope.event == "stopped":
            self._microservices.stopped(envelope.source, envelope.label, envelope.pid, envelope.container)
            return {}
        if envelope.pid is None:
            raise refuse("pid", "is missing")
        try:
            self._microservices.started(envelope.source, envelope.label, envelope.pid, envelope.container, envelope.started_at)
        except KernelError as error:
            raise BadRequest("no-such-process", error.strerror or str(error), "pid", envelope.id) from None
        return {}

    @staticmethod
    def _check_microservice(label: str, pid: int | None, path: str, refuse: Callable[[str, str], BadRequest]) -> None:
        try:
            check_label(label, "label")
        except ItemError as error:
            raise refuse(path + "label", error.message) from None
        if pid is not None and not 1 <= pid < 2**31:
            raise refuse(path + "pid", f"{pid} is no process number")

    # ---- events ----

    def watch(self, on: bool) -> None:
        """Whether changes are noted for `changes`."""
        self._watched = on
        self._core.watch(on)

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
        self._note(f"microservice/{instance.label}", self._label(instance) | {"event": event, "time": time.time()})

    # ---- descriptors ----

    def _watch_fd(self, fd: int, callback: Callable[[], None], events: int = select.EPOLLIN) -> None:
        self._callbacks[fd] = callback
        self._epoll.register(fd, events)

    def _unwatch_fd(self, fd: int) -> None:
        del self._callbacks[fd]
        self._epoll.unregister(fd)

    def _mounts_changed(self) -> None:
        if not self._mount_check_due:
            self._mount_check_due = True
            self._mount_timer.set(MOUNT_CHECK_SECONDS)

    def _check_mounts(self) -> None:
        self._mount_check_due = False
        self._mount_timer.clear()
        self._places.check_mounts()


ROUNDS = 4
"""How often `process` looks again for what was completed meanwhile, before it lets the caller have its turn."""


def _refused(index: int, data: bytes, error: ItemError) -> dict[str, object]:
    """The entry of an item that is invalid."""
    fields: dict[object, object] = {}
    try:
        decoded = msgspec.msgpack.decode(data)
        fields = decoded if isinstance(decoded, dict) else {"": decoded}
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError, TypeError):
        decoded = None
    name = fields.get("name")
    return {
        "key": interface_key(name) if isinstance(name, str) else decoded if isinstance(decoded, str) else None,
        "state": "invalid",
        "source": None,
        "missing": [],
        "errno": "EINVAL",
        "message": str(error),
        "since": time.time(),
        "tries": 0,
        "index": index,
        "field": error.field,
        "item": msgspec.Raw(data) if decoded is not None and len(data) <= 1024 else None,
    }


def _no_frame(error: FrameError) -> BadRequest:
    """The decoder says `items[3]: truncated msgpack`, or only what is wrong."""
    path, colon, text = str(error).partition(": ")
    return BadRequest("bad-request", text if colon else path, path if colon else "")


def _machine_id() -> str:
    """An id that stays the same over restarts of the agent, and is another on another machine."""
    try:
        with open("/etc/machine-id", "rb") as file:
            machine = file.read().strip()
    except OSError:
        machine = platform.node().encode()
    return hashlib.sha256(b"nsplane " + machine).hexdigest()[:8]


def check_frame(frame: bytes) -> list[dict[str, object]]:
    """What is invalid in a request, before it is sent: entries as a reply would have them. BadRequest where it is none at all."""
    decoder = Frame()
    try:
        decoder.read(frame)
    except FrameError as error:
        raise _no_frame(error) from None
    decode_envelope(decoder.envelope)
    found: list[dict[str, object]] = [
        {"index": fault.index, "field": fault.field, "message": f"{fault.field}: {fault.message}"} for fault in decoder.faults()
    ]
    if not decoder.has_keys:
        for index, data in decoder.others():
            try:
                kinds.check(kinds.decode(data))
            except ItemError as error:
                found.append({"index": index, "field": error.field, "message": str(error)})
    return sorted(found, key=lambda fault: str(fault["index"]).zfill(10))

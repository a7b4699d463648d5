"""The agent: the engine, its bus, and the loop that turns both."""

import contextlib
import errno
import functools
import gc
import logging
import os
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import zmq

from nsplane import Engine, Journal, machine_id

from .client import Client
from .docker.containers import SOURCE as DOCKER
from .door import Reserve
from .events import Publisher
from .gate import SOURCE as GATE
from .kept import KeptProcess
from .lock import Lock, join, refuse_open, refuse_taken
from .notify import ServiceManager
from .privileges import EVERYTHING, KEPT, confine
from .protocol import FRAME_LIMIT, REQUEST_LIMIT, Endpoints, ipc_path
from .router import Router

log = logging.getLogger("nsplane.agent")

HELD_MS = 20
"""While requests are held back, how often to look whether the kernel has caught up."""


class State(NamedTuple):
    """Where agents keep what survives them, each in a folder with its id. `durable`: also a loss of power, at once. `accept_loss`:
    what cannot be had of it any more is done without."""

    directory: Path = Path("/var/lib/nsplane")
    durable: bool = False
    accept_loss: bool = False


class Agent:
    """An agent on a runtime directory, which it holds for itself: raises lock.Taken where another has it. Its sockets are for its
    own user and a `group`, of which this process is a member."""

    def __init__(
        self,
        directory: Path,
        endpoints: Endpoints,
        agent_id: str | None = None,
        state: State | None = None,
        nexthop_objects: bool = False,
        group: int | None = None,
    ) -> None:
        self.endpoints = endpoints
        self._stopping = False
        with contextlib.ExitStack() as undo:
            # What is made here is for the agent's own user, but where the door says otherwise.
            undo.callback(os.umask, os.umask(0o077))
            for endpoint in endpoints:
                refuse_open(endpoint)
            lock = Lock(directory, group)
            with contextlib.ExitStack() as owned:
                owned.callback(lock.release)
                for endpoint in endpoints:
                    refuse_taken(endpoint)
                raise_descriptor_limit()
                self._woken, self._wake = socket.socketpair()
                owned.callback(self._woken.close)
                owned.callback(self._wake.close)
                self._woken.setblocking(False)
                self._wake.setblocking(False)
                agent_id = agent_id or machine_id(str(directory.resolve()))
                journal = None
                if state is not None:
                    journal = Journal(state.directory / agent_id, state.durable, accept_loss=state.accept_loss)
                    owned.callback(journal.close)
                self.engine = Engine(agent_id, journal, nexthop_objects=nexthop_objects)
                owned.callback(self.engine.close)
                owned.callback(remove_sockets, endpoints)  # ZeroMQ does not
                context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
                owned.callback(context.destroy, linger=0)  # with all its sockets: one that is left open is waited for, for ever
                self.reserve = Reserve()
                owned.callback(self.reserve.close)
                self.publisher = Publisher(context, endpoints.events, self.engine, self.reserve, group)
                owned.callback(self.publisher.close)
                self.router = Router(context, endpoints.bus, self.engine, self.reserve, group)
                owned.callback(self.router.close)
                self.reserve.refill()
                self._owned = owned.pop_all()
        self.engine.bus_info = {
            "bus": endpoints.bus,
            "events": endpoints.events,
            "limits": {"request": REQUEST_LIMIT, "frame": FRAME_LIMIT},
            "router": self.router.counters,
            "publisher": self.publisher.counters,
            "descriptors": self.reserve.counters,
        }

    def run(self, manager: ServiceManager | None = None) -> None:
        """Serves until stop() is called. Signs of life come from here, and not from a thread of their own: there are none when this
        does not turn any more."""
        manager = manager or ServiceManager({})
        router, publisher, engine = self.router, self.publisher, self.engine
        doors = router.door, publisher.door
        always = [router.door.monitor, publisher.door.monitor, publisher.socket, engine.fileno(), self._woken.fileno()]
        more: object = False
        while not self._stopping:
            held = router.hold()
            waited_for = [door.waited_for for door in doors]
            polled: list[Any] = [
                (one, zmq.POLLIN) for one in (*always, *waited_for, None if held else router.socket) if one is not None
            ]
            pauses = [0 if more else None, HELD_MS if held else None, self.reserve.pause_ms, publisher.pause_ms, manager.pause_ms]
            pauses += [door.pause_ms for door in doors]
            # A zmq.Poller does the same, and takes several times as long to say so.
            ready: list[Any] = [one for one, _ in zmq.zmq_poll(polled, min((ms for ms in pauses if ms is not None), default=-1))]
            if self._woken.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            for door, listener in zip(doors, waited_for, strict=True):
                if door.pause_ms is not None or door.monitor in ready or listener in ready:
                    self._guarded(door.turn)
            self._guarded(self.reserve.refill)
            if publisher.socket in ready:
                self._guarded(publisher.take_subscriptions)
            more = router.socket in ready and self._guarded(router.read)
            self._guarded(self._answer)
            more = self._guarded(publisher.publish) or more
            self._guarded(manager.look)
            if manager.due:
                manager.alive()
                self._guarded(lambda: manager.status(self.status()))

    def status(self) -> str:
        """What there is, in a line."""
        info = self.engine.info()
        states: Counter[str] = Counter()
        for counts in info["items"].values():  # type: ignore[attr-defined]
            states.update(counts)
        shown = ", ".join(f"{count} {state}" for state, count in states.items() if count and state != "none")
        return f"{shown or 'no items'}; {info['namespaces']} namespaces, {info['microservices']} microservices"

    def _answer(self) -> None:
        self.router.answer(self.engine.process())

    def _guarded(self, step: Callable[[], object]) -> object:
        """A fault of ours costs one step, and no other: the network is as it was, and what comes next may well work."""
        try:
            return step()
        except Exception:
            log.exception("the agent met an error")
            time.sleep(0.05)
            return None

    def stop(self) -> None:
        """Ends run(): for signal handlers and other threads."""
        self._stopping = True
        with contextlib.suppress(BlockingIOError):
            self._wake.send(b"\0")

    def close(self) -> None:
        """Leaves the network as it is and takes the agent's own sockets and lock away."""
        self._owned.close()

    @contextlib.contextmanager
    def stopped_by(self, *signals: signal.Signals) -> Iterator[None]:
        """Lets these signals end run(). For the main thread."""
        former = {number: signal.signal(number, lambda *_: self.stop()) for number in signals}
        former_fd = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(former_fd)
            for number, handler in former.items():
                signal.signal(number, handler)


def is_listened_at(path: Path) -> bool:
    """Does somebody take connections at this unix socket, or will he when he has the time?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
        error = connection.connect_ex(str(path))
    return error in (0, errno.EAGAIN)


def serve(
    directory: Path,
    endpoints: Endpoints,
    agent_id: str | None = None,
    state: State | None = None,
    watcher: Sequence[str] | None = None,
    nexthop_objects: bool = False,
    gate: tuple[Path, Sequence[str]] | None = None,
    group: int | None = None,
    keep: Iterable[str] = (),
) -> None:
    """Runs an agent until SIGTERM or SIGINT; with a docker watcher of its own where that has arguments (perhaps none), and with a
    gate where that has a socket and arguments.

    Of its privileges it has only those that it needs from then on (privileges.KEPT), and those to `keep`. For a process without
    other threads.
    """
    if group is not None:
        join(group)
    if EVERYTHING not in keep:
        confine((*KEPT, *keep))
    gc.collect()
    gc.freeze()  # what was imported stays: no need to go through it again and again
    with contextlib.ExitStack() as owned:
        manager = owned.enter_context(contextlib.closing(ServiceManager()))
        manager.tell("STATUS=carrying out the journal")
        agent = owned.enter_context(contextlib.closing(Agent(directory, endpoints, agent_id, state, nexthop_objects, group)))
        owned.enter_context(agent.stopped_by(signal.SIGTERM, signal.SIGINT))
        log.info("listening at %s, events at %s", endpoints.bus, endpoints.events)
        where = ("--bus", endpoints.bus, "--events", endpoints.events)
        at_gate = None if gate is None else ["--socket", str(gate[0]), *gate[1]]
        for command, called, source, arguments in (
            ("gate", "gate", GATE, at_gate),  # first: a container's start waits for it, and not for the watcher
            ("watch-docker", "watcher", DOCKER, watcher),
        ):
            if arguments is not None:
                connect = functools.partial(Client, endpoints.bus, source, timeout=10)
                owned.enter_context(contextlib.closing(KeptProcess(command, called, (*where, *arguments), connect)))
        # Whoever starts containers after the agent is to find the gate.
        ready = (lambda: True) if gate is None else functools.partial(is_listened_at, gate[0])
        manager.tell_when(ready, "READY=1", f"MAINPID={os.getpid()}", f"STATUS={agent.status()}")
        agent.run(manager)
        manager.tell("STOPPING=1", "STATUS=stopping; the network is left as it is")
    log.info("stopped; the network is left as it is")


def remove_sockets(endpoints: Endpoints) -> None:
    for endpoint in endpoints:
        path = ipc_path(endpoint)
        if path is not None:
            Path(path).unlink(missing_ok=True)


def raise_descriptor_limit() -> None:
    """Each namespace in use takes descriptors: all that this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

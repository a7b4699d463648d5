"""The docker watcher: a client of the bus that says which containers run as which microservice, and never ends.

It subscribes to the engine's events, then lists what runs, then follows the events; so a start in between is not lost. Whatever
breaks - the engine restarts, a proxy cuts the stream, nothing is heard for a while - it subscribes again, from the last event on,
and announces the whole list: what was missed is put right by that. The same where the agent is another one than before.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace

import docker
import docker.errors

from nsplane import ItemError

from ..backoff import Backoff
from ..client import Client
from ..errors import BusError, TimedOut, Unreachable
from . import SILENCE
from .containers import Container, Keys, NotOurs, is_running, read_container, read_label
from .engine import LOST, Event, EventStream, described, find
from .inspection import Inspector

log = logging.getLogger("nsplane.docker")

HEARTBEAT = 1.0
"""Seconds between two looks at the agent, which may be another one by then."""
STARTS = frozenset(("start",))
ENDS = frozenset(("die", "died", "destroy", "remove"))
"""The rest ends nothing: after `kill`, `stop` and `oom` comes a `die`, and who is paused has a network all the same."""


class Watcher:
    """Follows one engine. `connect_bus` makes a connection to the agent; `host` is the engine's address, by default where docker's
    own client would go. Where that has said nothing for `silence` seconds, or given no answer, the connections are made anew."""

    def __init__(
        self, connect_bus: Callable[[], Client], keys: Keys | None = None, host: str | None = None, silence: int = SILENCE
    ) -> None:
        self._connect_bus = connect_bus
        self._keys = keys or Keys()
        self._host = host
        self._silence = silence
        self._since = int(time.time())
        self._inspector: Inspector
        self._running: dict[str, Container] = {}
        self._of_no_interest: set[str] = set()
        self._said = ""

    def run(self) -> None:
        """Follows the engine, for ever."""
        backoff = Backoff(0.1, 1)
        while True:
            try:
                with self._connect_bus() as bus:
                    backoff.reset()
                    self._serve(bus)
            except (Unreachable, TimedOut) as error:
                self._say(logging.WARNING, str(error))
            time.sleep(backoff.next())

    def _serve(self, bus: Client) -> None:
        """As long as the agent is there."""
        backoff = Backoff(0.1, 5)
        while True:
            where = self._host or "docker"
            try:
                arguments = find(self._host)
                where = arguments["base_url"]
                with contextlib.ExitStack() as opened:
                    engine = docker.APIClient(**arguments, version="auto", timeout=self._silence)
                    opened.callback(engine.close)
                    self._inspector = Inspector(engine, where, self._silence)
                    opened.callback(self._inspector.close)
                    self._follow(engine, f"{where}: version {engine.version()['Version']}", bus, backoff)
            except TimeoutError:
                continue  # the stream was silent: perhaps because it is dead
            except LOST as error:
                trouble = f"{where}: {described(error)}"
                self._say(logging.WARNING, f"{trouble}; trying again")
                self._wait(bus, trouble, backoff.next())

    def _wait(self, bus: Client, trouble: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            bus.status("unreachable", trouble)
            time.sleep(min(left, HEARTBEAT))

    def _follow(self, engine: docker.APIClient, following: str, bus: Client, backoff: Backoff) -> None:
        """One stream: subscribe, list, follow. Raises TimeoutError where it is silent, one of LOST where it has ended."""
        instance = ""
        heartbeat = 0.0
        with contextlib.closing(EventStream(engine, self._since, self._silence)) as stream:
            while True:
                if time.monotonic() >= heartbeat:
                    heartbeat = time.monotonic() + HEARTBEAT
                    answering = bus.status("following", following)
                    if answering != instance:  # at first, and when the agent was started anew
                        self._announce_all(engine, bus)
                        instance = answering
                        backoff.reset()
                        self._say(logging.INFO, f"following {following}")
                event = stream.next(HEARTBEAT)
                if event is not None:
                    self._take(bus, event)
                    self._since = event["time"]

    def _announce_all(self, engine: docker.APIClient, bus: Client) -> None:
        """What runs, as the whole truth."""
        # Podman takes who is paused for one that does not run.
        listed = {one["Id"]: one for one in engine.containers(filters={"status": ["running", "paused"]})}
        self._of_no_interest &= listed.keys()
        running = {}
        for container_id, one in listed.items():
            known = self._running.get(container_id)
            if known is not None and known.runs():
                names = one.get("Names") or [known.name]
                running[container_id] = replace(known, name=names[0].removeprefix("/"))
            elif (container := self._inspect(container_id)) is not None:
                running[container_id] = container
        for refused in bus.running([container.announced() for container in running.values()]):
            log.warning("%s", refused, extra={"source": bus.source})
        if running != self._running:
            log.info("%d containers run a microservice", len(running), extra={"source": bus.source})
        self._running = running

    def _take(self, bus: Client, event: Event) -> None:
        # Of a stream that was begun again, events can be older than what the list has shown.
        action, container_id = event["Action"], event["Actor"]["ID"]
        known = self._running.get(container_id)
        log.debug("%s %s", action, container_id, extra={"source": bus.source, "container": container_id})
        if action in STARTS:
            if known is None or not known.runs():
                container = self._inspect(container_id)
                if container is not None:
                    self._announce(bus, container)
        elif action in ENDS:
            self._of_no_interest.discard(container_id)
            if known is not None and not known.runs():
                del self._running[container_id]
                bus.stopped(known.label, known.pid, container=known.id)
        elif action == "rename" and known is not None:
            self._announce(bus, replace(known, name=event["Actor"]["Attributes"]["name"]))

    def _announce(self, bus: Client, container: Container) -> None:
        try:
            bus.started(**container.announced())
        except (Unreachable, TimedOut):
            raise
        except BusError as error:  # it has ended already, or the agent has no descriptors left
            log.warning("container %s: %s", container.name, error, extra=about(container.id, container.label))
        else:
            self._running[container.id] = container

    def _inspect(self, container_id: str) -> Container | None:
        """None where it runs no microservice, or has ended meanwhile."""
        if container_id in self._of_no_interest:
            return None
        inspected = self._inspector.inspect(container_id)
        if inspected is None:
            return None
        name, label = inspected["Name"].removeprefix("/"), None
        try:
            label = read_label(inspected, self._keys)
            if label is None:
                self._of_no_interest.add(container_id)
                return None
            container = read_container(inspected, label)
            if container is None and is_running(inspected) and is_running(self._inspector.inspect(container_id)):
                raise NotOurs(f"there is no process {inspected['State']['Pid']}: it is of another machine or PID namespace")
            return container
        except ItemError as error:
            self._of_no_interest.add(container_id)
            log.warning("container %s: %s", name, error, extra=about(container_id, None))
        except NotOurs as error:
            log.warning("container %s: %s", name, error, extra=about(container_id, label))
        return None

    def _say(self, level: int, text: str) -> None:
        """The same trouble is said once."""
        if text != self._said:
            log.log(level, "%s", text)
            self._said = text


def about(container_id: str, label: str | None) -> dict[str, str | None]:
    """What a line of the log is about."""
    return {"container": container_id, "label": label, "namespace": f"microservice/{label}" if label else None}

"""The gate's way to the agent, which may be started anew at any time: then it is asked again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nsplane import KernelError
from nsplane.errors import Closed
from nsplane.world.processes import process_start_time

from ..aio import Client
from ..backoff import Backoff
from ..errors import BusError, TimedOut, Unreachable
from .containers import Container

log = logging.getLogger("nsplane.gate")

HEARTBEAT = 1.0
"""Seconds between two looks at the agent, which may be another one by then."""
KNOWN_MOST = 1_024
"""Beyond so many containers those that have ended are looked for."""

T = TypeVar("T")


class Bus:
    """One connection for all questions. `connect` makes one; Unreachable where nobody listens."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._client: Client | None = None
        self._known: dict[tuple[str, str], Container] = {}
        """Containers that were announced, by label and id: another agent is told of them again."""
        self._known_most = KNOWN_MOST

    def _connected(self) -> Client:
        if self._client is None:
            self._client = self._connect()
        return self._client

    async def hold(self, container: Container, end: float) -> list[str]:
        """Announces a container and waits until what it waits for has been applied, or until `end` (of the event loop's time). What
        is still under way then, in words. Raises BusError."""
        assert container.label is not None
        about = container.announced()
        waiting: list[str] = await self._asked(
            lambda client, seconds: client.hold_start(seconds=_earlier(seconds), wait_for=container.wait_for, **about), end
        )
        self._remember(container)
        return waiting

    async def forget(self, container_id: str, end: float) -> None:
        """What was announced of a container in a namespace of which only the path is known is over. Raises BusError."""
        for entry in await self.of_paths(end):
            if entry["container"] == container_id:
                await self._stop(entry["label"], container_id, end)

    async def keep(self, container_ids: frozenset[str], end: float) -> None:
        """The same of all but these containers."""
        for entry in await self.of_paths(end):
            if entry["container"] not in container_ids:
                await self._stop(entry["label"], entry["container"], end)

    async def of_paths(self, end: float) -> list[dict[str, str]]:
        """What runs in namespaces of which only the paths are known: `label`, `container` and `netns` of each. Raises BusError."""

        async def ask(client: Client, seconds: float) -> list[dict[str, str]]:
            entries = [entry async for entry in client.get("microservice/", source=client.source)]
            return [entry for entry in entries if entry.get("netns") and entry.get("container")]

        return await self._asked(ask, end)

    async def is_configured(self, key: str, end: float) -> bool:
        """Is there an item of this key, and as it is to be? Raises BusError."""
        entry = await self._asked(lambda client, seconds: client.entry(key), end)
        return entry is not None and entry["state"] == "configured"

    async def failed(self, label: str, end: float) -> list[str]:
        """The items of a microservice that have failed, each with the reason. Raises BusError."""

        async def ask(client: Client, seconds: float) -> list[str]:
            there = {"type": "microservice", "microservice": label}
            links = {entry["item"]["name"] async for entry in client.get("interface/") if entry["item"].get("namespace") == there}
            return [
                f"{entry['key']}: {entry['message']}"
                async for entry in client.get(state="failed")
                if entry["item"].get("namespace") == there or entry["item"].get("interface", entry["item"].get("name")) in links
            ]

        return await self._asked(ask, end)

    async def _stop(self, label: str, container_id: str, end: float) -> None:
        await self._asked(lambda client, seconds: client.stopped(label, container=container_id), end)
        self._known.pop((label, container_id), None)

    async def _asked(self, ask: Callable[[Client, float], Awaitable[T]], end: float) -> T:
        """Asks until there is an answer, or no time is left for one."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(0.02, 0.5)
        while True:
            client = None
            try:
                client = self._connected()
                async with asyncio.timeout_at(end + SLACK):
                    return await ask(client, max(end - loop.time(), 0.0))
            except TimeoutError:
                raise TimedOut("the agent has not answered in time") from None
            except (Unreachable, Closed) as error:
                self._lose(client)
                pause = backoff.next()
                if loop.time() + pause >= end:
                    raise error if isinstance(error, Unreachable) else TimedOut("the agent has gone") from None
                await asyncio.sleep(pause)

    def _lose(self, client: Client | None) -> None:
        """What is still to be sent on a connection that was lost is not sent to the next agent: it is asked again."""
        if client is not None and client is self._client:
            self._client = None
            client.close()

    async def beat(self, message: str) -> None:
        """Says every second that the gate is there, for ever, and tells another agent of what runs."""
        instance = ""
        loop = asyncio.get_running_loop()
        while True:
            try:
                answering = await self._asked(lambda client, seconds: client.status("following", message), loop.time() + HEARTBEAT)
                if instance and answering != instance:
                    await self._tell_again()
                instance = answering
            except (Unreachable, TimedOut) as error:
                log.debug("%s", error)
            except BusError as error:
                log.warning("%s", error)
            await asyncio.sleep(HEARTBEAT)

    async def _tell_again(self) -> None:
        """Another agent may know nothing of what runs."""
        for known, container in list(self._known.items()):
            try:
                await self._connected().started(**container.announced())
            except (Unreachable, TimedOut):
                raise
            except BusError:  # it has ended
                del self._known[known]

    def _remember(self, container: Container) -> None:
        assert container.label is not None
        self._known[container.label, container.id] = container
        if len(self._known) > self._known_most:
            self._known = {known: one for known, one in self._known.items() if _runs(one)}
            self._known_most = max(KNOWN_MOST, 2 * len(self._known))

    async def say_ended(self) -> None:
        await self._connected().status("ended")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


EARLIER = 0.2
"""Seconds before the end at which the agent is to say what is still under way: on a busy machine its answer takes a while."""
SLACK = 0.05
"""Seconds beyond its end in which an answer that the agent gives at that very moment may come: a forwarder waits a tenth of a
second longer than it says."""


def _earlier(seconds: float) -> float:
    return max(seconds - EARLIER, seconds / 2)


def _runs(container: Container) -> bool:
    try:
        return container.pid is None or process_start_time(container.pid) == container.start_time
    except KernelError:
        return False

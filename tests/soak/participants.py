"""Who talks to the agent during a soak, each in a thread: it goes on until it is ended, and says by `fault` what was wrong."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from nsplane_bus import (
    AgentBack,
    AgentRestarted,
    BusError,
    Client,
    EventsLost,
    ItemChanged,
    Subscription,
    Unreachable,
    aio,
)

from ..bus.wishing import Item, Wishes, after
from .authors import Ask

PATIENCE = 120.0
"""Seconds after which an agent that is there, perhaps stopped for a while, has answered."""
LEAVES = 10.0
"""Seconds for one that is ended. One that waits for an agent that is gone ends with the process."""
REFUSALS = ("not-recorded", "undone", "no-resources")
"""What is said to a request, while disk or descriptors are short, of which nothing was done."""
CANCELS = 0.2
"""How often a task stops waiting for its request."""
READS = 0.1
"""How often a publisher looks whether its word counts."""


class AsksForEver(Protocol):
    """Authors."""

    source: str

    def asks(self) -> Iterator[Ask]: ...


class Wanting(Protocol):
    """Publishers: what is wanted of a source."""

    source: str
    wishes: Wishes


@dataclass(frozen=True)
class Where:
    """The agent's endpoints."""

    bus: str
    events: str


class Participant(threading.Thread):
    """`turn` is held during a step: whoever takes it has a participant that does nothing. `pause`: seconds between steps, on
    average."""

    def __init__(self, name: str, where: Where, seed: int, pause: float) -> None:
        super().__init__(name=name, daemon=True)
        self.where = where
        self.dice = random.Random(f"{seed}/{name}")
        self.turn = threading.Lock()
        self.fault = ""
        self._pause = pause
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            while not self._ended.wait(self.dice.expovariate(1 / self._pause)):
                with self.turn:
                    if self._ended.is_set():
                        break
                    self.step()
        except Exception:
            self.fault = f"{self.name}: {traceback.format_exc()}"
        finally:
            self.leave()

    def step(self) -> None:
        """One thing after the other, each of which ends soon."""
        raise NotImplementedError

    def leave(self) -> None:
        """Closes what is open."""

    def stop(self) -> None:
        """Has it end after its step."""
        self._ended.set()

    def end(self) -> None:
        self.stop()
        self.join(LEAVES)

    def waits(self) -> bool:
        """A moment, for an agent that is not there. False where nobody waits any more."""
        return not self._ended.wait(0.1)


def plain(wishes: Wishes) -> dict[str, Item]:
    return {key: wish.item for key, wish in wishes.items()}


def of_these(source: str, found: Mapping[str, Item], possible: Sequence[Wishes]) -> Wishes:
    """Which of them is wanted of a source, by the agent's word."""
    for wishes in possible:
        if plain(wishes) == found:
            return wishes
    wanted = plain(possible[-1])
    missing, many = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    others = [(key, wanted[key], found[key]) for key in wanted.keys() & found.keys() if wanted[key] != found[key]]
    raise AssertionError(f"{source} is lost: missing {missing[:5]}, too many {many[:5]}, other than wanted {others[:5]}")


class Publisher(Participant):
    """Asks for what its author says, one request at a time, and knows what is wanted: what was answered counts, and of what was
    not, the agent says afterwards whether it does."""

    def __init__(self, author: AsksForEver, where: Where, seed: int, pause: float, **options: Any) -> None:
        super().__init__(author.source, where, seed, pause)
        self.source = author.source
        self.wishes: Wishes = {}
        self._asks = author.asks()
        self._options = options
        self._client: Client | None = None

    def step(self) -> None:
        ask = next(self._asks)
        then = self.wishes if ask.lapses else after(self.wishes, ask.meant)
        more = {field: value for field, value in ask.sent.items() if field not in ("op", "source")}
        try:
            self._connected().submit(ask.sent["op"], **more).result()
        except BusError as error:
            if not is_expected(error):
                raise
            if not ask.lapses:
                self.wishes = self._settle([self.wishes, then])
        else:
            if not ask.lapses and self.dice.random() < READS:
                self._settle([then])
            self.wishes = then
        if ask.lapses:
            self._lapse()

    def leave(self) -> None:
        if self._client is not None:
            self._client.close()

    def _connected(self) -> Client:
        while self._client is None:
            try:
                self._client = Client(self.where.bus, self.source, events=self.where.events, timeout=PATIENCE, **self._options)
            except Unreachable:
                if not self.waits():
                    raise
        return self._client

    def _read(self) -> dict[str, Item]:
        """What the agent wants of it. A request that was interrupted may still be on its way, on this connection, or wait behind
        another's atomic one: behind a change of nothing it is done, or never will be."""
        while True:
            try:
                self._connected().delete([])
                return {entry["key"]: entry["item"] for entry in self._connected().get(source=self.source)}
            except BusError as error:
                if not is_expected(error) or not self.waits():
                    raise

    def _settle(self, possible: Sequence[Wishes]) -> Wishes:
        """Which is so."""
        return of_these(self.source, self._read(), possible)

    def _lapse(self) -> None:
        """Waits until what was not confirmed is taken back."""
        end = time.monotonic() + PATIENCE
        while self._read() != plain(self.wishes):
            assert time.monotonic() < end, f"{self.source}: it is not taken back"
            self._ended.wait(0.3)


def is_expected(error: BusError) -> bool:
    """Under a soak's disturbances. That an agent does not answer in time is none of these."""
    return error.code in REFUSALS or isinstance(error, Unreachable)


class AsyncPublishers(Participant):
    """Several, as tasks of one event loop and on one client of asyncio each."""

    def __init__(self, authors: Sequence[AsksForEver], where: Where, seed: int, pause: float) -> None:
        super().__init__("aio", where, seed, pause)
        self._runner = asyncio.Runner()
        self.publishers = [AsyncPublisher(author, where, self) for author in authors]

    def step(self) -> None:
        self._runner.run(self._together())

    async def _together(self) -> None:
        await asyncio.gather(*(publisher.step() for publisher in self.publishers))

    def leave(self) -> None:
        for publisher in self.publishers:
            publisher.close()
        self._runner.close()


class AsyncPublisher:
    """What a Publisher is, in tasks."""

    def __init__(self, author: AsksForEver, where: Where, among: AsyncPublishers) -> None:
        self.source = author.source
        self.wishes: Wishes = {}
        self._among = among
        self._where = where
        self._asks = author.asks()
        self._client: aio.Client | None = None

    async def step(self) -> None:
        ask = next(self._asks)
        then = self.wishes if ask.lapses else after(self.wishes, ask.meant)
        more = {field: value for field, value in ask.sent.items() if field not in ("op", "source")}
        try:
            await self._ask(ask.sent["op"], more)
        except BusError as error:
            if not is_expected(error):
                raise
            if not ask.lapses:
                self.wishes = await self._settle([self.wishes, then])
        else:
            if not ask.lapses and self._among.dice.random() < READS:
                await self._settle([then])
            self.wishes = then
        if ask.lapses:
            await self._lapse()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    async def _ask(self, op: str, more: dict[str, Any]) -> None:
        """Perhaps it is cancelled on the way, and waited for once more: it goes on meanwhile."""
        client = await self._connected()
        ticket = await client.submit(op, **more)
        if self._among.dice.random() < CANCELS:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._among.dice.uniform(0, 0.02)):
                    await ticket
        await ticket

    async def _connected(self) -> aio.Client:
        while self._client is None:
            try:
                self._client = aio.Client(self._where.bus, self.source, events=self._where.events, timeout=PATIENCE)
            except Unreachable:
                if not self._among.waits():
                    raise
        return self._client

    async def _read(self) -> dict[str, Item]:
        while True:
            try:
                client = await self._connected()
                await client.delete([])
                return {entry["key"]: entry["item"] async for entry in client.get(source=self.source)}
            except BusError as error:
                if not is_expected(error) or not self._among.waits():
                    raise

    async def _settle(self, possible: Sequence[Wishes]) -> Wishes:
        return of_these(self.source, await self._read(), possible)

    async def _lapse(self) -> None:
        end = time.monotonic() + PATIENCE
        while await self._read() != plain(self.wishes):
            assert time.monotonic() < end, f"{self.source}: it is not taken back"
            await asyncio.sleep(0.3)


class Subscriber(Participant):
    """Follows the states of all items, and reads them anew where events were lost: so it knows them at the end. `complete`: how it
    learns that they were."""

    def __init__(self, where: Where, seed: int, pause: float, complete: bool) -> None:
        super().__init__(f"subscriber{'-to-all' if complete else ''}", where, seed, pause)
        self._complete = complete
        self.states: dict[str, str] = {}
        self._events: Subscription | None = None
        self._stale = True

    def step(self) -> None:
        if self._events is None:
            endpoint = self.where.events
            self._events = Subscription("item/", endpoint=endpoint, complete=self._complete, health=True, waits=True)
        while (event := self._events.next(0)) is not None:
            match event:
                case ItemChanged(key=key, state="removed"):
                    self.states.pop(key, None)
                case ItemChanged(key=key, state=state):
                    self.states[key] = state
                case EventsLost() | AgentBack() | AgentRestarted():
                    self._stale = True
        if self._stale and self._events.instance is not None:
            self._read_anew()

    def leave(self) -> None:
        if self._events is not None:
            self._events.close()

    def _read_anew(self) -> None:
        """What is in force from now on comes as events."""
        assert self._events is not None
        try:
            with Client(self.where.bus, timeout=PATIENCE) as client:
                self._events.ready(PATIENCE)
                self.states = {entry["key"]: entry["state"] for entry in client.get()}
        except Unreachable:
            return  # The next step does.
        self._stale = False

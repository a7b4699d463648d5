"""Follows the agent, in a thread: what happens is kept for a while, and told to the browsers ten times a second at most."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..client import Client
from ..errors import BusError, Unreachable
from ..event import Event
from ..protocol import Endpoints
from ..subscription import Subscription
from ..words import Entry
from .browsers import Browsers
from .links import PREFIXES, Links
from .rows import Row, event_row, row_of

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.1
STORM = 5_000
"""So many events in one batch are not followed one by one: the subscription is ended for a second, so that neither the agent
notes them nor this process takes them, and the browsers load anew what is there then."""
STORM_SECONDS = 1.0
LOOK_SECONDS = 1.0
LOOK_SHARE = 20
"""How often to look what no event tells (counts, and items that are another without being in another state), while somebody
watches: at most each second, and not for more than a twentieth of the time."""
AGAIN_SECONDS = 0.25
FAULT_SECONDS = 2.0
"""How long to wait after what is no answer of an agent and nobody expects: no descriptors, an agent of another version."""
ANSWER_SECONDS = 5
KEPT = 5_000
"""Events that are kept for the timeline."""
TOLD = 200
"""Events of a batch that are told one by one: nobody reads more than the newest."""


class Follower:
    """`links` and `past` are what is known; `status` is how the agent is."""

    def __init__(self, where: Endpoints, browsers: Browsers, key: Path | None = None) -> None:
        self._where = where
        self._key = key
        self._browsers = browsers
        self._closing = threading.Event()
        self._next_look = 0.0
        self._revision: int | None = None
        self._is_stale = False
        self._since: float | None = None
        """Since when every event was heard; None where none are."""
        self._heard = 0
        self.links = Links()
        self._past: deque[Row] = deque(maxlen=KEPT)
        self._past_lock = threading.Lock()
        self.status: dict[str, Any] = {}
        self._say(agent="gone", why="not asked yet")
        self._thread = threading.Thread(target=self._run, name="follower")

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def past(self, key: str | None = None, limit: int = KEPT) -> list[Row]:
        """What was heard, of one item or of all, the newest first."""
        with self._past_lock:
            rows = reversed(list(self._past))
        return list(islice((row for row in rows if key is None or row["key"] == key), limit))

    def heard_since(self) -> float:
        """Since when all that happened is among `past`: seconds since the epoch."""
        with self._past_lock:
            oldest = self._past[0]["time"] if len(self._past) == KEPT else 0.0
        since = self._since
        return max(time.time() if since is None else since, oldest)

    def _run(self) -> None:
        while not self._closing.is_set():
            pause = AGAIN_SECONDS
            try:
                pause = self._follow()
            except BusError as error:
                self._gone(str(error))
            except Exception as error:
                pause = FAULT_SECONDS
                why = f"it cannot be followed: {type(error).__name__}: {error}"
                if why != self.status.get("why"):
                    log.exception("the agent cannot be followed; it is tried again")
                self._gone(why)
            self._since = None
            self._closing.wait(pause)

    def _gone(self, why: str) -> None:
        self._revision = None
        self._say(agent="gone", why=why)

    def _follow(self) -> float:
        """Until this process ends, or a storm begins: then it returns how long to wait. BusError when the agent has gone."""
        with (
            Subscription("", endpoint=self._where.events, key=self._key) as events,
            Client(self._where.bus, events=self._where.events, timeout=ANSWER_SECONDS, key=self._key) as client,
        ):
            events.ready(ANSWER_SECONDS)
            self._survey(client)
            missed, instance = events.missed, events.instance
            while not self._closing.is_set():
                batch = collect(events)
                if not events.connected:
                    raise Unreachable(self._where.events, "the connection was lost")
                if len(batch) >= STORM:
                    self._browsers.tell("reload", {"why": "storm"})
                    return STORM_SECONDS
                self._take(batch)
                if events.missed != missed or events.instance != instance:
                    missed, instance = events.missed, events.instance
                    self._survey(client)
                elif len(self._browsers) and time.monotonic() >= self._next_look:
                    self._look(client)
        return 0.0

    def _survey(self, client: Client) -> None:
        """Begins anew: of what happened meanwhile nothing is known."""
        self._since = time.time()
        info = client.info()
        self.links.replace(entries_of(client))
        self._revision = info["revision"]
        self._say(**told_of(info))
        self._browsers.tell("reload", {"why": "anew"})

    def _look(self, client: Client) -> None:
        began = time.monotonic()
        info = client.info()
        if info["revision"] != self._revision or self._is_stale:
            self._revision, self._is_stale = info["revision"], False
            changed, gone = self.links.replace(entries_of(client))
            self._tell_changes([row_of(one) for one in changed], gone, ())
        self._say(**told_of(info))
        ended = time.monotonic()
        self._next_look = ended + max(LOOK_SECONDS, LOOK_SHARE * (ended - began))

    def _take(self, batch: Sequence[Event]) -> None:
        if not batch:
            return
        self._is_stale = True  # what runs under a label, and how many items are in it, is asked for
        heard = time.time()
        rows: dict[str, Row | None] = {}
        links: dict[str, Entry | None] = {}
        for event in batch:
            sort, _, key = event.topic.partition("/")
            if sort == "item":
                body = event.body
                ended = body["state"] == "removed"
                entry = {name: value for name, value in body.items() if name not in ("seq", "previous")}
                rows[key] = None if ended else row_of(entry)
                if key.startswith(PREFIXES):
                    links[key] = None if ended else entry
            elif sort == "microservice":
                self._next_look = 0.0
        self.links.take(links)
        happened = [event_row(event, heard) | {"number": number} for number, event in enumerate(batch, self._heard + 1)]
        self._heard += len(batch)
        with self._past_lock:
            self._past.extend(happened)
        gone = [key for key, row in rows.items() if row is None]
        self._tell_changes([row for row in rows.values() if row is not None], gone, happened)

    def _tell_changes(self, rows: Sequence[Row], gone: Sequence[str], events: Sequence[Row]) -> None:
        if rows or gone or events:
            told = {"rows": rows, "gone": gone, "events": events[-TOLD:], "untold": max(0, len(events) - TOLD)}
            self._browsers.tell("changes", told | {"picture": self.links.version})

    def _say(self, **status: Any) -> None:
        """How the agent is, where that is another than before."""
        status["picture"] = self.links.version
        if status != self.status:
            self.status = status
            self._browsers.tell("status", status)


def collect(events: Subscription) -> list[Event]:
    """What comes within the time of a batch; what there is of a storm."""
    batch: list[Event] = []
    end = time.monotonic() + BATCH_SECONDS
    while len(batch) < STORM and (left := end - time.monotonic()) > 0:
        event = events.next(left)
        if event is not None:
            batch.append(event)
    return batch


def entries_of(client: Client) -> list[Entry]:
    return [entry for prefix in PREFIXES for entry in client.get(prefix)]


def told_of(info: dict[str, Any]) -> dict[str, Any]:
    return {
        "agent": "here",
        "id": info["agent"],
        "version": info["version"],
        "kernel": info["kernel"],
        "instance": info["instance"],
        "revision": info["revision"],
        "items": info["items"],
    }

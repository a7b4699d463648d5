"""Those who look: each has a queue of server-sent events that cannot grow without an end."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

import msgspec

QUEUE_BYTES = 1 << 20
"""What one browser may leave unread. Beyond it all of that is dropped, and the browser told to load the page's data anew."""
BROWSERS = 64
PING_SECONDS = 10.0
"""So often something is sent, for those in between who end connections that are silent."""

_encode = msgspec.json.Encoder().encode


class TooMany(Exception):
    """There are as many browsers as there may be."""


def message(name: str, data: object) -> bytes:
    """A server-sent event. JSON has no line breaks, so the data is one line."""
    return b"event: " + name.encode() + b"\ndata: " + _encode(data) + b"\n\n"


class Browser:
    """What is still to be sent to one browser."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, data: bytes, status: bytes) -> None:
        """Queues an event; where there is no room for it, `status` alone remains, and that something was lost."""
        if self._bytes + len(data) > QUEUE_BYTES:
            self._queue.clear()
            self._bytes = 0
            self._add(status)
            data = message("reload", {"why": "slow"})
        self._add(data)
        self._wake.set()

    def _add(self, data: bytes) -> None:
        self._queue.append(data)
        self._bytes += len(data)

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def next(self) -> bytes:
        """What is to be sent, all at once; a comment where nothing happens, and nothing at the end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), PING_SECONDS)
        if self._closed:
            return b""
        data = b"".join(self._queue)
        self._queue.clear()
        self._bytes = 0
        self._wake.clear()
        return data or b":\n\n"


class Browsers:
    """All who look. To be made in the loop that serves them; `tell` is for any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._all: set[Browser] = set()
        self._status = b""

    def __len__(self) -> int:
        return len(self._all)

    def tell(self, name: str, data: object) -> None:
        """Sends an event to all. The last `status` is what a browser that comes is told first."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._put, name == "status", message(name, data))

    def _put(self, is_status: bool, data: bytes) -> None:
        if is_status:
            self._status = data
        for browser in self._all:
            browser.put(data, self._status)

    @contextlib.contextmanager
    def one(self) -> Iterator[Browser]:
        """A browser that has come. TooMany."""
        if len(self._all) >= BROWSERS:
            raise TooMany
        browser = Browser()
        browser.put(b"retry: 1000\n\n" + self._status, b"")
        self._all.add(browser)
        try:
            yield browser
        finally:
            self._all.discard(browser)

    def close(self) -> None:
        """Ends all streams; also for a signal's handler."""
        for browser in list(self._all):
            browser.close()

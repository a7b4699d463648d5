"""When a ZeroMQ socket may have something, as an event loop hears of it.

A socket's descriptor tells only that something has changed, and whatever is done with the socket takes that word away. So whoever
has heard it, or has sent, goes on until `is_ready` says that there is nothing.
"""

import asyncio
from collections.abc import Callable

import zmq


def is_ready(socket: "zmq.Socket[bytes]", events: int = zmq.POLLIN) -> bool:
    """Can it receive (or, with POLLOUT, send) at once?"""
    return bool(int(socket.get(zmq.EVENTS)) & events)


class Readiness:
    """Has `changed` called by the running loop when something may have come to one of the sockets, until it is closed."""

    def __init__(self, *sockets: "zmq.Socket[bytes]", changed: Callable[[], object]) -> None:
        self.loop = asyncio.get_running_loop()
        self._descriptors = [int(socket.get(zmq.FD)) for socket in sockets]
        for descriptor in self._descriptors:
            self.loop.add_reader(descriptor, changed)

    def close(self) -> None:
        if not self.loop.is_closed():
            for descriptor in self._descriptors:
                self.loop.remove_reader(descriptor)
        self._descriptors = []

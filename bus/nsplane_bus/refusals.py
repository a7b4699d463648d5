"""Whether an agent lets somebody in by TCP, as the monitor of a client's socket tells."""

import contextlib
import time

import zmq

from .keys.pair import Key

IN_A_ROW = 5
"""An agent that does not understand a greeting says nothing of it. Who is turned away once may have come when many came."""

FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
NEWS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
RECONNECT_MOST_MS = 2_000
AGAIN_SECONDS = 1.0
"""libzmq does not come again where it was refused. So this is done here, after so long, where somebody waits."""


def monitored(socket: "zmq.Socket[bytes]", key: Key | None) -> "zmq.Socket[bytes]":
    """The socket that tells of another one's connection, which is about to be made with this key."""
    if key is not None:
        key.secure(socket)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MOST_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 15_000)  # an agent that is gone without a word is noticed
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 45_000)
    monitor: zmq.Socket[bytes] = socket.get_monitor_socket(NEWS if key is None else NEWS | FAILED)
    return monitor


class Refusals:
    """`why` an agent does not let somebody in; None where it does, or where that is not known."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.outside = False
        """The last connection ended before a handshake did. What was to go through it goes through the next one."""
        self._again_at: float | None = None
        self._in_a_row = 0

    def take(self, head: bytes) -> int:
        """Takes in the news of a monitor (zmq_socket_monitor(3)). Returns which event it is."""
        event = int.from_bytes(head[:2], "little")
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.why, self.outside, self._in_a_row = None, False, 0
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self.outside = False
            self._again_at = time.monotonic() + AGAIN_SECONDS
            self.why = "it does not let this key in (`nsplane keys allow` there does)"
        elif event & FAILED:
            self.outside = True
            self._in_a_row += 1
            if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self.outside = False
                self._again_at = time.monotonic() + AGAIN_SECONDS
            if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL or self._in_a_row >= IN_A_ROW:
                self.why = "it does not greet as the server of this key does: is `server` its public key?"
        return event

    @property
    def pause(self) -> float | None:
        """For how many seconds it is not to be tried again; None where libzmq does so."""
        return None if self._again_at is None else max(0.0, self._again_at - time.monotonic())

    def come_again(self, socket: "zmq.Socket[bytes]", endpoint: str, at_once: bool = False) -> None:
        """Connects the socket again where it was refused, when it is time to."""
        if self._again_at is not None and (at_once or time.monotonic() >= self._again_at):
            self._again_at = self.why = None
            with contextlib.suppress(zmq.ZMQError):  # it knows of no connection there any more
                socket.disconnect(endpoint)
            socket.connect(endpoint)

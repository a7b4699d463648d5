"""One client's connection to an agent: its settings, its sockets and its exchange, whoever waits for what comes."""

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import zmq

from nsplane.errors import Closed

from .errors import BusError, TimedOut
from .exchange import Exchange, InFlight
from .operations import Requester
from .protocol import endpoints, is_ipv6

LINGER_MS = 2_000

T = TypeVar("T", bound=InFlight)


class Connection(Requester, Generic[T]):
    """What both clients have in common. `ticket` is their class of tickets; the other arguments are said at nsplane_bus.Client."""

    def __init__(
        self,
        ticket: Callable[..., T],
        endpoint: str | None,
        source: str,
        *,
        events: str | None,
        timeout: float,
        window: int,
        window_bytes: int,
        check: bool,
        resubmit: bool,
        settled: Callable[[T], object] | None = None,
    ) -> None:
        self.endpoint = endpoint or endpoints().bus
        self.source = source
        self.timeout = timeout
        self.window = window
        self.window_bytes = window_bytes
        self.check = check
        self._events = events
        self._exchange: Exchange[T] = Exchange(self, ticket, self.endpoint, window, window_bytes, resubmit, settled)
        self._linger = LINGER_MS
        """Milliseconds for what is still to be sent when it is closed: none where nothing was heard of the agent lately."""
        self._answered = -math.inf
        """When the last reply came."""
        self._let_in = False
        """Whether an agent has ever greeted it."""

    def _connect(self) -> None:
        self._socket, self._monitor = connect(self.endpoint, self.window)

    def _in_flight(self) -> list[T]:
        return list(self._exchange.in_flight.values())

    def _refuse_closed(self) -> None:
        if self._exchange.closed:
            raise Closed("the client is closed")

    def _refuse_unanswered(self, ticket: T) -> None:
        """BusError where a ticket that is not in flight has no reply and no error, and so will have none."""
        if ticket._error is None and ticket._reply is None:
            self._refuse_closed()
            raise BusError("no-reply", f"request {ticket.id} gets no reply")

    def _hear(self, now: float) -> None:
        """A reply came."""
        self._answered = now
        self._let_in = True
        self._linger = LINGER_MS

    def _no_room(self) -> TimedOut:
        return TimedOut(f"no room in the window of {self.window} requests within {self.timeout:g} s: replies come too slowly")

    def _send_at_once(self) -> None:
        """Sends what ZeroMQ has room for."""
        exchange = self._exchange
        while message := exchange.first_message():
            try:
                self._socket.send(message[0], zmq.DONTWAIT)
            except zmq.Again:
                break
            exchange.outgoing.popleft()
        exchange.forget()

    def _take_news(self) -> None:
        """Whether the connection was lost, or is there again. The replies that have come are to be taken in before."""
        with contextlib.suppress(zmq.Again):
            while True:
                head, _ = self._monitor.recv_multipart(zmq.DONTWAIT)
                if int.from_bytes(head[:2], "little") == zmq.EVENT_DISCONNECTED:
                    self._exchange.lost()
                else:
                    self._exchange.connected()
                    self._let_in = True
                    self._linger = LINGER_MS

    def _disconnect(self) -> None:
        """Hands over what is still to be sent, and closes whatever comes of it."""
        exchange = self._exchange
        exchange.close_message()
        exchange.connected()
        try:
            self._send_at_once()
        finally:
            exchange.close()
            self._socket.disable_monitor()
            self._monitor.close()
            self._socket.close(linger=self._linger)


def raise_first(tickets: Iterable[InFlight]) -> None:
    """The first error there is among them."""
    for ticket in tickets:
        error = ticket._failure()
        if error is not None:
            raise error


def connect(endpoint: str, window: int) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
    """A socket for requests, and the one that tells when its connection comes and goes."""
    made: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    made.setsockopt(zmq.SNDHWM, max(window, 1_000))
    made.setsockopt(zmq.RCVHWM, max(window, 1_000))
    made.setsockopt(zmq.RECONNECT_IVL, 50)
    made.setsockopt(zmq.IPV6, is_ipv6(endpoint))
    monitor: zmq.Socket[bytes] = made.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
    made.connect(endpoint)
    return made, monitor

"""What a service manager is told, by the protocol of sd_notify(3): when the agent is ready, how it is, and that it still turns."""

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping

log = logging.getLogger("nsplane.agent")

SHARE = 4
"""Signs of life within the time after which the service manager takes the agent for hung."""
ASKED_AGAIN_MS = 50
"""How often it is looked whether the agent is ready."""


class ServiceManager:
    """The one that has started this process; without one (there is no NOTIFY_SOCKET) nothing is told. The variables are taken out
    of `environment`, so that no child takes them for its own."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        path = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "0")
        whose = environment.pop("WATCHDOG_PID", str(os.getpid()))
        self._address = f"\0{path[1:]}" if path.startswith("@") else path  # abstract: unix(7)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if path else None
        self._pause: float | None = None
        """Seconds between two signs of life; None where nobody waits for any."""
        if path and whose == str(os.getpid()) and int(microseconds) > 0:
            self._pause = int(microseconds) / 1e6 / SHARE
        self._next = 0.0
        self._status = ""
        self._is_ready: Callable[[], bool] | None = None
        self._when_ready: tuple[str, ...] = ()

    def tell(self, *lines: str) -> None:
        """Sends `NAME=VALUE` lines. Never waits: a service manager that does not read is not to hold up the agent."""
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, self._address)
        except OSError as error:
            log.warning("the service manager was not told %s: %s", lines[0], error.strerror)

    def tell_when(self, is_ready: Callable[[], bool], *lines: str) -> None:
        """Sends them as soon as `is_ready` says so, which look() asks."""
        if self._socket is not None:
            self._is_ready, self._when_ready = is_ready, lines
            self.look()

    def look(self) -> None:
        """Tells what was to be told when the agent is ready, if that is so."""
        if self._is_ready is not None and self._is_ready():
            self._is_ready = None
            self.tell(*self._when_ready)

    @property
    def pause_ms(self) -> int | None:
        """For how long nothing has to be told, nor looked at."""
        look = None if self._is_ready is None else ASKED_AGAIN_MS
        if self._pause is None:
            return look
        sign = max(0, int((self._next - time.monotonic()) * 1000) + 1)
        return sign if look is None else min(sign, look)

    @property
    def due(self) -> bool:
        """Whether a sign of life is."""
        return self._pause is not None and time.monotonic() >= self._next

    def alive(self) -> None:
        """Gives a sign of life."""
        assert self._pause is not None
        self._next = time.monotonic() + self._pause
        self.tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Says how the agent is, unless it has said the same before."""
        if text != self._status:
            self._status = text
            self.tell(f"STATUS={text}")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

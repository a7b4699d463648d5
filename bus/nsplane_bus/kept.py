"""A command of ours as a process of the agent's: a process, so that nothing that it does ever holds up the bus."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import zmq

from .client import Client
from .errors import BusError

log = logging.getLogger("nsplane.agent")

ENDS = 3.0
"""Seconds in which a watcher has ended by itself: one that is stopped (SIGSTOP), or stuck, does not."""
AGAIN = 1.0
"""Seconds before one that has ended is started anew."""


class KeptProcess:
    """Runs `nsplane COMMAND` (which is `called` so in the log) with these arguments until it is closed, and starts it anew where it
    ends. The child ends when its standard input does: so it never outlives the agent, however that ends."""

    def __init__(self, command: str, called: str, arguments: Sequence[str], connect_bus: Callable[[], Client]) -> None:
        self._called = called
        self._connect_bus = connect_bus
        self._command = [sys.executable, "-P", "-m", "nsplane_bus", command, "--until-input-ends", *arguments]
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=called, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while True:
            with self._started:
                if self._closing.is_set():
                    return
                process = self._start()
            trouble = f"the {self._called} " + ("cannot be started" if process is None else f"has ended with code {process.wait()}")
            if not self._closing.is_set():
                self._tell(trouble)
            self._closing.wait(AGAIN)

    def _start(self) -> subprocess.Popen[bytes] | None:
        """None where there is no process, memory or descriptor for it now."""
        try:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)
        except OSError as error:
            log.warning("the %s cannot be started: %s", self._called, error.strerror)
            self._process = None
        return self._process

    def _tell(self, trouble: str) -> None:
        log.warning("%s; starting it again", trouble)
        try:
            with self._connect_bus() as bus:
                bus.status("ended", trouble)
        except (BusError, OSError, zmq.ZMQError) as error:
            log.warning("the agent was not told: %s", error)

    def close(self) -> None:
        with self._started:
            self._closing.set()
            process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        self._thread.join(ENDS)
        if process is not None and self._thread.is_alive():
            process.kill()
        self._thread.join()

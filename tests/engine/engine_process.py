"""An engine with a journal in a process of its own, which can be killed."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from nsplane import Engine, Journal

from .conftest import SLOWNESS, quiet

PATIENCE = 60.0


class EngineProcess:
    """Asks an engine in another process. It is forked, so this process is to have no other thread and no engine."""

    def __init__(self, agent_id: str, directory: Path, snapshot_bytes: int = 64 << 20, nexthop_objects: bool = False) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        self.pid = os.fork()
        if not self.pid:
            self._connection.close()
            _serve(theirs, agent_id, directory, snapshot_bytes, nexthop_objects)
        theirs.close()

    def send(self, what: str, message: dict[str, Any] | None = None) -> None:
        """Asks for something, and does not wait."""
        self._connection.send((what, message))

    def receive(self) -> Any:
        """What it answers to the oldest question."""
        if not self._connection.poll(PATIENCE * SLOWNESS):
            raise TimeoutError("the engine does not answer")
        answer = self._connection.recv()
        if isinstance(answer, str):
            raise AssertionError(answer)
        return answer

    def heard(self) -> bool:
        """Did it answer before it ended?"""
        try:
            self.receive()
        except (EOFError, ConnectionResetError):
            return False
        return True

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.send("ask", message)
        answer: dict[str, Any] = self.receive()
        return answer

    def rest(self) -> None:
        """Until it has nothing to do."""
        self.send("rest")
        self.receive()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def close(self) -> None:
        self._connection.close()


def _serve(connection: Connection, agent_id: str, directory: Path, snapshot_bytes: int, nexthop_objects: bool) -> NoReturn:
    try:
        journal = Journal(directory, snapshot_bytes=snapshot_bytes)
        with Engine(agent_id, journal, nexthop_objects=nexthop_objects) as engine:
            while True:
                select.select([connection.fileno(), engine.fileno()], [], [])
                engine.process()
                if connection.poll(0):
                    _answer(connection, engine)
    except EOFError:
        os._exit(0)
    except BaseException:
        connection.send(traceback.format_exc())
        os._exit(1)


def _answer(connection: Connection, engine: Engine) -> None:
    what, message = connection.recv()
    if what == "rest":
        quiet(engine)
        connection.send(None)
    else:
        connection.send(engine._ask(message, PATIENCE))

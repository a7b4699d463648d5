"""What the pages ask the agent: one question after another, in a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import zmq

from ..client import Client
from ..errors import BusError
from ..protocol import Endpoints

T = TypeVar("T")

SECONDS = 5
"""How long an answer may take."""


class Questions:
    def __init__(self, where: Endpoints, key: Path | None = None) -> None:
        self._where = where
        self._key = key
        self._client: Client | None = None
        self._thread = ThreadPoolExecutor(1, "questions")

    async def ask(self, question: Callable[[Client], T]) -> T:
        """What the question, which is put to a client, comes to. BusError where there is no agent, or no answer; ZMQError or
        OSError where nothing can be asked, for want of descriptors."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, question)

    def _ask(self, question: Callable[[Client], T]) -> T:
        if self._client is None:
            self._client = Client(self._where.bus, events=self._where.events, timeout=SECONDS, key=self._key)
        try:
            return question(self._client)
        except (BusError, zmq.ZMQError, OSError):
            self._close()
            raise

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """Waits for the question that is under way."""
        self._thread.submit(self._close)
        self._thread.shutdown()

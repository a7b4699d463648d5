"""Connections to a docker engine, made as docker's own client makes them, and the stream of its events."""

import queue
import threading
import time
from typing import Any

import docker
import docker.errors
import docker.utils
import requests
import urllib3

from . import context

Event = dict[str, Any]

LOST = (docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)
"""What an engine that does not answer raises, out of the SDK and what is under it."""


def find(host: str | None) -> dict[str, Any]:
    """Which engine is meant, as the arguments of docker.APIClient, `base_url` among them: `host`, or where docker's own client
    would go: DOCKER_HOST, DOCKER_CONTEXT, or the context of its configuration. NoContext where that is not there."""
    if host is not None:
        return {"base_url": host}
    arguments: dict[str, Any] = {**docker.utils.kwargs_from_env()}
    return arguments if "base_url" in arguments else context.read()


def described(error: BaseException) -> str:
    """An error in a few words: the engine's own where it has answered, the system's where that lies at the bottom."""
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation)
    words = str(error)
    at: BaseException | None = error
    while at is not None:
        words = getattr(at, "strerror", None) or words
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return words


class Ended(docker.errors.DockerException):
    """The engine, or something in between, ended the stream."""


class EventStream:
    """The events of an engine's containers from a second on, that one included: read by a thread, so that whoever follows them can
    do something else meanwhile."""

    def __init__(self, engine: docker.APIClient, since: int, silence: float) -> None:
        """After `silence` seconds without an event the stream is not believed any more."""
        self._stream = engine.events(since=since, filters={"type": "container"}, decode=True)
        self._read_so_far: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()
        self._silence = silence
        self._last_event = time.monotonic()
        self._closed = False
        threading.Thread(target=self._read, name="docker events", daemon=True).start()

    def next(self, timeout: float) -> Event | None:
        """The next event, or None where there is none within `timeout` seconds. Raises TimeoutError where nothing has been heard
        for too long, and Ended."""
        try:
            event = self._read_so_far.get(timeout=timeout)
        except queue.Empty:
            if time.monotonic() > self._last_event + self._silence:
                raise TimeoutError(f"nothing was heard for {self._silence:g} s") from None
            return None
        if isinstance(event, Exception):
            raise event
        self._last_event = time.monotonic()
        return event

    def close(self) -> None:
        self._closed = True
        self._stream.close()

    def _read(self) -> None:
        try:
            for event in self._stream:
                self._read_so_far.put(event)
        except Exception as error:
            if not self._closed:  # it is closed by taking the socket away from under the SDK, which raises what it likes then
                self._read_so_far.put(error)
        else:
            self._read_so_far.put(Ended("the stream of events has ended"))

"""The gate's socket: one question a connection, each in a task of its own, and none for longer than it says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BusError
from ..printable import printable
from . import containers
from .bus import Bus
from .containers import BadWish, CannotRead, Container
from .docker import DockerLabels
from .wire import END, REQUEST_LIMIT, Answer, NotAsked, Question, decode

log = logging.getLogger("nsplane.gate")

SECONDS = 10.0
"""For so long a start is held at most, where the forwarder does not say it."""
READ_SECONDS = 5.0
"""A forwarder has so long to say what it asks, and to take its answer."""
PEERS_MOST = 1_024
VALID = "cni.dev/valid-attachments"
PEER_CREDENTIALS = struct.Struct("3i")
"""struct ucred: PID, UID, GID (unix(7))."""


class CannotListen(Exception):
    """The socket cannot be there; says why."""


class Gate:
    """The answers. `settings` say what names a microservice."""

    def __init__(self, bus: Bus, labels: DockerLabels | None, settings: containers.Settings) -> None:
        self._bus = bus
        self._labels = labels
        self._settings = settings
        self._peers = 0

    async def serve(self, path: Path) -> None:
        """Listens at a path until it is cancelled, in the place of whoever did before."""
        listener = listen(path)
        identity = os.stat(path)
        server = await asyncio.start_unix_server(self._meet, sock=listener, limit=REQUEST_LIMIT)
        log.info("holding starts of containers at %s", path)
        if self._labels is not None:
            self._labels.prepare()
        beat = asyncio.create_task(self._bus.beat(f"listening at {path}"))
        try:
            async with server:
                await server.serve_forever()
        finally:
            beat.cancel()
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), identity):  # and not one that took its place
                    path.unlink()

    # ---- one connection ----

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers += 1
        try:
            if self._peers > PEERS_MOST:
                log.warning("%d forwarders ask at once: no more are heard", PEERS_MOST)
            elif is_allowed(writer):
                await self._hear(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
            log.debug("a forwarder has gone: %s", error)
        except Exception:
            log.exception("a question met an error")  # the forwarder decides by its policy
        finally:
            self._peers -= 1
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(READ_SECONDS):
                data = await reader.readuntil(END)
            question = decode(data, SECONDS)
        except asyncio.LimitOverrunError:
            answer: Answer | None = Answer("late", f"the question has more than {REQUEST_LIMIT} bytes")
        except NotAsked as error:
            answer = Answer("late", f"this is no question: {error}")
        else:
            answer = await unless_gone(reader, self.answer(question, began + question.seconds))
        if answer is None:
            return
        if answer.word == "late" or answer.word == "refused":
            log.warning("%s: %s", answer.word, printable(answer.reason))
        writer.write(answer.encode())
        async with asyncio.timeout(READ_SECONDS):
            await writer.drain()

    # ---- what is asked ----

    async def answer(self, question: Question, end: float) -> Answer:
        """What is to become of it; by `end`, of the event loop's time."""
        try:
            match question.verb:
                case "start":
                    about = question.get("id"), question.get("bundle"), question.get("pid")
                    return await self._start(containers.of_bundle(*about, self._settings), end, asks_docker=True)
                case "create":
                    return await self._start(containers.of_state(question.get("state"), self._settings), end)
                case "add":
                    return await self._start(self._pod(question), end)
                case "check":
                    return await self._check(question, end)
                case "del":
                    await self._bus.forget(question.get("id"), end)
                case "gc":
                    await self._bus.keep(_valid(question.get("config")), end)
                case "status":
                    await self._bus.of_paths(end)
        except BadWish as error:
            return Answer("refused", str(error))
        except (BusError, CannotRead) as error:
            return Answer("refused" if question.verb == "status" else "late", str(error))
        return Answer("ok")

    async def _start(self, container: Container, end: float, asks_docker: bool = False) -> Answer:
        if container.label is None and asks_docker and self._labels is not None:
            container = replace(container, label=await self._labels.label_of(container.id))
        if container.label is None:
            return Answer("ignored")
        loop = asyncio.get_running_loop()
        began = loop.time()
        waiting = await self._bus.hold(container, end)
        if waiting:
            return Answer("late", f"{container.label}: not all is applied: {'; '.join(waiting)}")
        about = {"container": container.id, "label": container.label, "namespace": f"microservice/{container.label}"}
        log.info("%s was held for %.1f ms", container.label, (loop.time() - began) * 1000, extra=about)
        return Answer("ok")

    def _pod(self, question: Question) -> Container:
        about = question.get("id"), question.get("netns"), question.get("args"), question.get("config")
        return containers.of_pod(*about, self._settings)

    async def _check(self, question: Question, end: float) -> Answer:
        pod = self._pod(question)
        if pod.label is None:
            return Answer("ignored")
        if not any((entry["label"], entry["container"]) == (pod.label, pod.id) for entry in await self._bus.of_paths(end)):
            return Answer("refused", f"the agent does not know container {pod.id} as {pod.label}")
        lacking = [f"{key} is not configured" for key in pod.wait_for or () if not await self._bus.is_configured(key, end)]
        wrong = lacking + await self._bus.failed(pod.label, end)
        return Answer("refused", f"{pod.label}: {'; '.join(wrong)}") if wrong else Answer("ok")


async def unless_gone(reader: asyncio.StreamReader, answering: Coroutine[Any, Any, Answer]) -> Answer | None:
    """The answer; None where who asked has gone meanwhile."""
    answer = asyncio.create_task(answering)
    gone = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        return await answer if answer.done() else None
    finally:
        gone.cancel()
        answer.cancel()


def _valid(config: str) -> frozenset[str]:
    """The containers that a runtime still has: cni.dev/valid-attachments of the configuration. CannotRead."""
    try:
        given = msgspec.json.decode(config.encode(errors="surrogateescape"))
        return frozenset(str(one["containerID"]) for one in given[VALID])
    except (msgspec.DecodeError, TypeError, KeyError):
        raise CannotRead(f"the plugin's configuration has no {VALID}") from None


def is_allowed(writer: asyncio.StreamWriter) -> bool:
    """Is it of root, or of the user that the gate is?"""
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    _, uid, _ = PEER_CREDENTIALS.unpack(peer)
    if uid not in (0, os.geteuid()):
        log.warning("user %d may not ask", uid)
    return uid in (0, os.geteuid())


def listen(path: Path) -> socket.socket:
    """A socket at a path, for its own user only, in the place of what was there. CannotListen."""
    if path.exists() and not path.is_socket():
        raise CannotListen(f"{path}: there is something else than a socket")
    born = path.with_name(f".{path.name}.{os.getpid():x}")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        born.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            made.bind(str(born))
        finally:
            os.umask(mask)
        made.listen(128)
        born.rename(path)
    except OSError as error:
        made.close()
        raise CannotListen(f"{path}: {error.strerror or error}") from None
    made.setblocking(False)
    return made

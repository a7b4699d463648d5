"""What runs, as those who know say it: the request `microservice`."""

from __future__ import annotations

import errno

from nsplane.errors import BadRequest, ItemError
from nsplane.kernel import KernelError
from nsplane.model.items import check_label
from nsplane.model.requests import Microservice, Request, Running
from nsplane.world.microservices import Microservices


class Announcements:
    """Requests that say what runs. One is answered when it is recorded, and recorded when what waited for it is under way."""

    def __init__(self, microservices: Microservices, instance: str) -> None:
        self._microservices = microservices
        self._instance = instance
        self._taken: list[tuple[Request, dict[str, object]]] = []

    def take(self, envelope: Microservice, request: Request) -> None:
        """Has it known; `answer` answers it. BadRequest."""
        self._taken.append((request, {"instance": self._instance} | announce(self._microservices, envelope)))

    def answer(self) -> None:
        """What waited for those that were taken is under way."""
        taken, self._taken = self._taken, []
        for request, body in taken:
            request.complete(body)


def announce(microservices: Microservices, envelope: Microservice) -> dict[str, object]:
    """Has it known. Returns what the answer has of it; BadRequest."""

    def refuse(path: str, message: str) -> BadRequest:
        return BadRequest("bad-request", message, path, envelope.id)

    def check(label: str, pid: int | None, path: str) -> None:
        try:
            check_label(label, "label")
        except ItemError as error:
            raise refuse(path + "label", error.message) from None
        if pid is not None and not 1 <= pid < 2**31:
            raise refuse(path + "pid", f"{pid} is no process number")

    if envelope.event == "status":
        if envelope.state is None:
            raise refuse("state", "is missing")
        microservices.heard_of(envelope.source, envelope.state, envelope.message)
        return {}
    if envelope.event == "list":
        if envelope.microservices is None:
            raise refuse("microservices", "is missing")
        for i, one in enumerate(envelope.microservices):
            check(one.label, one.pid, f"microservices[{i}].")
        return {"refused": microservices.replace(envelope.source, envelope.microservices)}
    if envelope.label is None:
        raise refuse("label", "is missing")
    check(envelope.label, envelope.pid, "")
    if envelope.event == "stopped":
        microservices.stopped(envelope.source, envelope.label, envelope.pid, envelope.container)
        return {}
    if envelope.pid is None:
        raise refuse("pid", "is missing")
    running = Running(envelope.label, envelope.pid, envelope.container, envelope.name, envelope.started_at, envelope.start_time)
    try:
        microservices.started(envelope.source, running)
    except KernelError as error:
        code = "no-such-process" if error.errno == errno.ESRCH else "no-resources"
        raise BadRequest(code, error.strerror or str(error), "pid", envelope.id) from None
    return {}

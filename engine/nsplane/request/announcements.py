"""What runs, as those who know say it: the request `microservice`."""

from __future__ import annotations

from nsplane.errors import BadRequest, ItemError
from nsplane.kernel import KernelError
from nsplane.model.items import check_label
from nsplane.model.requests import Microservice, Request, Running
from nsplane.request.starts import Starts
from nsplane.world.microservices import GONE, Instance, Microservices


class Announcements:
    """Requests that say what runs. One is answered when it is recorded, and recorded when what waited for it is under way; a start
    that is to be held, when that has been applied."""

    def __init__(self, microservices: Microservices, starts: Starts, instance: str) -> None:
        self._microservices = microservices
        self._starts = starts
        self._instance = instance
        self._taken: list[tuple[Request, dict[str, object]]] = []

    def take(self, envelope: Microservice, request: Request) -> None:
        """Has it known; `answer` answers it. BadRequest."""
        body: dict[str, object] = {"instance": self._instance}
        if envelope.event == "started":
            if envelope.wait == "applied":
                self._starts.refuse_more(envelope)
            instance = start(self._microservices, envelope)
            if envelope.wait == "applied":
                self._starts.hold(envelope, request, instance, body)
                return
        else:
            body |= announce(self._microservices, envelope)
        self._taken.append((request, body))

    def answer(self) -> None:
        """What waited for those that were taken is under way; perhaps it is done, for those that wait for that."""
        taken, self._taken = self._taken, []
        for request, body in taken:
            request.complete(body)
        self._starts.look()


def start(microservices: Microservices, envelope: Microservice) -> Instance:
    """Has a start known. BadRequest."""
    about = envelope.pid, envelope.container, envelope.name, envelope.started_at, envelope.start_time, envelope.netns
    running = Running(_label(envelope), *about)
    _check(envelope, running, "")
    _check_place(envelope, running, "")
    try:
        return microservices.started(envelope.source, running)
    except KernelError as error:
        code = "no-such-process" if error.errno in GONE else "no-resources"
        path = "pid" if running.netns is None else "netns"
        raise BadRequest(code, error.strerror or str(error), path, envelope.id) from None


def announce(microservices: Microservices, envelope: Microservice) -> dict[str, object]:
    """Has anything else known that is not a start. Returns what the answer has of it; BadRequest."""
    if envelope.event == "status":
        if envelope.state is None:
            raise _refuse(envelope, "state", "is missing")
        microservices.heard_of(envelope.source, envelope.state, envelope.message)
        return {}
    if envelope.event == "list":
        if envelope.microservices is None:
            raise _refuse(envelope, "microservices", "is missing")
        for i, one in enumerate(envelope.microservices):
            _check(envelope, one, f"microservices[{i}].")
            _check_place(envelope, one, f"microservices[{i}].")
        return {"refused": microservices.replace(envelope.source, envelope.microservices)}
    label = _label(envelope)
    _check(envelope, Running(label, envelope.pid), "")
    microservices.stopped(envelope.source, label, envelope.pid, envelope.container, envelope.netns)
    return {}


def _label(envelope: Microservice) -> str:
    if envelope.label is None:
        raise _refuse(envelope, "label", "is missing")
    return envelope.label


def _check(envelope: Microservice, running: Running, path: str) -> None:
    try:
        check_label(running.label, "label")
    except ItemError as error:
        raise _refuse(envelope, path + "label", error.message) from None
    if running.pid is not None and not 1 <= running.pid < 2**31:
        raise _refuse(envelope, path + "pid", f"{running.pid} is no process number")


def _check_place(envelope: Microservice, running: Running, path: str) -> None:
    if running.pid is None and running.netns is None:
        raise _refuse(envelope, path + "pid", "is missing")
    if running.pid is not None and running.netns is not None:
        raise _refuse(envelope, path + "netns", "is given beside `pid`")


def _refuse(envelope: Microservice, path: str, message: str) -> BadRequest:
    return BadRequest("bad-request", message, path, envelope.id)

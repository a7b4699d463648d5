"""What was closed, submitted or let go of says so when it is used, and so does what a forked child has of its parent's."""

from __future__ import annotations

import inspect
import os
import select
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from nsplane import kernel
from nsplane.errors import Closed
from nsplane.kernel import Core, Event, Frame, Monitor, Op, Timer
from nsplane.kernel.handle import Handle

OPENED: list[type[Handle]] = [Core, Monitor, Timer]


def argument(annotation: str) -> Any:
    """Something of a parameter's type."""
    plain = {"int": 0, "float": 1.0, "bool": True, "str": "x", "bytes": b"\x90", "str | None": None, "Frame | None": None}
    if annotation in plain:
        return plain[annotation]
    if annotation == "Op":
        return Op(1)
    return Frame() if annotation == "Frame" else Monitor()


def uses(of: type[Handle]) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Everything public that can be done with one, but to close it."""
    for name, member in inspect.getmembers(of):
        if name.startswith("_") or name == "close" or isinstance(inspect.getattr_static(of, name), staticmethod):
            continue
        if isinstance(member, property):
            yield name, member.fget  # type: ignore[misc]
        elif callable(member):
            given = [argument(p.annotation) for p in list(inspect.signature(member).parameters.values())[1:]]
            yield name, lambda one, member=member, given=given: list(member(one, *given) or [])  # type: ignore[misc]


@pytest.mark.parametrize("of", OPENED)
def test_closed_once_and_for_all(of: type[Handle]) -> None:
    one = of()  # type: ignore[call-arg]
    one.close()
    one.close()
    assert len(list(uses(of))) >= 3
    for name, use in uses(of):
        try:
            use(one)
        except Closed as error:
            assert "is closed" in str(error)  # noqa: PT017 - the name of what did not raise is wanted
        else:
            pytest.fail(f"{name} can be used")
    one.close()


def test_a_descriptor_closed_twice_is_nobody_elses() -> None:
    timer = Timer()
    number = timer.fd
    timer.close()
    other, writer = os.pipe()
    try:
        assert number in (other, writer)
        timer.close()
        os.fstat(number)
    finally:
        os.close(other)
        os.close(writer)


def test_a_frame_without_its_request() -> None:
    request = msgspec.msgpack.encode({"op": "put", "items": [{"kind": "route", "interface": 5}, {"kind": "veth"}]})
    core, frame = Core(), Frame()
    assert core.compare_sweep(frame, core.origin("s", 0)) == (0, b"")  # it names nothing
    frame.read(request)
    assert len(list(frame.faults())) == len(list(frame.others())) == 1
    frame.release()
    serial = core.open_request()
    attempts: list[Callable[[], object]] = [
        lambda: frame.envelope,
        lambda: list(frame.faults()),
        lambda: list(frame.others()),
        lambda: core.put(frame, serial, 0, False),
        lambda: core.delete(frame, serial, 0, False, False),
        lambda: core.check(frame, serial, 0),
        lambda: core.compare(frame, 0),
    ]
    for attempt in attempts:
        with pytest.raises(Closed, match="no request"):
            attempt()
    with pytest.raises(kernel.FrameError):
        frame.read(b"\x93")
    with pytest.raises(Closed, match="no request"):
        list(frame.faults())
    frame.read(request)
    core.put(frame, serial, core.origin("s", 0), False)
    core.commit_request(serial)
    assert len(msgspec.msgpack.decode(core.result(serial).data)) == 11
    core.close()


def wait_for(core: Core) -> None:
    assert select.select([core.fd], [], [], 60)[0]


def test_an_operation_is_submitted_once() -> None:
    netns = kernel.create_anonymous_netns()
    core = Core()
    number = core.add_netns(netns)
    op = Op(0).stage(number)
    core.submit(op)
    with pytest.raises(Closed, match="was submitted"):
        op.delete_group(77)
    with pytest.raises(Closed, match="was submitted"):
        core.submit(op)
    wait_for(core)
    result = core.poll()
    assert isinstance(result, kernel.OpResult)
    assert (result.cookie, result.error) == (0, 0)
    assert core.has_begun(op)  # the core has freed it
    core.close()
    os.close(netns)


def test_nobody_hears_for_a_core_that_is_closed() -> None:
    netns = kernel.create_anonymous_netns()
    core, route_monitor = Core(), Monitor()
    core.listen(route_monitor)
    core.set_nsid(core.add_netns(netns), route_monitor.watch(netns))
    command = "ip link set lo up && ip route add 10.0.0.0/8 dev lo proto 110 && ip route del 10.0.0.0/8 dev lo"
    subprocess.run(["nsenter", f"--net=/proc/self/fd/{netns}", "sh", "-c", command], check=True, pass_fds=[netns])
    core.close()
    assert select.select([route_monitor.fd], [], [], 60)[0]
    heard: list[Event] = route_monitor.read()
    assert heard == []
    route_monitor.close()
    os.close(netns)


def test_a_forked_child_leaves_them_to_its_parent() -> None:
    core, monitor, timer = Core(), Monitor(), Timer()
    netns = kernel.create_anonymous_netns()
    core.submit(Op(1).stage(core.add_netns(netns)))
    child = os.fork()
    if child == 0:
        outcome = 1
        try:
            for one in (core, monitor, timer):
                try:
                    assert one.fd < 0
                except Closed as error:
                    assert "parent" in str(error)  # noqa: PT017 - pytest is the parent's as well
                one.close()
                one.close()
            Core().close()
            outcome = 0
        finally:
            os._exit(outcome)
    pidfd = os.pidfd_open(child)
    assert select.select([pidfd], [], [], 60)[0], "the child hangs"
    assert os.waitpid(child, 0)[1] == 0
    os.close(pidfd)

    wait_for(core)
    assert isinstance(core.poll(), kernel.OpResult)
    nsid = monitor.watch(netns)
    timer.set(0.001)
    assert select.select([timer.fd], [], [], 60)[0]
    assert nsid >= 0
    for one in (core, monitor, timer):
        one.close()
    os.close(netns)

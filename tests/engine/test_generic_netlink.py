"""Requests to families of generic netlink: asked by themselves, and in the order of an operation."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator

import pytest

from nsplane.errors import Closed
from nsplane.kernel import (
    Core,
    GenericRequest,
    GenericSocket,
    KernelError,
    LinkChange,
    Op,
    OpResult,
    create_anonymous_netns,
)
from nsplane.kernel.codecs import FLAG, NLA_F_NESTED, TEXT, join, split

FEATURES_GET, FEATURES_SET = 11, 12
HEADER, WANTED, ACTIVE = 1, 3, 4
DEV_NAME = 2
BITS, BIT, BIT_NAME, BIT_VALUE = 3, 1, 2, 3
"""linux/ethtool_netlink.h"""


def nested(kind: int, *attributes: tuple[int, bytes]) -> tuple[int, bytes]:
    return kind | NLA_F_NESTED, join(attributes)


def named(link: str) -> tuple[int, bytes]:
    return nested(HEADER, (DEV_NAME, TEXT.pack(link)))


@pytest.fixture
def netns() -> Iterator[int]:
    fd = create_anonymous_netns()
    yield fd
    os.close(fd)


def active(netns: int, link: str) -> set[str]:
    socket = GenericSocket(netns)
    (answer,) = socket.ask(GenericRequest(socket.family("ethtool"), FEATURES_GET, join([named(link)])))
    socket.close()
    bits = dict(split(dict(split(answer.attributes))[ACTIVE]))[BITS]
    return {TEXT.unpack(dict(split(bit))[BIT_NAME]) for _, bit in split(bits)}


def carried_out(core: Core, op: Op) -> OpResult:
    core.submit(op)
    while (result := core.poll()) is None:
        select.select([core.fd], [], [], 60)
    assert isinstance(result, OpResult)
    return result


def test_a_family_is_known_by_its_name_and_answers(netns: int) -> None:
    socket = GenericSocket(netns)
    assert socket.family("nlctrl") == 16
    with pytest.raises(KernelError, match="generic netlink family nobody: No such file") as caught:
        socket.family("nobody")
    assert caught.value.errno == errno.ENOENT
    families = socket.ask(GenericRequest(16, 3), dump=True)
    assert b"ethtool\0" in {dict(split(answer.attributes))[2] for answer in families}
    with pytest.raises(KernelError, match="no device matches name"):
        socket.ask(GenericRequest(socket.family("ethtool"), FEATURES_GET, join([named("none")])))
    socket.close()
    with pytest.raises(Closed):
        socket.family("nlctrl")


def test_answers_that_need_more_room_are_asked_for_again(netns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = GenericSocket(netns)
    whole = socket.ask(GenericRequest(16, 3), dump=True)
    monkeypatch.setattr(GenericSocket, "ROOM", 64)
    assert socket.ask(GenericRequest(16, 3), dump=True) == whole
    socket.close()


def test_a_stage_of_an_operation_has_requests_in_their_order(netns: int) -> None:
    core = Core()
    number = core.add_netns(netns)
    socket = GenericSocket(netns)
    family = socket.family("ethtool")
    socket.close()
    off = nested(WANTED, nested(BITS, nested(BIT, (BIT_NAME, TEXT.pack("tx-tcp-segmentation")))))
    op = Op(1).stage(number)
    op.create(LinkChange(name="a", kind="veth"), LinkChange(name="b"))
    op.stage(number, generic=True)
    op.request(GenericRequest(family, FEATURES_SET, join([named("a"), off])))
    assert carried_out(core, op).error == 0
    assert "tx-tcp-segmentation" not in active(netns, "a")
    assert "tx-tcp-segmentation" in active(netns, "b")

    on = nested(WANTED, nested(BITS, nested(BIT, (BIT_NAME, TEXT.pack("no-such-feature")), (BIT_VALUE, FLAG.pack(True)))))
    op = Op(2).stage(number, generic=True)
    op.request(GenericRequest(family, FEATURES_SET, join([named("a"), on])))
    op.stage(number)
    op.change(LinkChange(name="a", up=True))
    result = carried_out(core, op)
    assert (result.error, result.failed, result.text) == (errno.EOPNOTSUPP, 1, "bit name not found")
    op = Op(3).stage(number, tries=True, generic=True)
    op.request(GenericRequest(family, FEATURES_SET, join([named("a"), on])))
    result = carried_out(core, op)
    assert (result.error, result.failed) == (0, 1)
    core.close()

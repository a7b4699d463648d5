"""What a link is of its kind, and as a port of its master, goes to the kernel and comes back as bytes."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator

import pytest

from nsplane.kernel import Core, KernelError, Link, LinkChange, Monitor, Op, create_anonymous_netns
from nsplane.kernel.codecs import U16, U32, Codec, join, split

from .conftest import run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: network namespaces are made")

IFLA_BR_AGEING_TIME, IFLA_BR_PRIORITY, IFLA_BRPORT_COST, IFLA_MACVLAN_MODE, IFLA_VXLAN_ID = 4, 6, 3, 1, 1
MACVLAN_MODE_BRIDGE = 4


def attribute(kind: int, codec: Codec[int], value: int) -> bytes:
    return join([(kind, codec.pack(value))])


def number(data: bytes, wanted: int) -> int | None:
    """The number in an attribute, None where it is not there."""
    return next((int.from_bytes(payload, sys.byteorder) for kind, payload in split(data) if kind == wanted), None)


class Place:
    """A namespace in which operations are carried out."""

    def __init__(self) -> None:
        self.core = Core()
        self.netns = create_anonymous_netns()
        self.number = self.core.add_netns(self.netns)

    def do(self, *changes: LinkChange, new: bool = False, netns_fd: int | None = None) -> None:
        """Creates or changes links, all of them."""
        op = Op(1).stage(self.number)
        for change in changes:
            op.create(change, None, netns_fd) if new else op.change(change)
        self.core.submit(op)
        while (result := self.core.poll()) is None:
            select.select([self.core.fd], [], [], 60)
        assert not isinstance(result, int)
        if result.error:
            raise KernelError(result.error, result.text)

    def links(self) -> dict[str, Link]:
        return {event.link.name: event.link for event in Monitor.survey(self.netns) if event.link is not None}

    def run(self, command: str) -> None:
        run(f"nsenter --net=/proc/{os.getpid()}/fd/{self.netns} {command}")


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.core.close()
    os.close(place.netns)


def test_a_link_is_born_with_what_it_is_and_changed_in_place(place: Place) -> None:
    born = attribute(IFLA_BR_AGEING_TIME, U32, 12300) + attribute(IFLA_BR_PRIORITY, U16, 4096)
    place.do(LinkChange(name="br", kind="bridge", group=5, data=born), new=True)
    link = place.links()["br"]
    assert (number(link.data, IFLA_BR_AGEING_TIME), number(link.data, IFLA_BR_PRIORITY)) == (12300, 4096)

    place.do(LinkChange(index=link.index, kind="bridge", mtu=1400, data=attribute(IFLA_BR_PRIORITY, U16, 8192)))
    changed = place.links()["br"]
    assert (number(changed.data, IFLA_BR_AGEING_TIME), number(changed.data, IFLA_BR_PRIORITY)) == (12300, 8192)
    assert (changed.index, changed.mtu) == (link.index, 1400)
    assert link.is_other(changed)


def test_a_link_stands_on_another_one(place: Place) -> None:
    place.do(LinkChange(name="below", kind="bridge"), new=True)
    below = place.links()["below"].index
    mode = attribute(IFLA_MACVLAN_MODE, U32, MACVLAN_MODE_BRIDGE)
    place.do(LinkChange(name="above", kind="macvlan", link=below, group=5, data=mode), new=True)
    above = place.links()["above"]
    assert above.link == below
    assert number(above.data, IFLA_MACVLAN_MODE) == MACVLAN_MODE_BRIDGE


def test_a_link_is_born_in_another_namespace_than_what_it_stands_on(place: Place) -> None:
    elsewhere = create_anonymous_netns()
    place.do(LinkChange(name="below", kind="bridge"), new=True)
    below = place.links()["below"].index
    place.do(LinkChange(name="above", kind="macvlan", link=below), new=True, netns_fd=elsewhere)
    assert "above" not in place.links()
    assert [event.link.link for event in Monitor.survey(elsewhere) if event.link is not None and event.link.name == "above"] == [
        below
    ]
    os.close(elsewhere)


def test_a_port_has_settings_of_its_master(place: Place) -> None:
    place.do(LinkChange(name="br", kind="bridge"), LinkChange(name="port", kind="ifb", group=5), new=True)
    links = place.links()
    assert (links["port"].slave_kind, links["port"].slave_data) == ("", b"")
    place.do(
        LinkChange(index=links["port"].index, master=links["br"].index),
        LinkChange(index=links["port"].index, slave_data=attribute(IFLA_BRPORT_COST, U32, 77)),
    )
    port = place.links()["port"]
    assert (port.slave_kind, number(port.slave_data, IFLA_BRPORT_COST)) == ("bridge", 77)


def test_bytes_of_links_that_nobody_has_marked_are_left_where_they_are(place: Place) -> None:
    vxlan = LinkChange(name="foreign", kind="vxlan", data=attribute(IFLA_VXLAN_ID, U32, 7))
    place.do(vxlan, LinkChange(name="ours", kind="bridge"), new=True)
    place.do(LinkChange(name="ours", alias="a mark"))
    links = place.links()
    assert links["foreign"].data == b""
    assert number(links["ours"].data, IFLA_BR_PRIORITY) == 32768


def test_there_is_room_for_many(place: Place) -> None:
    names = [f"br{i}" for i in range(50)]
    place.do(*(LinkChange(name=name, kind="bridge", group=5) for name in names), new=True)
    links = place.links()
    assert all(number(links[name].data, IFLA_BR_PRIORITY) == 32768 for name in names)
    # The core's own, which keeps its memory for the next one.
    for _ in range(2):
        surveyed = {event.link.name: event.link for event in place.core.survey(place.number) if event.link is not None}
        assert all(number(surveyed[name].data, IFLA_BR_PRIORITY) == 32768 for name in names)


def test_the_monitor_tells_them(place: Place) -> None:
    monitor = Monitor()
    monitor.watch(place.netns)
    place.do(
        *(LinkChange(name=f"br{i}", kind="bridge", group=5, data=attribute(IFLA_BR_PRIORITY, U16, i)) for i in range(20)), new=True
    )
    heard = [event.link for event in monitor.read() if event.link is not None]
    monitor.close()
    assert {link.name: number(link.data, IFLA_BR_PRIORITY) for link in heard} == {f"br{i}": i for i in range(20)}


def test_all_other_names_of_a_link_are_known(place: Place) -> None:
    names = tuple(f"{i:02}{'x' * 100}" for i in range(16))
    place.do(LinkChange(name="br", kind="bridge"), new=True)
    for few in (names[:8], names[8:]):  # as many as `ip` sends at once
        place.run(f"ip link property add dev br altname {' altname '.join(few)}")
    assert place.links()["br"].names == ("br", *names)


def test_a_message_may_be_as_large_as_its_attributes(place: Place) -> None:
    attributes = b"".join(attribute(IFLA_BR_PRIORITY, U16, i) for i in range(1000))
    place.do(LinkChange(name="br", kind="bridge", group=5, data=attributes), new=True)
    assert number(place.links()["br"].data, IFLA_BR_PRIORITY) == 999


def test_a_link_of_another_kind_is_refused_in_the_kernels_words(place: Place) -> None:
    place.do(LinkChange(name="br", kind="bridge"), new=True)
    with pytest.raises(KernelError, match="not supported"):
        place.do(LinkChange(name="br", kind="macvlan", data=attribute(IFLA_MACVLAN_MODE, U32, MACVLAN_MODE_BRIDGE)))

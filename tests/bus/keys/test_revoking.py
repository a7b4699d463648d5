"""A key that is revoked loses its connections at once, whoever else has some; and so does one whose rights are others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import Client, Interrupted, Subscription, Unreachable, aio
from nsplane_bus.keys.allow_list import read_list

from ..conftest import eventually
from .conftest import Keyed, asked

BRIDGE = {"kind": "bridge", "name": "k-br0"}


@contextlib.contextmanager
def news(*sockets: zmq.Socket[bytes]) -> Iterator[list[zmq.Socket[bytes]]]:
    """Of each, what tells that its connection has ended, and that it was refused."""
    monitors = [one.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH) for one in sockets]
    yield monitors
    for one, monitor in zip(sockets, monitors, strict=True):
        one.disable_monitor()
        monitor.close()


def next_event(monitor: zmq.Socket[bytes]) -> int:
    assert monitor.poll(20_000), "nothing was heard of the connection"
    return int.from_bytes(monitor.recv_multipart()[0][:2], "little")


def put_out(monitor: zmq.Socket[bytes]) -> bool:
    """Whether it lost its connection, and was refused when it came again."""
    return [next_event(monitor) for _ in range(2)] == [zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_FAILED_AUTH]


def test_who_has_spoken_who_is_silent_and_who_listens_are_put_out(keyed: Keyed) -> None:
    with (
        keyed.allowed("lost", "read publish=lab") as lost,
        keyed.socket(lost) as speaker,
        keyed.socket(lost) as silent,
        keyed.socket(lost, zmq.SUB) as listener,
        keyed.socket(keyed.keys["admin"]) as other,
        news(speaker, silent, listener, other) as (*monitors, untouched),
        Subscription("item/", endpoint=keyed.events, key=keyed.keys["reader"], health=True) as reader,
    ):
        reader.ready()
        assert asked(speaker, op="info")["ok"]
        assert asked(other, op="info")["ok"]
        eventually(lambda: keyed.info["router"]["connections"] == 3)
        eventually(lambda: keyed.info["publisher"]["connections"] == 2)
        keyed.revoke("lost")
        for monitor in monitors:
            assert put_out(monitor)
        while listener.poll(0):
            listener.recv_multipart()  # from before
        with keyed.client("admin", "lab") as admin:
            admin.put([BRIDGE])
            admin.delete(["interface/k-br0"])
        assert reader.next(20) is not None
        assert reader.missed == 0
        assert reader.connected
        assert not listener.poll(0)
        assert asked(other, op="info")["ok"]
        assert not untouched.poll(0), "whose key is still allowed, and who has spoken, keeps his connection"


def test_a_client_says_so_and_comes_again_when_it_is_allowed_again(keyed: Keyed) -> None:
    with keyed.allowed("lost", "read publish=lab") as key, Client(keyed.bus, "lab", timeout=20, key=key) as client:
        client.info()
        events = client.subscribe("item/interface/k-").ready()
        keyed.revoke("lost")
        for _ in range(2):
            with pytest.raises(Unreachable) as error:
                client.info()
            if isinstance(error.value, Interrupted):  # it was under way while the connection ended
                continue
            assert "it does not let this key in" in str(error.value)
        with pytest.raises(Unreachable, match="it does not let this key in"):
            events.next(20)
        keyed.allow("lost", "read publish=lab", key)
        assert client.info()
        events.ready()
        events.close()


def test_a_client_that_waits_comes_again_by_itself(keyed: Keyed) -> None:
    with (
        keyed.allowed("lost", "read publish=lab") as key,
        Client(keyed.bus, "lab", timeout=20, key=key, resubmit=True) as client,
        client.subscribe("item/interface/k-") as events,
    ):
        events.ready()
        keyed.revoke("lost")
        ticket = client.submit("put", items=[BRIDGE])
        with pytest.raises(Unreachable):
            Client(keyed.bus, key=key, timeout=20).info()
        keyed.allow("lost", "read publish=lab", key)
        assert ticket.result().counts == {"configured": 1}
        events.ready()
        client.delete(["interface/k-br0"])
        assert events.next(20)


def test_the_client_of_asyncio_as_well(keyed: Keyed) -> None:
    async def through(key: object) -> None:
        async with aio.Client(keyed.bus, "lab", timeout=20, key=key) as client:  # type: ignore[arg-type]
            await client.info()
            events = await client.subscribe("item/interface/k-").ready()
            keyed.revoke("lost")
            with pytest.raises(Unreachable):
                await client.info()
            with pytest.raises(Unreachable, match="it does not let this key in"):
                await client.info()
            with pytest.raises(Unreachable, match="it does not let this key in"):
                await events.next(20)
            async with aio.Client(keyed.bus, "lab", timeout=20, key=key, resubmit=True) as waiting:  # type: ignore[arg-type]
                ticket = await waiting.submit("put", items=[BRIDGE])
                with pytest.raises(Unreachable):
                    await client.info()
                keyed.allow("lost", "read publish=lab", key)  # type: ignore[arg-type]
                assert (await ticket).counts == {"configured": 1}
            await client.delete(["interface/k-br0"])
            await events.ready()
            events.close()

    with keyed.allowed("lost", "read publish=lab") as key:
        asyncio.run(through(key))


def test_other_rights_are_in_force_at_once(keyed: Keyed) -> None:
    with (
        keyed.allowed("changing", "read publish=lab") as key,
        keyed.socket(key) as dealer,
        keyed.socket(key, zmq.SUB) as listener,
        news(listener) as (monitor,),
    ):
        assert asked(dealer, op="put", source="lab", items=[])["ok"]
        eventually(lambda: keyed.info["publisher"]["connections"] == 1)
        keyed.allow("changing", "publish=other", key)
        assert put_out(monitor)
        assert asked(dealer, op="put", source="other", items=[])["ok"], "it has come again"
        assert asked(dealer, op="put", source="lab", items=[])["error"]["path"] == "source"


def test_what_has_come_and_was_not_looked_at_is_not_done(keyed: Keyed) -> None:
    put = msgpack.encode({"op": "put", "source": "lab", "items": [{"kind": "bridge", "name": "k-late"}], "wait": "none"})
    agent = keyed.agent.process.pid
    with keyed.allowed("lost", "publish=lab") as key, keyed.socket(key) as dealer:
        assert asked(dealer, op="put", source="lab", items=[])["ok"]
        os.kill(agent, signal.SIGSTOP)
        eventually(lambda: Path(f"/proc/{agent}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        for _ in range(50):
            dealer.send(put)
        keyed.listed.take("lost")
        os.kill(agent, signal.SIGCONT)
        keyed.taken_in()
        with keyed.client("admin") as admin:
            assert not list(admin.get("interface/k-late"))


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda text: "", id="emptied"),
        pytest.param(lambda text: text + text, id="each line twice"),
        pytest.param(lambda text: text.replace(" publish=lab", " publish=lab rubbish"), id="a right that is none"),
        pytest.param(lambda text: text.replace("edited ", "edited\0 "), id="bytes that are none of a name"),
        pytest.param(None, id="others can write it"),
    ],
)
def test_an_edited_list_is_heard_of_and_what_is_faulty_allows_nobody(edit: Callable[[str], str] | None, keyed: Keyed) -> None:
    with keyed.allowed("edited", "publish=lab") as key, keyed.socket(key) as dealer, news(dealer) as (monitor,):
        assert asked(dealer, op="put", source="lab", items=[])["ok"]
        before = keyed.listed.path.read_text()
        if edit is None:
            keyed.listed.path.chmod(0o666)
        else:
            keyed.listed.path.write_text(edit(before))
        assert put_out(monitor)
        keyed.listed.path.chmod(0o600)
        keyed.listed.path.write_text(before)
        eventually(lambda: keyed.info["keys"] == len(read_list(keyed.listed.path).allowed))
        with Client(keyed.bus, "lab", timeout=20, key=key) as client:
            client.put([])

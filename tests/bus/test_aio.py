"""The client for asyncio: what the blocking one does, by many tasks at once, and nothing is left when it is closed."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import zmq
from msgspec import msgpack

import nsplane_bus
from nsplane_bus import BusError, Closed, Interrupted, InvalidItems, ItemChanged, TimedOut, Unreachable, aio
from nsplane_bus.aio import Client, Subscription
from nsplane_bus.keys.pair import Key, new_pair

from ..engine.conftest import SLOWNESS
from .conftest import RunningAgent, left_of, start_agent
from .test_reconnecting import LONG, again, stopped

KEY = Key(new_pair()[1], new_pair()[0])
"""By TCP nobody is asked without one."""


def route(n: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "route", "interface": "none", "dst": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32", **fields}


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs it to its end, after which there are no tasks and no descriptors of it, and nothing was warned of."""
    complaints: list[object] = []

    async def alone() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    gc.collect()
    before = descriptors()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(alone(), debug=True)
        gc.collect()
    assert (complaints, [str(warning.message) for warning in warned]) == ([], [])
    end = 400
    while descriptors() > before and end:  # ZeroMQ's thread closes a socket when it comes to it
        threading.Event().wait(0.01)
        end -= 1
    assert descriptors() <= before


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def warm(agent: RunningAgent) -> None:
    """What ZeroMQ opens once for all sockets is there."""
    agent.client().info()


def client(agent: RunningAgent, source: str = "default", **more: Any) -> Client:
    return Client(agent.bus, source, events=agent.events, **{"timeout": 20 * SLOWNESS, **more})


# ---- the same as the blocking one ----


def methods(of: type) -> dict[str, list[tuple[object, ...]]]:
    """The arguments of each."""
    return {name: arguments(what) for name, what in vars(of).items() if not name.startswith("_") and callable(what)}


def arguments(of: Callable[..., Any]) -> list[tuple[object, ...]]:
    return [(one.name, one.kind, one.default) for one in inspect.signature(of).parameters.values()]


@pytest.mark.parametrize(
    ("one", "other"),
    [(nsplane_bus.Client, aio.Client), (nsplane_bus.Ticket, aio.Ticket), (nsplane_bus.Subscription, aio.Subscription)],
)
def test_both_have_the_same_methods_with_the_same_arguments(one: type, other: type) -> None:
    assert methods(one) == methods(other)
    assert arguments(one) == arguments(other)


def test_every_operation_gives_what_the_blocking_one_gives(directory: Path, tmp_path: Path) -> None:
    own = directory / "own"
    own.mkdir(0o700)
    agent = start_agent(own, f"a{os.getpid()}", "--no-docker", NSPLANE_STATE_DIR=str(tmp_path))
    bridge = {"kind": "bridge", "name": "br", "namespace": agent.namespace, "addresses": ["10.0.0.1/24"]}
    blocking = agent.client()

    async def main() -> None:
        async with client(agent) as asked:
            assert (await asked.put([bridge, route(1)])).counts == {"configured": 1, "pending": 1}
            assert await asked.wait("interface/br") == blocking.entry("interface/br") == await asked.entry("interface/br")
            assert [entry async for entry in asked.get(limit=1)] == list(blocking.get())
            assert (await asked.page(prefix="route/")).items == blocking.page(prefix="route/").items
            assert (await asked.plan("delete", keys=["interface/br"]))["counts"] == {"delete": 1}
            assert (await asked.put_routes("br", (f"10.1.{n}.0/24" for n in range(200)))).counts == {"configured": 200}
            assert (await asked.put_arps("br", ["10.0.0.9"], "02:00:00:00:00:09")).counts == {"configured": 1}
            with pytest.raises(InvalidItems) as refused:
                await asked.put_routes("br", [*(f"10.1.{n}.0/24" for n in range(200)), "nonsense"])
            assert refused.value.faults[0]["offset"] == 200
            assert (await asked.delete_arps("br", ["10.0.0.9"])).counts == {"removed": 1}
            assert (await asked.delete_routes("br", (f"10.1.{n}.0/24" for n in range(200)))).counts == {"removed": 200}
            assert await asked.resync() == {"missing": 0, "altered": 0, "stale": 0, "repaired": 0}
            put = await asked.put([route(2)], confirm=600)
            await asked.confirm(put.revision)
            result, left = await asked.revert(put.revision)
            assert (result.counts, left) == ({"removed": 1}, [])
            assert (await asked.history(1))[0]["op"] == "delete"
            await asked.started("web", agent.process.pid)
            assert (await asked.running([{"label": "db", "pid": agent.process.pid}])) == []
            await asked.stopped("db")
            assert await asked.status("ended") == (await asked.info())["instance"]
            assert (await asked.put([route(3)], generation=5)).counts == {"pending": 1}
            assert (await asked.sweep(5)).counts == {"removed": 2}
            assert (await asked.replace([])).counts == {"removed": 1}
            assert (await asked.clear()).counts == {}
            assert await asked.wait("interface/br", "removed") is None
            with pytest.raises(TimedOut, match="there is no such item"):
                await asked.wait("interface/br", timeout=0.1)
            with pytest.raises(ValueError, match="is none of configured"):
                await asked.wait("interface/br", "blue")
            with pytest.raises(BusError, match="unknown field"):
                await (await asked.submit("put", colour="red"))
            with pytest.raises(BusError, match="no reply"):
                await (await asked.submit("put", items=[], wait="none")).reply()

    run(main)
    blocking.close()
    assert agent.stop() == 0
    assert not left_of(agent.name)


def test_nobody_there_is_said_at_once(agent: RunningAgent) -> None:
    async def main() -> None:
        with pytest.raises(Unreachable, match="there is no such socket"):
            Client(f"ipc://{agent.directory}/nobody.sock")
        with pytest.raises(Unreachable, match="there is no such socket"):
            Subscription(endpoint=f"ipc://{agent.directory}/nobody.sock")

    run(main)


def test_over_tcp_nobody_there_is_said_when_it_is_entered_or_waited_for(agent: RunningAgent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"

    async def main() -> None:
        with pytest.raises(Unreachable, match="Connection refused"):
            async with Client(endpoint, key=KEY):
                pass
        asked = Client(endpoint, timeout=LONG, key=KEY)
        with pytest.raises(Unreachable, match="Connection refused"):
            await asked.info()
        asked.close()
        events = Subscription(endpoint=endpoint, key=KEY)
        with pytest.raises(Unreachable, match="Connection refused"):
            await events.next()
        events.close()

    run(main)


def test_the_loop_goes_on_while_it_is_seen_over_tcp_whether_somebody_is_there(agent: RunningAgent) -> None:
    """One that listens and takes up nobody: its queue is full, and further ones hear nothing."""
    turns = 0

    async def main() -> None:
        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.01)
                turns += 1

        counting = asyncio.create_task(count())
        with pytest.raises(Unreachable, match="nothing is heard from there"):
            async with Client(endpoint, key=KEY):
                pass
        with pytest.raises(Unreachable, match="nothing is heard from there"):
            async with Subscription(endpoint=endpoint, key=KEY):
                pass
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)

    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as first, socket.socket() as second:
        endpoint = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        run(main)
    assert turns > 50


def test_it_is_seen_once_for_all_who_time_out_together(agent: RunningAgent) -> None:
    async def main() -> None:
        async with Client(f"tcp://127.0.0.1:{server.getsockname()[1]}", timeout=0.3, key=KEY) as asked:
            for error in await asyncio.gather(*(asked.info() for _ in range(50)), return_exceptions=True):
                assert isinstance(error, TimedOut)

    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        run(main)
        server.setblocking(False)
        for _ in range(10):
            try:
                server.accept()[0].close()
            except BlockingIOError:
                return
    pytest.fail("it was looked again and again")


def test_who_is_closed_says_so_to_those_who_wait_too(deaf: str) -> None:
    async def main() -> None:
        asked = Client(deaf, window=1, timeout=LONG)
        waiting = [asyncio.create_task(asked.info()) for _ in range(3)]  # one for its reply, two for room
        await asyncio.sleep(0)
        asked.close()
        asked.close()
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, Closed)
        with pytest.raises(Closed):
            await asked.info()

    run(main)


def test_no_answer_is_a_timeout_and_a_full_window_that_nobody_empties_too(deaf: str) -> None:
    async def main() -> None:
        async with Client(deaf, timeout=0.2, window=2) as asked:
            with pytest.raises(TimedOut, match=f"no answer from {deaf} within 0.2 s"):
                await asked.info()
            lost = [await asked.submit("info") for _ in range(2)]
            with pytest.raises(TimedOut):
                await asked.submit("info")
            for ticket in lost:
                with pytest.raises(TimedOut):
                    await ticket.reply()
            await asked.submit("info")
            for error in await asyncio.gather(*(asked.info() for _ in range(5)), return_exceptions=True):
                assert isinstance(error, TimedOut)

    run(main)


# ---- many at once ----


@pytest.mark.parametrize("gathers", [False, True])
def test_ten_thousand_at_once_each_have_their_own_verdict(agent: RunningAgent, gathers: bool) -> None:
    async def main() -> None:
        async with client(agent, timeout=LONG) as asked:
            most = 0

            async def put(n: int) -> None:
                nonlocal most
                result = await asked.put([route(n)], check=False)
                assert (result.counts, result.items[0]["key"]) == ({"pending": 1}, f"route/none/{route(n)['dst']}")
                most = max(most, len(asked._exchange.in_flight))

            if gathers:
                with asked.gather():
                    await asyncio.gather(*map(put, range(10_000)))
            else:
                await asyncio.gather(*map(put, range(10_000)))
            assert most <= asked.window
            assert (await asked.info())["bus"]["router"]["replies_dropped"] == 0
            assert (await asked.replace([])).counts == {"removed": 10_000}

    asyncio.run(main())


def test_what_waits_for_room_goes_in_its_order(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, window=4) as asked:
            await asyncio.gather(*(asked.put([route(1, gateway=f"10.0.0.{n + 1}")]) for n in range(100)))
            entry = await asked.entry("route/none/10.0.0.1/32")
            assert entry is not None
            assert entry["item"]["gateway"] == "10.0.0.100"

    run(main)


def test_a_newcomer_does_not_overtake_those_whose_turn_it_is(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, window=4) as asked, asyncio.timeout(20 * SLOWNESS):
            agent.process.send_signal(signal.SIGSTOP)
            others = [await asked.submit("put", items=[route(n)]) for n in range(2, 6)]
            former = asyncio.create_task(asked.put([route(1, gateway="10.0.0.1")]))
            await asyncio.sleep(0)
            assert asked._turns
            agent.process.send_signal(signal.SIGCONT)
            while asked._exchange.in_flight:
                asked._look()  # it has its turn, and does not run yet
            last = await asked.put([route(1, gateway="10.0.0.2")])
            assert (await former).revision < last.revision
            entry = await asked.entry("route/none/10.0.0.1/32")
            assert entry is not None
            assert entry["item"]["gateway"] == "10.0.0.2"
            assert all(other.done for other in others)

    run(main)


def test_no_turn_in_time_takes_nothing_from_those_whose_replies_come(directory: Path) -> None:
    endpoint = f"ipc://{directory / 'slow.sock'}"

    async def main() -> None:
        async def answer_slowly() -> None:
            while True:
                await asyncio.sleep(0.02)
                if router.poll(0):
                    peer, request = router.recv_multipart()
                    held.append(peer)
                    if (number := msgpack.decode(request)["id"]) != 1:
                        router.send_multipart([peer, msgpack.encode({"id": number, "ok": True})])

        async with Client(endpoint, timeout=SLOWNESS, window=2) as asked:
            held: list[bytes] = []
            answering = asyncio.create_task(answer_slowly())
            kept = await asked.submit("info")

            async def ask() -> bytes:
                return await (await asked.submit("get")).reply()

            late = await asyncio.gather(*(ask() for _ in range(200 * SLOWNESS)), return_exceptions=True)
            assert {str(one) for one in late if isinstance(one, TimedOut)} == {
                f"no room in the window of 2 requests within {SLOWNESS:g} s: replies come too slowly"
            }
            router.send_multipart([held[0], msgpack.encode({"id": 1, "ok": True})])
            assert await kept.reply()
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.bind(endpoint)
        run(main)


def test_two_tasks_may_gather_at_once(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent) as asked, client(agent) as other, asyncio.timeout(20 * SLOWNESS):
            with asked.gather():
                overlapping = asked.gather()
                overlapping.__enter__()
                await asked.submit("put", items=[route(1)], wait="none")
            await asked.submit("put", items=[route(2)], wait="none")
            overlapping.__exit__(None, None, None)
            await asked.submit("put", items=[route(3)], wait="none")
            while len([entry async for entry in other.get()]) < 3:
                await asyncio.sleep(0.01)

    run(main)


def test_large_and_small_share_a_window_of_bytes(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, window_bytes=20_000) as asked:
            large = [route(n) for n in range(500)]  # more than the window by itself
            with asked.gather():
                results = await asyncio.gather(*(asked.put(large if n % 3 == 0 else [route(n)]) for n in range(30)))
            assert [sum(result.counts.values()) for result in results] == [500 if n % 3 == 0 else 1 for n in range(30)]

    run(main)


def test_unanswered_requests_wait_where_nobody_reads_them(deaf: str) -> None:
    async def main() -> None:
        async with Client(deaf, timeout=0.3, window=10) as asked:

            async def publish() -> None:
                for _ in range(100_000):
                    await asked.submit("put", items=[], wait="none", check=False)

            with pytest.raises(TimedOut):
                await publish()

    asyncio.run(main())


# ---- cancellation ----


def test_a_cancelled_request_is_carried_out_and_the_client_goes_on(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, timeout=LONG) as asked:
            await asked.info()
            puts = [asyncio.create_task(asked.put([route(n)])) for n in range(200)]
            await asyncio.sleep(0)
            for put in puts:
                put.cancel()
            assert all(isinstance(error, asyncio.CancelledError) for error in await asyncio.gather(*puts, return_exceptions=True))
            assert (await asked.put([route(200)])).counts == {"pending": 1}
            assert len([entry async for entry in asked.get()]) == 201
            assert not asked._exchange.in_flight

    run(main)


def test_what_was_cancelled_before_there_was_room_is_not_sent(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, window=4, timeout=LONG) as asked:
            puts = [asyncio.create_task(asked.put([route(n)])) for n in range(50)]
            await asyncio.sleep(0)
            for put in puts[4:40]:
                put.cancel()
            await asyncio.gather(*puts, return_exceptions=True)
            found = {entry["item"]["dst"] async for entry in asked.get()}
            assert found == {route(n)["dst"] for n in (*range(4), *range(40, 50))}

    run(main)


def test_whoever_is_cancelled_when_he_has_got_room_leaves_it_to_others(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, window=1, timeout=LONG) as asked:
            tasks = [asyncio.create_task(asked.info()) for _ in range(3)]
            await asyncio.sleep(0)
            turn, _ = asked._turns[0]
            turn.add_done_callback(lambda _: tasks[1].cancel())
            first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(second, asyncio.CancelledError)
            assert isinstance(first, dict)
            assert isinstance(third, dict)
            assert (asked._granted, asked._granted_bytes) == (0, 0)

    run(main)


def test_a_cancelled_wait_for_an_item_ends_its_subscription(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent) as asked:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asked.wait("interface/none")
            async with asyncio.timeout(20 * SLOWNESS):
                while (await asked.info())["bus"]["publisher"]["subscriptions"]:
                    await asyncio.sleep(0.01)

    run(main)


def test_two_may_wait_for_one_reply_and_one_of_them_give_up(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent) as asked:
            agent.process.send_signal(signal.SIGSTOP)  # else the reply may be here before they wait for it
            ticket = await asked.submit("put", items=[route(1)])
            one, other = (asyncio.create_task(ticket.result()) for _ in range(2))
            await asyncio.sleep(0)
            one.cancel()
            agent.process.send_signal(signal.SIGCONT)
            assert (await other).counts == (await ticket).counts == {"pending": 1}
            assert one.cancelled()

    run(main)


# ---- an agent that goes and comes back ----


def test_a_change_in_flight_when_the_agent_ends_is_of_unknown_fate_and_a_question_is_asked_again(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, timeout=LONG) as asked:
            await asked.info()
            with stopped(agent):
                put, question = asyncio.create_task(asked.put([route(1)])), asyncio.create_task(asked.info())
                await asyncio.sleep(0)
            after = again(agent)
            lives.append(after)
            with pytest.raises(Interrupted):
                await put
            assert (await question)["pid"] == after.process.pid

    lives: list[RunningAgent] = []
    run(main)
    assert lives[0].stop() == 0


def test_nobody_is_waited_for_who_is_not_there(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, timeout=LONG) as asked:
            await asked.info()
            agent.kill()
            puts = [asked.put([route(n)]) for n in range(1_000)]  # most of them wait for room
            for error in await asyncio.gather(*puts, return_exceptions=True):
                assert isinstance(error, Unreachable)

    run(main)


def test_an_agent_that_is_gone_is_waited_for_by_who_waits_for_an_item_or_subscribes(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, timeout=LONG, resubmit=True) as asked:
            await asked.info()
            agent.kill()
            async with asked.subscribe("item/") as events:
                with pytest.raises(Unreachable, match="Connection refused"):
                    await asked.wait("route/none/10.0.0.1/32", timeout=0.1)
                starting = asyncio.create_task(asyncio.to_thread(again, agent))
                assert await asked.wait("route/none/10.0.0.1/32", "removed", timeout=LONG) is None
                lives.append(await starting)
                await events.ready(20)
                await asked.put([route(1)])
                event = await events.next(20)
                assert isinstance(event, ItemChanged)
                assert event.key == "route/none/10.0.0.1/32"
            await asked.replace([])

    lives: list[RunningAgent] = []
    run(main)
    assert lives[0].stop() == 0


def test_an_item_is_waited_for_as_long_as_is_said_though_the_client_waits_longer(deaf: str, agent: RunningAgent) -> None:
    async def main() -> None:
        async with Client(deaf, events=agent.events, timeout=LONG) as asked:
            with pytest.raises(TimedOut, match=f"no answer from {deaf}"):
                await asked.wait("interface/br", timeout=0.1)

    run(main)


def test_what_is_in_flight_is_submitted_again_to_the_agent_that_comes(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent, timeout=LONG, resubmit=True) as asked:
            await asked.info()
            with stopped(agent):
                puts = [asyncio.create_task(asked.put([route(n)])) for n in range(500)]  # some wait for room
                once = asyncio.create_task(asked.put([route(500)], confirm=60))
                cancelled = asyncio.create_task(asked.put([route(501)]))
                await asyncio.sleep(0.05)
                puts[3].cancel()
            after = await asyncio.to_thread(again, agent)
            lives.append(after)
            results = await asyncio.gather(*puts, return_exceptions=True)
            assert isinstance(results.pop(3), asyncio.CancelledError)
            assert all(isinstance(result, nsplane_bus.Result) and result.counts == {"pending": 1} for result in results)
            assert (await once).counts == {"pending": 1}, "it was not sent before the agent ended"
            await cancelled
            assert len([entry async for entry in asked.get()]) == 502
            await asked.replace([])

    lives: list[RunningAgent] = []
    run(main)
    assert lives[0].stop() == 0


# ---- events ----


def test_events_are_heard_by_a_task(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent) as asked, asked.subscribe("item/") as events:
            await events.ready()
            heard: list[str] = []

            async def listen() -> None:
                async for event in events:
                    assert isinstance(event, ItemChanged)
                    heard.append(event.key)
                    if len(heard) == 1_000:
                        return

            listening = asyncio.create_task(listen())
            await asked.put([route(n) for n in range(1_000)])
            await listening
            assert set(heard) == {f"route/none/{route(n)['dst']}" for n in range(1_000)}
            assert await events.next(0) is None
            assert events.missed == 0

    run(main)


def test_where_the_events_are_is_asked_of_the_agent(agent: RunningAgent) -> None:
    async def main() -> None:
        async with Client(agent.bus, timeout=20) as asked, asked.subscribe() as events:
            await events.ready()
            assert events.endpoint == agent.events
            await asked.put([route(1)])
            event = await events.next(10)
            assert event is not None
            assert event.topic == "item/route/none/10.0.0.1/32"

    run(main)


def test_a_cancelled_wait_for_an_event_loses_none(agent: RunningAgent) -> None:
    async def main() -> None:
        async with client(agent) as asked, asked.subscribe("item/") as events:
            await events.ready()
            for n in range(50):
                waiting = asyncio.create_task(events.next())
                await asyncio.sleep(0)
                put = asyncio.create_task(asked.put([route(n)]))
                await asyncio.sleep(0.0002 * n)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                event = await events.next(10) if waiting.cancelled() else waiting.result()
                assert isinstance(event, ItemChanged)
                assert event.key == f"route/none/{route(n)['dst']}"
                await put

    run(main)


def test_one_task_waits_at_a_time_and_hears_when_it_is_closed(agent: RunningAgent) -> None:
    async def main() -> None:
        events = Subscription(endpoint=agent.events)
        await events.ready()
        waiting = asyncio.create_task(events.next())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await events.next()
        events.close()
        events.close()
        for use in (waiting, events.ready(), events.next()):
            with pytest.raises(Closed):
                await use

    run(main)


def test_a_subscription_goes_through_a_restart_and_says_so(agent: RunningAgent) -> None:
    async def main() -> None:
        async with Subscription("item/", endpoint=agent.events, health=True) as events:
            await events.ready()
            agent.kill()
            assert isinstance(await events.next(20), nsplane_bus.AgentGone)
            after = await asyncio.to_thread(again, agent)
            lives.append(after)
            assert isinstance(await events.next(20), nsplane_bus.AgentBack)
            anew = await events.next(20)
            async with client(after) as asked:
                assert isinstance(anew, nsplane_bus.AgentRestarted)
                assert anew.instance == (await asked.info())["instance"]
                await asked.put([route(1)])
                event = await events.next(20)
                assert isinstance(event, ItemChanged)
                assert event.key == "route/none/10.0.0.1/32"
                await asked.replace([])

    lives: list[RunningAgent] = []
    run(main)
    assert lives[0].stop() == 0


# ---- event loops ----


def test_two_event_loops_have_a_client_each(agent: RunningAgent) -> None:
    def loop(number: int) -> None:
        async def main() -> None:
            async with client(agent, f"loop{number}") as asked, asked.subscribe(f"item/route/none/10.{number}.") as events:
                await events.ready()
                for n in range(100):
                    assert (await asked.put([route((number << 16) + n)])).counts == {"pending": 1}
                    assert await events.next(10) is not None
                done.append(number)

        asyncio.run(main())

    done: list[int] = []
    threads = [threading.Thread(target=loop, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loop(3)
    assert sorted(done) == [1, 2, 3]


def test_a_client_is_its_own_loops(agent: RunningAgent) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        client(agent)

    async def make() -> Client:
        return client(agent)

    made = asyncio.run(make())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(made.info())
    made.close()

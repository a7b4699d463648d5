"""What was acknowledged is wanted after a restart, and the kernel is taken over as it is: only differences are applied."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane import Engine, Journal
from nsplane.journal import InUse, recorder, store
from nsplane.journal.recorder import Recorder

from .conftest import Lab, ip, ip_in, life, run, run_in, until
from .wishes import Item, arp, bridge, by_file, by_label, by_name, by_pid, existing, route, veth


def wiring(lab: Lab) -> list[Item]:
    red, blue = by_name(lab.name("red")), by_name(lab.name("blue"))
    return [
        bridge("br", red, addresses=["10.1.0.254/24"]),
        veth("a", "b", red, master="br"),
        veth("b", "a", blue, addresses=["10.1.0.1/24", "fd01::1/64"]),
        route("b", "10.9.0.0/16", gateway="10.1.0.254"),
        route("b", "fd09::/64"),
        arp("b", "10.1.0.9"),
    ]


def links(shown: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What tells whether a link is the same and was not touched: its operational state follows in its own time."""
    return [(link["ifindex"], link["ifname"], link["mtu"], link["address"], link.get("ifalias")) for link in shown]


def state(engine: Engine) -> dict[str, str]:
    return {entry["key"]: entry["state"] for entry in engine._ask({"op": "get"}, 5)["items"]}


def settled(engine: Engine, count: int) -> bool:
    states = state(engine)
    return len(states) == count and set(states.values()) == {"configured"}


def test_all_is_wanted_again_and_nothing_is_touched(lab: Lab, tmp_path: Path) -> None:
    with life(lab, tmp_path) as engine:
        assert engine.put(wiring(lab), timeout=5)["counts"] == {"configured": 6}
        engine.put([bridge("gone", by_name(lab.name("red")))], timeout=5)
        engine.delete(["interface/gone"], timeout=5)
    before = [links(ip("link", netns=lab.name(where))) for where in ("red", "blue")]
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 6))
        assert [links(ip("link", netns=lab.name(where))) for where in ("red", "blue")] == before
        assert engine.replace([], timeout=5)["counts"] == {"removed": 6}
        until(engine, lambda: lab.name() not in run("ip netns"))
    assert lab.name() not in run("ip netns"), "the namespaces that an earlier life made go too"


def test_what_was_wanted_of_several_sources_and_generations(lab: Lab, tmp_path: Path) -> None:
    red = by_name(lab.name("red"))
    with life(lab, tmp_path) as engine:
        engine.put([bridge("br", red)], source="one", timeout=5)
        engine._ask({"op": "put", "source": "two", "generation": 1, "items": [route("br", "10.1.0.0/16")]}, 5)
        engine._ask({"op": "put", "source": "two", "generation": 2, "items": [route("br", "10.2.0.0/16")]}, 5)
        conflict = engine.put([bridge("br", red, mtu=1400)], source="two", timeout=5)
        assert conflict["counts"] == {"conflict": 1}
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 3))
        engine._ask({"op": "sweep", "source": "two", "generation": 2}, 5)
        assert set(state(engine)) == {"interface/br", "route/br/10.2.0.0/16"}
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 2))
        assert ip("link", "show", "br", netns=lab.name("red"))[0]["mtu"] == 1500
        for source in ("one", "two"):
            engine.replace([], source=source, timeout=5)


def test_what_was_deleted_while_nothing_ran_goes(lab: Lab, tmp_path: Path) -> None:
    """As after a kill between the record of a request and its way into the kernel."""
    with life(lab, tmp_path) as engine:
        engine.put(wiring(lab), timeout=5)
    journal = Journal(tmp_path)
    keys = ["interface/br", "interface/a", "interface/b", "route/b/10.9.0.0/16", "route/b/fd09::/64", "arp/b/10.1.0.9"]
    journal.append("delete", "default", msgpack.encode({"op": "delete", "keys": keys}))
    journal.commit()
    journal.close()
    with life(lab, tmp_path) as engine:
        until(engine, lambda: lab.name() not in run("ip netns"))
        assert state(engine) == {}


def test_microservices_are_known_without_being_announced_again(lab: Lab, tmp_path: Path) -> None:
    process, other = lab.process(), lab.process()
    items = [veth("a", "b", by_label("web")), veth("b", "a", by_label("db"))]
    with life(lab, tmp_path) as engine:
        engine.put(items, timeout=5)
        engine.microservice("started", "web", pid=process.pid)
        engine.microservice("started", "db", pid=other.pid, container="c1", name="one")
        until(engine, lambda: settled(engine, 2))
    before = [links(process.ip("link")), links(other.ip("link"))]
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 2))
        assert [links(process.ip("link")), links(other.ip("link"))] == before
        entry = engine.get("microservice/db")
        assert entry is not None
        assert (entry["container"], entry["name"]) == ("c1", "one")
    other.end(signal.SIGKILL)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: [link["ifname"] for link in process.ip("link")] == ["lo"])
        assert set(state(engine).values()) == {"pending"}
        engine.replace([], timeout=5)


@pytest.mark.parametrize("how", ["pid", "file"])
def test_a_process_is_the_same_or_none(lab: Lab, tmp_path: Path, how: str) -> None:
    process = lab.process()
    run_in(process.netns, "ip link set lo up")
    place = by_pid(process.pid) if how == "pid" else by_file(process.netns)
    items = [bridge("br", place), route("br", "10.1.0.0/16"), route("lo", "10.2.0.0/16", place)]
    with life(lab, tmp_path) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 3}
    before = links(process.ip("link"))
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 3))
        assert links(process.ip("link")) == before
    process.end()
    again = run(
        f"sh -c 'echo {process.pid - 1} >/proc/sys/kernel/ns_last_pid; unshare --net sleep 600 >/dev/null 2>&1 & echo $!'"
    ).strip()
    try:
        with life(lab, tmp_path) as engine:
            missing = [f"pid/{process.pid}" if how == "pid" else f"file/{process.netns}"]
            until(engine, lambda: (engine.get("interface/br") or {})["missing"] == missing)
            assert set(state(engine).values()) == {"pending"}
            assert [link["ifname"] for link in ip_in(f"/proc/{again}/ns/net", "link")] == ["lo"]
            engine.replace([], timeout=5)
    finally:
        run(f"kill {again}")


def test_how_an_adopted_link_was_is_known(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name e mtu 1450 type veth peer name f")
    with life(lab, tmp_path) as engine:
        engine.put([existing("e", by_name(red), mtu=1300, enabled=True)], timeout=5)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 1))
        engine.delete(["interface/e"], timeout=5)
    (link,) = ip("link", "show", "e", netns=red)
    assert link["mtu"] == 1450
    assert "UP" not in link["flags"]


@pytest.mark.parametrize("deleted", ["by the next life", "before it"])
def test_a_link_that_was_set_aside_gets_its_name_again(lab: Lab, tmp_path: Path, deleted: str) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name eth0 type veth peer name eth1")
    (foreign,) = ip("link", "show", "eth0", netns=red)
    with life(lab, tmp_path) as engine:
        engine.put([bridge("mine", by_name(red), host_name="eth0", override=True)], timeout=5)
        assert ip("link", "show", "eth0", netns=red)[0]["ifindex"] != foreign["ifindex"]
    if deleted == "before it":
        journal = Journal(tmp_path)
        journal.append("delete", "default", msgpack.encode({"op": "delete", "keys": ["interface/mine"]}))
        journal.commit()
        journal.close()
    with life(lab, tmp_path) as engine:
        if deleted == "by the next life":
            until(engine, lambda: settled(engine, 1))
            engine.delete(["interface/mine"], timeout=5)
        until(engine, lambda: {link["ifname"] for link in ip("link", netns=red)} == {"lo", "eth0", "eth1"})
        assert ip("link", "show", "eth0", netns=red)[0]["ifindex"] == foreign["ifindex"]


def test_what_was_deleted_from_a_link_of_others_while_nothing_ran_goes(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name e up type veth peer name f")
    run(f"ip -n {red} link set dev f up")
    run(f"ip -n {red} route add 10.7.0.0/16 dev e proto static")
    with life(lab, tmp_path) as engine:
        put = [route("e", "10.2.0.0/16", by_name(red)), arp("e", "10.2.0.9", namespace=by_name(red))]
        assert engine.put(put, timeout=5)["counts"] == {"configured": 2}
    journal = Journal(tmp_path)
    key = f"e@name:{red}"
    journal.append(
        "delete", "default", msgpack.encode({"op": "delete", "keys": [f"route/{key}/10.2.0.0/16", f"arp/{key}/10.2.0.9"]})
    )
    journal.commit()
    journal.close()
    with life(lab, tmp_path) as engine:
        until(engine, lambda: [one["dst"] for one in ip("route", "show", "dev", "e", netns=red)] == ["10.7.0.0/16"])
        until(engine, lambda: ip("neigh", "show", "nud", "permanent", netns=red) == [])
        assert engine._planner.slots == {}
        assert engine._state.saved("slot") == {}


def test_rows_on_a_link_that_was_renamed_while_nothing_ran(lab: Lab, tmp_path: Path) -> None:
    """Ours gets its name again, with all that is on it; on somebody else's nothing is left."""
    red = lab.netns("red")
    run(f"ip -n {red} link add name e up type ifb")
    items = [bridge("br", by_name(red), addresses=["10.1.0.1/24"]), route("br", "10.9.0.0/16", gateway="10.1.0.2")]
    items += [route("e", "10.2.0.0/16", by_name(red)), arp("e", "10.2.0.9", namespace=by_name(red))]
    with life(lab, tmp_path) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 4}
    for name, other in (("br", "br2"), ("e", "f")):
        run(f"ip -n {red} link set dev {name} down && ip -n {red} link set dev {name} name {other}")
        run(f"ip -n {red} link set dev {other} up")
    index = ip("link", "show", "dev", "br2", netns=red)[0]["ifindex"]
    run(f"ip -n {red} route add 10.2.0.0/16 dev f proto 110")  # as it was, for with the link down it went
    run(f"ip -n {red} neigh add 10.2.0.9 dev f lladdr 02:00:00:00:00:01 protocol 110")
    with life(lab, tmp_path) as engine:
        key = f"e@name:{red}"
        until(engine, lambda: [state(engine)[one] for one in ("interface/br", "route/br/10.9.0.0/16")] == ["configured"] * 2)
        assert ip("link", "show", "dev", "br", netns=red)[0]["ifindex"] == index
        assert (engine.get(f"route/{key}/10.2.0.0/16") or {})["missing"] == [f"link/{key}"]
        until(engine, lambda: ip("route", "show", "dev", "f", netns=red) == [])
        until(engine, lambda: ip("neigh", "show", "nud", "permanent", netns=red) == [])
        run(f"ip -n {red} link set dev f down && ip -n {red} link set dev f name e && ip -n {red} link set dev e up")
        until(engine, lambda: settled(engine, 4))
        assert [one["dst"] for one in ip("route", "show", "dev", "e", netns=red)] == ["10.2.0.0/16"]
        engine.replace([], timeout=5)


def test_one_engine_has_a_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(InUse):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_a_snapshot_is_the_same_state_in_few_requests(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SNAPSHOT_SHARE", 0)
    red = by_name(lab.name("red"))
    journal = Journal(tmp_path, snapshot_bytes=50_000)
    with Engine(agent_id=lab.name(), journal=journal) as engine:
        engine.put([bridge("br", red, addresses=["10.0.0.1/8"])], source="one", timeout=5)
        for n in range(40):
            routes = [route("br", f"20.{n % 8}.{i}.0/24", gateway=f"10.0.0.{n + 2}") for i in range(50)]
            engine._ask({"op": "put", "source": "two", "generation": n, "items": routes}, 5)
            engine.delete([f"route/br/20.{n % 8}.7.0/24"], source="two", timeout=5)
        until(engine, lambda: engine._recorder.making is None and journal.snapshot_due is None, 60)
        before = state(engine)
        assert len(before) == 1 + 8 * 49
        sources = engine.info()["items"]
    journal.close()
    assert not list(tmp_path.glob("*.new"))
    journal = Journal(tmp_path, snapshot_bytes=50_000)
    assert sum(1 for _ in journal.records()) < 60
    with Engine(agent_id=lab.name(), journal=journal) as engine:
        until(engine, lambda: settled(engine, len(before)))
        assert state(engine) == before
        assert engine.info()["items"] == sources
        assert len(ip("route", "show", "proto", "110", netns=lab.name("red"))) == 8 * 49
        engine._ask({"op": "sweep", "source": "two", "generation": 36}, 5)
        assert len(state(engine)) == 1 + 4 * 49
        for source in ("one", "two"):
            engine.replace([], source=source, timeout=5)
    journal.close()


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("killed", [True, False])
def test_a_start_costs_what_is_wanted_and_not_what_was(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, little: bool, killed: bool
) -> None:
    """By few items the engine writes a snapshot itself; of many a process beside it does, when it has had its time."""
    monkeypatch.setattr(Recorder, "_is_little", lambda self: little)
    monkeypatch.setattr(store, "SNAPSHOT_SHARE", 0)
    if killed:
        monkeypatch.setattr(Recorder, "_leave_snapshot", lambda self, journal: None)
    red = by_name(lab.name("red"))
    journal = Journal(tmp_path, snapshot_requests=200)
    with Engine(lab.name(), journal) as engine:
        engine.put([bridge("br", red, addresses=["10.0.0.1/24"])], timeout=5)
        for n in range(500):
            put = {"op": "put", "items": [route("br", f"10.{n % 200}.0.0/16")]}
            delete = {"op": "delete", "keys": [f"route/br/10.{n % 200}.0.0/16"]}
            engine.submit_all([msgpack.encode(put), msgpack.encode(delete)])
            engine.process()
        if killed:
            until(engine, lambda: engine._recorder.making is None and journal.snapshot_due is None, 60)
    journal.close()
    journal = Journal(tmp_path)
    assert sum(1 for _ in journal.records()) <= 202
    with Engine(lab.name(), journal) as engine:
        until(engine, lambda: settled(engine, 1))
        engine.clear(timeout=5)
    journal.close()
    assert len(list(tmp_path.glob("snapshot-*.db"))) <= 3


@pytest.mark.parametrize("snapshot_taken", [True, False])
@pytest.mark.parametrize("place", ["name", "microservice"])
def test_verdicts_are_the_same_after_a_restart(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, snapshot_taken: bool
) -> None:
    """Of those who want one name the one keeps it that has it, whosever it is and in whichever order they come again."""
    process = lab.process()
    where = by_name(lab.name("red")) if place == "name" else by_label("web")
    path = f"/run/netns/{lab.name('red')}" if place == "name" else process.netns

    def shown(engine: Engine) -> dict[str, tuple[str, str]]:
        return {entry["key"]: (entry["state"], entry["message"]) for entry in engine._ask({"op": "get"}, 5)["items"]}

    with life(lab, tmp_path) as engine:
        engine.microservice("started", "web", pid=process.pid)
        engine.put([bridge("first", where, host_name="eth0")], source="zebra", timeout=5)
        for n in range(8):
            engine.put([bridge(f"b{n}", where, host_name="eth0")], source=f"s{n % 3}", timeout=5)
        engine.delete(["interface/first"], source="zebra", timeout=5)
        engine.rest()
        (holder,) = [key for key, (state_, _) in shown(engine).items() if state_ == "configured"]
        engine.put([bridge("first", where, host_name="eth0")], source="zebra", timeout=5)
        before = shown(engine)
        (link,) = ip_in(path, "link", "show", "eth0")
        if snapshot_taken:
            monkeypatch.setattr(recorder, "MUCH_TO_RESUME", 0)
    assert snapshot_taken == bool(list(tmp_path.glob("snapshot-*")))
    with life(lab, tmp_path) as engine:
        engine.rest()
        assert shown(engine) == before
        assert before[holder][0] == "configured"
        assert ip_in(path, "link", "show", "eth0")[0]["ifindex"] == link["ifindex"]
        engine.clear(timeout=5)

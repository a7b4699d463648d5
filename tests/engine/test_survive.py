"""An end of a pair that is to survive stays as it is while the other end's container restarts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, Process, ip, life, pinging, quiet, run, until
from .engine_process import EngineProcess
from .test_plan_tells import ask
from .wishes import Item, arp, by_label, by_name, route, veth

Settle = Callable[..., dict[str, Any]]
HERE, THERE = "interface/here", "interface/there"


def wiring(lab: Lab, **fields: Any) -> list[Item]:
    """A cable from a namespace into a microservice; what is there of routes and addresses is to stay."""
    return [
        veth("here", "there", by_name(lab.name("red")), addresses=["10.8.0.1/24", "fd08::1/64"], survive=True, **fields),
        veth("there", "here", by_label("web"), host_name="eth0", addresses=["10.8.0.2/24", "fd08::2/64"], mtu=1400),
        route("here", "10.9.0.0/16", gateway="10.8.0.2"),
        arp("here", "10.8.0.9"),
        route("there", "0.0.0.0/0", gateway="10.8.0.1"),
        route("there", "fd09::/64", gateway="fd08::1"),
    ]


def start(engine: Engine, lab: Lab, label: str = "web") -> Process:
    process = lab.process()
    engine.microservice("started", label, pid=process.pid)
    return process


def kept(lab: Lab) -> dict[str, Any]:
    """All that the surviving end has to keep, somebody else's routes too; and that it has a carrier."""
    red = lab.name("red")
    (link,) = ip("addr", "show", "dev", "here", netns=red)
    return {
        "index": link["ifindex"],
        "flags": set(link["flags"]),
        "addresses": {(one["local"], one["prefixlen"]) for one in link["addr_info"]},
        "routes": [(one["dst"], one.get("gateway"), one["protocol"], one["flags"]) for one in ip("route", netns=red)],
        "neighbours": [one["dst"] for one in ip("neigh", "show", "nud", "permanent", netns=red)],
        "routes6": {(one["dst"], one.get("gateway"), one["protocol"]) for one in ip("-6", "route", netns=red)},
    }


def wired(engine: Engine, lab: Lab, settle: Settle, process: Process) -> dict[str, Any]:
    """What there is when all is as it is wanted."""
    for key in (HERE, THERE, "route/here/10.9.0.0/16", "arp/here/10.8.0.9", "route/there/0.0.0.0/0", "route/there/fd09::/64"):
        settle(key)
    (link,) = process.ip("addr", "show", "dev", "eth0")
    assert link["mtu"] == 1400
    assert {one["local"] for one in link["addr_info"] if one["scope"] == "global"} == {"10.8.0.2", "fd08::2"}
    assert {one["dst"] for one in process.ip("route")} == {"default", "10.8.0.0/24"}
    until(engine, lambda: "LOWER_UP" in kept(lab)["flags"])
    return kept(lab)


def parking(lab: Lab) -> str:
    return f"nsplane-parked-{lab.name()}"


@pytest.mark.parametrize("how", ["stopped", signal.SIGTERM, signal.SIGKILL])
def test_a_microservice_that_ends_and_comes_back_three_times(engine: Engine, lab: Lab, settle: Settle, how: str | int) -> None:
    engine.put(wiring(lab), timeout=5)
    process = start(engine, lab)
    wired(engine, lab, settle, process)
    run(f"ip -n {lab.name('red')} route add 10.77.0.0/16 via 10.8.0.2 proto static")
    run(f"ip -n {lab.name('red')} -6 route add fd77::/64 via fd08::2 proto static")
    before = kept(lab)
    for _ in range(3):
        if isinstance(how, str):
            engine.microservice(how, "web")
        else:
            process.end(how)
        entry = settle(THERE, "pending")
        assert entry["missing"] == ["microservice/web"]
        until(engine, lambda: "parked until" in (engine.get(THERE) or {})["message"])
        assert settle("route/there/0.0.0.0/0", "pending")["missing"] == [THERE]
        until(engine, lambda: kept(lab) == before)
        assert settle(HERE)["message"].startswith("there is parked until ")
        settle("route/here/10.9.0.0/16")
        process = start(engine, lab)
        wired(engine, lab, settle, process)
        assert kept(lab) == before
        quiet(engine)
        assert settle(HERE)["message"] == ""
        assert [link["ifname"] for link in ip("link", netns=parking(lab))] == ["lo"]
    with pinging(process.netns, "10.8.0.1"):
        pass


def test_what_a_port_has_in_its_bridge_stays(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = by_name(lab.name("red"))
    items: list[Item] = [
        {"kind": "bridge", "name": "br", "namespace": red},
        veth("here", "there", red, master="br", survive=True, port={"isolated": True}),
        veth("there", "here", by_label("web")),
        {"kind": "fdb", "interface": "here", "mac": "02:00:00:00:00:09"},
    ]
    engine.put(items, timeout=5)
    process = start(engine, lab)
    key = "fdb/here/02:00:00:00:00:09"
    settle(key)
    run(f"ip netns exec {lab.name('red')} bridge fdb add 02:00:00:00:00:77 dev here master static")

    def port() -> Any:
        (link,) = ip("-d", "link", "show", "dev", "here", netns=lab.name("red"))
        fdb = run(f"ip netns exec {lab.name('red')} bridge fdb show dev here")
        return link["ifindex"], link["linkinfo"]["info_slave_data"]["isolated"], sorted(fdb.splitlines())

    def is_forwarding() -> bool:
        (link,) = ip("-d", "link", "show", "dev", "here", netns=lab.name("red"))
        return bool(link["linkinfo"]["info_slave_data"]["state"] == "forwarding")

    until(engine, is_forwarding)
    before = port()
    for _ in range(2):
        process.end()
        settle("interface/there", "pending")
        quiet(engine)
        assert port() == before
        until(engine, is_forwarding)
        settle(key)
        process = start(engine, lab)
        settle("interface/there")
        assert port() == before


def test_one_that_never_returns_lets_go_after_its_time(engine: Engine, lab: Lab, settle: Settle) -> None:
    engine.put(wiring(lab, survive_seconds=1), timeout=5)
    process = start(engine, lab)
    before = wired(engine, lab, settle, process)
    process.end()
    until(engine, lambda: [link["ifname"] for link in ip("link", netns=lab.name("red"))] == ["lo"])
    assert settle(HERE, "pending")["missing"] == ["microservice/web"]
    assert settle(THERE, "pending")["missing"] == ["microservice/web"]
    assert [link["ifname"] for link in ip("link", netns=parking(lab))] == ["lo"]
    process = start(engine, lab)
    assert wired(engine, lab, settle, process)["index"] != before["index"]


def test_it_waits_over_a_restart_of_the_agent(lab: Lab, tmp_path: Path) -> None:
    """What is parked has a name, and so outlives the agent."""

    def is_so(engine: Engine, key: str, state: str) -> bool:
        return bool((engine.get(key) or {})["state"] == state)

    process = lab.process()
    with life(lab, tmp_path) as engine:
        engine.put(wiring(lab), timeout=5)
        engine.microservice("started", "web", pid=process.pid)
        until(engine, lambda: is_so(engine, "route/there/0.0.0.0/0", "configured"))
        until(engine, lambda: "LOWER_UP" in kept(lab)["flags"])
        before = kept(lab)
        process.end()
        until(engine, lambda: "parked until" in (engine.get(THERE) or {})["message"])
        entry = engine.get(THERE)
        assert entry is not None
    with life(lab, tmp_path) as again:
        until(again, lambda: (again.get(THERE) or {})["message"] == entry["message"])
        until(again, lambda: is_so(again, HERE, "configured"))
        quiet(again)
        assert kept(lab) == before
    process = lab.process()
    with life(lab, tmp_path) as third:
        third.microservice("started", "web", pid=process.pid)
        until(third, lambda: is_so(third, "route/there/0.0.0.0/0", "configured"))
        quiet(third)
        assert kept(lab) == before
        third.replace([], timeout=5)
        until(third, lambda: lab.name() not in run("ip netns"))


def test_the_agent_is_killed_while_an_end_is_on_its_way(lab: Lab, tmp_path: Path) -> None:
    """The pair is parked by then, or gone with the container: there is one again, and nothing is left of another."""
    for thousandths in (0, 1, 2, 4, 8):
        first, second = lab.process(), lab.process()
        agent = EngineProcess(lab.name(), tmp_path)
        for process in (first, second):
            agent.ask({"op": "put", "items": wiring(lab)})
            agent.ask({"op": "microservice", "event": "started", "label": "web", "pid": process.pid})
            agent.rest()
            if process is first:
                process.end()
                time.sleep(thousandths / 1000)
                agent.kill()
                agent.close()
                agent = EngineProcess(lab.name(), tmp_path)
        (entry,) = agent.ask({"op": "get", "key": "route/there/0.0.0.0/0"})["items"]
        assert entry["state"] == "configured"
        assert [link["ifname"] for link in ip("link", netns=lab.name("red"))] == ["lo", "here"]
        assert [link["ifname"] for link in ip("link", netns=parking(lab))] == ["lo"]
        agent.kill()
        agent.close()
        second.end()
    with life(lab, tmp_path) as engine:
        engine.replace([], timeout=5)
        until(engine, lambda: lab.name() not in run("ip netns"))


def test_a_new_container_runs_when_the_agent_is_there_again(lab: Lab, tmp_path: Path) -> None:
    """Both ends are known by their marks, wherever they are."""
    first, second = lab.process(), lab.process()
    with life(lab, tmp_path) as engine:
        engine.put(wiring(lab), timeout=5)
        engine.microservice("started", "web", pid=first.pid)
        until(engine, lambda: (engine.get(THERE) or {})["state"] == "configured")
        index = kept(lab)["index"]
        first.end()
        until(engine, lambda: "parked until" in (engine.get(THERE) or {})["message"])
    with life(lab, tmp_path) as engine:
        engine.microservice("started", "web", pid=second.pid)
        until(engine, lambda: (engine.get(THERE) or {})["state"] == "configured")
        assert kept(lab)["index"] == index
        assert [link["ifname"] for link in second.ip("link")] == ["lo", "eth0"]
        engine.replace([], timeout=5)


@pytest.mark.parametrize("what", ["delete both", "delete there", "survive no more"])
def test_what_is_not_wanted_any_more_goes(engine: Engine, lab: Lab, settle: Settle, what: str) -> None:
    items = wiring(lab)
    engine.put(items, timeout=5)
    process = start(engine, lab)
    wired(engine, lab, settle, process)
    process.end()
    until(engine, lambda: "parked until" in (engine.get(THERE) or {})["message"])
    if what == "survive no more":
        engine.put([items[0] | {"survive": False}])
    else:
        engine.delete([HERE, THERE] if what == "delete both" else [THERE], timeout=5)
    if what == "delete both":
        until(engine, lambda: lab.name() not in run("ip netns"))
        return
    until(engine, lambda: all(link["ifname"] != "here" for link in ip("link", netns=lab.name("red"))))
    missing = "microservice/web" if what == "survive no more" else "interface/there with peer here"
    assert settle(HERE, "pending")["missing"] == [missing]
    assert (parking(lab) in run("ip netns")) == (what == "delete there")


def test_the_newer_of_two_instances_gets_it(engine: Engine, lab: Lab, settle: Settle) -> None:
    engine.put(wiring(lab), timeout=5)
    older = start(engine, lab)
    before = wired(engine, lab, settle, older)
    newer = lab.process()
    engine.microservice("started", "web", pid=newer.pid, started_at=9e9)
    until(engine, lambda: len(newer.ip("link")) == 2)
    wired(engine, lab, settle, newer)
    assert [link["ifname"] for link in older.ip("link")] == ["lo"]
    assert kept(lab) == before


def test_a_namespace_of_a_name_that_is_made_again(engine: Engine, lab: Lab, settle: Settle) -> None:
    blue = lab.name("blue")
    engine.put([{**item, "namespace": by_name(blue)} if item["name"] == "there" else item for item in wiring(lab)[:2]], timeout=5)
    settle(THERE)
    until(engine, lambda: "LOWER_UP" in kept(lab)["flags"])
    before = kept(lab)
    run(f"ip netns del {blue}")
    until(engine, lambda: blue in run("ip netns"))
    settle(THERE)
    until(engine, lambda: kept(lab) == before)
    assert [link["ifname"] for link in ip("link", netns=blue)] == ["lo", "eth0"]


def test_a_name_that_is_taken_in_the_next_one(engine: Engine, lab: Lab, settle: Settle) -> None:
    engine.put(wiring(lab), timeout=5)
    process = start(engine, lab)
    before = wired(engine, lab, settle, process)
    process.end()
    process = lab.process()
    run(f"nsenter --net={process.netns} ip link add eth0 type bridge")
    engine.microservice("started", "web", pid=process.pid)
    assert settle(THERE, "failed")["message"] == "exists: a bridge link eth0 that nsplane did not make"
    run(f"nsenter --net={process.netns} ip link del eth0")
    wired(engine, lab, settle, process)
    assert kept(lab) == before


def test_both_ends_are_in_microservices(engine: Engine, lab: Lab, settle: Settle) -> None:
    engine.put([veth(a, b, by_label(a), host_name="eth0", survive=True) for a, b in (("one", "two"), ("two", "one"))])
    processes = {label: start(engine, lab, label) for label in ("one", "two")}
    settle("interface/one")
    settle("interface/two")
    index = {label: processes[label].ip("link", "show", "dev", "eth0")[0]["ifindex"] for label in processes}
    for ending, staying in (("one", "two"), ("two", "one")):
        processes[ending].end()
        settle(f"interface/{ending}", "pending")
        settle(f"interface/{staying}")
        processes[ending] = start(engine, lab, ending)
        settle(f"interface/{ending}")
        assert processes[staying].ip("link", "show", "dev", "eth0")[0]["ifindex"] == index[staying]
    for process in processes.values():
        process.end()
    settle("interface/one", "pending")
    settle("interface/two", "pending")
    until(engine, lambda: len(ip("link", netns=parking(lab))) == 3)
    processes = {label: start(engine, lab, label) for label in ("one", "two")}
    settle("interface/one")
    settle("interface/two")


def test_a_plan_knows_that_it_stays(engine: Engine, lab: Lab, settle: Settle) -> None:
    items = wiring(lab)
    engine.put(items, timeout=5)
    process = start(engine, lab)
    wired(engine, lab, settle, process)
    process.end()
    until(engine, lambda: "parked until" in (engine.get(THERE) or {})["message"])
    changes = ask(engine, op="plan", request={"op": "put", "items": items})["changes"]
    assert HERE not in {change["key"] for change in changes}
    assert {change["state"] for change in changes if change["key"] == THERE} == {"pending"}

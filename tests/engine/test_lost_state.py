"""A state that is lost is not a network that is lost: what bears the agent's mark is found wherever it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsplane import Engine

from .conftest import Lab, ip, ip_in, run, until
from .test_earlier_life import life
from .wishes import bridge, by_file, by_label, by_name, by_pid, route, veth


def names(netns: str) -> set[str]:
    return {link["ifname"] for link in ip_in(netns, "link")}


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A file for a namespace to be bound on."""
    path = tmp_path / "a b"
    path.touch()
    yield path
    subprocess.run(["umount", "-l", str(path)], check=False, capture_output=True)


def test_clear_finds_links_and_names_without_any_state(lab: Lab, mount: Path) -> None:
    red, theirs, here = lab.name("red"), lab.netns("theirs"), lab.name("here")
    process, ran = lab.process(), lab.process()
    run(f"ip netns add {lab.name('b')}; mount --bind /run/netns/{lab.name('b')} '{mount}'; ip netns del {lab.name('b')}")
    run_lo = f"nsenter --net={process.netns} ip link set lo up"
    run(run_lo)
    with life(lab) as engine:
        engine.microservice("started", "web", pid=ran.pid)
        wanted = [
            bridge("n", by_name(red), host_name="n", addresses=["10.0.0.1/24"]),
            route("n", "10.9.0.0/16", gateway="10.0.0.2"),
            bridge("t", by_name(theirs)),
            veth("p", here, by_pid(process.pid)),
            veth(here, "p"),
            bridge("w", by_label("web")),
            bridge("f", by_file(str(mount))),
        ]
        assert engine.put(wanted, timeout=5)["counts"] == {"configured": 7}
    with Engine(agent_id=lab.name("x")) as other:
        assert other.put([bridge("o", by_name(theirs))], timeout=5)["counts"] == {"configured": 1}
        with life(lab) as engine:
            reply = engine.clear(timeout=10)
            assert reply["counts"] == {}
            assert reply["left_over"] >= 4
        assert not os.path.exists(f"/run/netns/{red}")
        assert names(f"/run/netns/{theirs}") == {"lo", "o"}
        assert names(process.netns) == names(ran.netns) == names(str(mount)) == {"lo"}
        assert here not in {link["ifname"] for link in ip("link")}
        other.clear(timeout=5)


def test_clear_visits_many_in_turns(lab: Lab) -> None:
    made = [lab.name(f"n{number}") for number in range(40)]
    with life(lab) as engine:
        engine.put([bridge(name, by_name(name), host_name="b") for name in made], timeout=20)
    with life(lab) as engine:
        assert engine.clear(timeout=20)["left_over"] == 80
        assert not [name for name in made if os.path.exists(f"/run/netns/{name}")]
        assert engine.clear(timeout=20)["left_over"] == 0


def test_a_name_that_was_made_goes_with_its_last_item_though_the_state_was_lost(lab: Lab) -> None:
    red = lab.name("red")
    with life(lab) as engine:
        engine.put([bridge("b", by_name(red))], timeout=5)
    with life(lab) as engine:
        assert engine.put([bridge("b", by_name(red))], timeout=5)["counts"] == {"configured": 1}
        engine.replace([], timeout=5)
        until(engine, lambda: not os.path.exists(f"/run/netns/{red}"))


def test_a_put_during_clear_is_carried_out(lab: Lab) -> None:
    red = lab.name("red")
    with life(lab) as engine:
        engine.put([bridge("b", by_name(red))], timeout=5)
    with life(lab) as engine:
        cleared = engine.submit(b"\x81\xa2op\xa5clear")
        assert engine.put([bridge("c", by_name(red))], timeout=5)["counts"] == {"configured": 1}
        engine.settle(cleared, 5)
        assert names(f"/run/netns/{red}") == {"lo", "c"}
        engine.clear(timeout=5)
    assert not os.path.exists(f"/run/netns/{red}")

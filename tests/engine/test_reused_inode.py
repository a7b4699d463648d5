"""The kernel gives the inode of a namespace that has ended to another one: what is remembered of the first says nothing of it.

Which number it gives cannot be told in advance, so here the memory is of one that had this inode before.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nsplane import Journal

from .conftest import Lab, ip, life, run, until
from .test_restart import settled
from .wishes import bridge, by_name, existing

Namespace = list[int]
"""Device, inode and cookie."""


def remember(directory: Path, told: Callable[[Namespace], Namespace]) -> None:
    """Has the namespaces in the memory of an agent be known otherwise."""
    journal = Journal(directory)
    for key, former in dict(journal.saved("former")).items():
        boot, *netns, index = former["where"]
        journal.save("former", key, former | {"where": [boot, *told(netns), index]})
    for fact, place in dict(journal.saved("place")).items():
        journal.save("place", fact, place | {"identity": told(place["identity"])})
    journal.commit()
    journal.close()


def another(netns: Namespace) -> Namespace:
    dev, ino, cookie = netns
    return [dev, ino, cookie - 1]


def test_how_a_link_was_is_not_taken_for_that_of_another_one(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name e mtu 1450 type veth peer name f")
    with life(lab, tmp_path) as engine:
        assert engine.put([existing("e", by_name(red), mtu=1300)], timeout=5)["counts"] == {"configured": 1}
    run(f"ip -n {red} link set e mtu 1200")
    remember(tmp_path, another)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 1))
        engine.delete(["interface/e"], timeout=5)
    assert ip("link", "show", "e", netns=red)[0]["mtu"] == 1200


def test_a_link_that_was_set_aside_is_not_taken_for_another_one(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name eth0 type veth peer name eth1")
    with life(lab, tmp_path) as engine:
        engine.put([bridge("mine", by_name(red), host_name="eth0", override=True)], timeout=5)
    journal = Journal(tmp_path)
    aside = journal.saved("aside")["interface/mine"]
    boot, *netns, index = aside["where"]
    journal.save("aside", "interface/mine", aside | {"where": [boot, *another(netns), index]})
    journal.commit()
    journal.close()
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 1))
        engine.delete(["interface/mine"], timeout=5)
        engine.rest()
    assert "eth0" not in {link["ifname"] for link in ip("link", netns=red)}


def test_a_name_that_is_somebody_elses_by_now_stays(lab: Lab, tmp_path: Path) -> None:
    red = lab.name("red")
    lab.namespaces.append(red)
    with life(lab, tmp_path) as engine:
        assert engine.put([bridge("b", by_name(red))], timeout=5)["counts"] == {"configured": 1}
    run(f"ip -n {red} link set lo alias somebody")
    remember(tmp_path, another)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 1))
        engine.replace([], timeout=5)
        engine.rest()
    assert os.path.exists(f"/run/netns/{red}")


def test_what_earlier_versions_remembered_without_a_cookie_is_known(lab: Lab, tmp_path: Path) -> None:
    red, blue = lab.netns("red"), lab.name("blue")
    run(f"ip -n {red} link add name e mtu 1450 type veth peer name f")
    with life(lab, tmp_path) as engine:
        engine.put([existing("e", by_name(red), mtu=1300), bridge("b", by_name(blue))], timeout=5)
    run(f"ip -n {blue} link set lo alias somebody")
    remember(tmp_path, lambda netns: netns[:2])
    with life(lab, tmp_path) as engine:
        until(engine, lambda: settled(engine, 2))
        engine.replace([], timeout=5)
        engine.rest()
    assert ip("link", "show", "e", netns=red)[0]["mtu"] == 1450
    assert not os.path.exists(f"/run/netns/{blue}")

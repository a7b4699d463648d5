"""The monitor's socket overflows: what was missed is read again, and nothing stays wrong."""

from __future__ import annotations

import os
import resource
import socket
from functools import partial
from pathlib import Path

import pytest

from nsplane import Engine
from nsplane.world.namespaces import Namespaces

from .conftest import Lab, ip, quiet, run, until
from .wishes import bridge, by_name


def make_small(engine: Engine) -> None:
    """Gives the monitor a buffer that soon overflows."""
    with socket.socket(fileno=os.dup(engine._planner.namespaces.monitor.fd)) as monitor:
        monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)


def has_address(netns: str) -> bool:
    return "10.8.0.1" in str(ip("addr", "show", "br", netns=netns))


def test_what_cannot_be_read_again_for_want_of_descriptors_is_read_later(
    engine: Engine, lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [lab.name("red"), lab.name("blue")]
    engine.put([bridge(name, by_name(name), host_name="br", addresses=["10.8.0.1/24"]) for name in names], timeout=5)
    make_small(engine)
    batch = tmp_path / "storm"
    storm = (f"address add 10.7.{i // 250}.{i % 250 + 1}/32 dev br\n" for i in range(400))
    batch.write_text("".join(storm) + "address del 10.8.0.1/24 dev br\n")
    for name in names:
        run(f"ip -n {name} -batch {batch}")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))  # what is open stays so
    try:
        while "cannot be" not in caplog.text:
            engine.process()
        engine.process()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert caplog.text.count("cannot be") == 1
    for name in names:
        until(engine, partial(has_address, name))


def test_a_storm_that_overflows_the_monitor_ends_in_sync(
    engine: Engine, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = lab.name("red")
    place = {"type": "name", "name": red}
    engine.put(
        [
            {
                "kind": "bridge",
                "name": "br",
                "namespace": place,
                "mtu": 1500,
                "addresses": ["10.8.0.1/24", "10.8.1.1/24", "fd08::1/64"],
            },
            *({"kind": "route", "interface": "br", "dst": f"10.9.{i}.0/24", "gateway": "10.8.0.9"} for i in range(50)),
            {"kind": "arp", "interface": "br", "ip": "10.8.0.9", "mac": "02:00:00:00:00:09"},
            {"kind": "existing", "name": "later", "namespace": place, "host_name": "late0", "addresses": ["10.8.2.1/24"]},
        ],
        timeout=5,
    )
    surveys: list[Namespaces] = []
    survey_all = Namespaces.survey_all

    def survey(namespaces: Namespaces) -> None:
        surveys.append(namespaces)
        survey_all(namespaces)

    monkeypatch.setattr(Namespaces, "survey_all", survey)
    make_small(engine)
    storm = "".join(f"address add 10.7.{i // 250}.{i % 250 + 1}/32 dev br\n" for i in range(400))
    storm += (
        "link set dev br down\nlink set dev br up\naddress del 10.8.1.1/24 dev br\nlink add name late0 type veth peer name late1\n"
    )
    storm += "link set dev br mtu 1200\n"
    batch = tmp_path / "storm"
    batch.write_text(storm)
    run(f"ip -n {red} -batch {batch}")
    quiet(engine)
    assert surveys

    link = ip("addr", "show", "br", netns=red)[0]
    assert link["mtu"] == 1500
    assert {"10.8.0.1", "10.8.1.1", "fd08::1"} <= {address["local"] for address in link["addr_info"]}
    assert len(ip("route", "show", "proto", "110", netns=red)) == 50
    assert ip("neigh", "show", "10.8.0.9", netns=red)[0]["lladdr"] == "02:00:00:00:00:09"
    entry = engine.get("interface/later") or {}
    assert entry["state"] == "configured", entry
    assert ip("addr", "show", "late0", netns=red)[0]["addr_info"][0]["local"] == "10.8.2.1"
    run(f"ip -n {red} link del late1")  # a namespace with somebody else in it would stay
    quiet(engine)

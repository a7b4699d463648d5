"""tun and tap: made by /dev/net/tun in the namespace of the item, for processes that open them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from nsplane import Engine
from nsplane.kernel import enter_netns

from .conftest import Lab, ip, quiet, run, until
from .tuntap import IFF_NO_PI, IFF_TAP, IFF_TUN, IFF_VNET_HDR, attach, opened
from .wishes import bridge, by_name

Settle = Callable[..., dict[str, Any]]


def put(engine: Engine, *items: dict[str, Any]) -> None:
    reply = engine.put(list(items), timeout=5)
    assert set(reply["counts"]) == {"configured"}, reply["items"]


def details(netns: str, name: str) -> dict[str, Any]:
    """What `ip` tells of a link, and of what it is of its kind."""
    (link,) = ip("-d", "link", "show", "dev", name, netns=netns)
    return dict(link)


def opens(user: int, netns: str, name: str, flags: int) -> int:
    """What the kernel says to a user who opens a link: 0 or an errno."""
    pid = os.fork()
    if not pid:
        code = 255
        try:
            fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
            enter_netns(fd)
            queue = opened()
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            try:
                attach(queue, name, flags)
                code = 0
            except OSError as error:
                code = error.errno or 255
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_tap_is_a_port_and_stays_when_nobody_has_it_open(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    tap = {"kind": "tap", "name": "t", "namespace": by_name(red), "master": "b", "mac": "02:00:00:00:00:07", "mtu": 1400}
    put(engine, bridge("b", by_name(red)), tap)
    link = details(red, "t")
    assert (link["master"], link["address"], link["mtu"]) == ("b", "02:00:00:00:00:07", 1400)
    assert link["ifalias"].startswith(f"nsplane:{lab.name()}:")
    data = link["linkinfo"]["info_data"]
    assert (data["type"], data["persist"], data["pi"], data["vnet_hdr"], data["multi_queue"]) == ("tap", True, False, False, False)
    engine.delete(["interface/t"], timeout=5)
    assert [one["ifname"] for one in ip("link", netns=red)] == ["lo", "b"]


def test_its_owner_opens_it_and_nobody_else(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    tun = {"kind": "tun", "name": "t", "namespace": by_name(red), "addresses": ["10.9.0.1/24"], "owner": 1234}
    put(engine, tun)
    assert opens(1234, red, "t", IFF_TUN | IFF_NO_PI) == 0
    assert opens(1235, red, "t", IFF_TUN | IFF_NO_PI) == errno.EPERM
    index = details(red, "t")["ifindex"]
    put(engine, tun | {"owner": 1235})
    assert opens(1234, red, "t", IFF_TUN | IFF_NO_PI) == errno.EPERM
    assert opens(1235, red, "t", IFF_TUN | IFF_NO_PI) == 0
    assert details(red, "t")["ifindex"] == index


def test_what_it_is_given_while_it_is_down_is_known(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    tap = {"kind": "tap", "name": "t", "namespace": by_name(red), "enabled": False}
    put(engine, tap | {"owner": 7})
    put(engine, tap | {"owner": 8})
    quiet(engine)
    assert details(red, "t")["linkinfo"]["info_data"]["user"] in (8, "mail")


def test_users_and_groups_have_names_where_the_agent_runs(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    tap = {"kind": "tap", "name": "t", "namespace": by_name(red), "owner": "daemon", "group": "mail"}
    put(engine, tap)
    quiet(engine)
    reply = engine.put([tap | {"owner": "nobody-of-this-name"}], timeout=5)
    (entry,) = reply["items"]
    assert (entry["state"], entry["errno"]) == ("failed", "ENOENT")
    assert entry["message"] == "owner: there is no user 'nobody-of-this-name' here"
    data = details(red, "t")["linkinfo"]["info_data"]
    assert (data["user"], data["group"]) in ((1, 8), ("daemon", "mail"))
    put(engine, tap | {"owner": 1})


def test_a_name_that_nobody_has_makes_no_link(engine: Engine, lab: Lab) -> None:
    tun = {"kind": "tun", "name": "t", "namespace": by_name(lab.name("red")), "group": "no-such\0group"}
    (entry,) = engine.put([tun], timeout=5)["items"]
    assert (entry["state"], entry["errno"]) == ("failed", "ENOENT")
    assert [one["ifname"] for one in ip("link", netns=lab.name("red"))] == ["lo"]


def test_who_has_it_open_keeps_it(engine: Engine, lab: Lab, settle: Settle) -> None:
    name = lab.name("t")
    tap = {"kind": "tap", "name": "t", "host_name": name, "owner": 7}
    put(engine, tap)
    index = details_here(name)["ifindex"]
    queue = opened()
    attach(queue, name, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)  # as a virtual machine would
    assert engine.put([tap | {"owner": 8}], timeout=5)["counts"] == {"failed": 1}
    entry = settle("interface/t", "retrying")
    assert (entry["errno"], entry["message"]) == (
        "EBUSY",
        f"change the tap {name}, which a process has open: Device or resource busy",
    )
    os.close(queue)
    settle("interface/t")
    assert details_here(name)["ifindex"] == index


def details_here(name: str) -> dict[str, Any]:
    (link,) = ip("-d", "link", "show", "dev", name)
    return dict(link)


def test_how_a_process_opens_it_is_no_drift(engine: Engine, lab: Lab) -> None:
    name = lab.name("t")
    put(engine, {"kind": "tap", "name": "t", "host_name": name})
    index = details_here(name)["ifindex"]
    queue = opened()
    attach(queue, name, IFF_TAP | IFF_VNET_HDR)
    quiet(engine)
    resync(engine)
    data = details_here(name)["linkinfo"]["info_data"]
    assert (details_here(name)["ifindex"], data["vnet_hdr"], data["pi"]) == (index, True, True)
    assert engine.info()["drift"] == {"missing": 0, "altered": 0, "stale": 0}
    os.close(queue)


def resync(engine: Engine) -> None:
    assert engine._ask({"op": "resync", "id": 1}, 10)["counts"]["repaired"] == 0


def test_one_that_is_deleted_is_made_anew(engine: Engine, lab: Lab, settle: Settle) -> None:
    name = lab.name("t")
    put(engine, {"kind": "tun", "name": "t", "host_name": name, "owner": 7, "addresses": ["10.9.0.1/24"]})
    index = details_here(name)["ifindex"]
    run(f"ip tuntap del dev {name} mode tun")
    until(engine, lambda: any(one["ifname"] == name and one["ifindex"] != index for one in ip("link")))
    settle("interface/t")


@pytest.mark.parametrize("mode", ["tap", "tun"])
def test_somebody_elses_is_in_the_way(engine: Engine, lab: Lab, mode: str) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} tuntap add dev t mode {mode}")
    (entry,) = engine.put([{"kind": "tap", "name": "t", "namespace": by_name(red)}], timeout=5)["items"]
    assert (entry["state"], entry["errno"], entry["message"]) == (
        "failed",
        "EEXIST",
        "exists: a tun link t that nsplane did not make",
    )


def test_a_tap_in_place_of_a_tun(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    item = {"name": "t", "namespace": by_name(red)}
    put(engine, item | {"kind": "tun"})
    put(engine, item | {"kind": "tap"})
    assert details(red, "t")["linkinfo"]["info_data"]["type"] == "tap"


def test_without_the_device_it_is_said_so(lab: Lab) -> None:
    put_one = (
        "import json; from nsplane import Engine\n"
        f"with Engine(agent_id={lab.name()!r}) as engine:\n"
        "    reply = engine.put([{'kind': 'tap', 'name': 't'}], timeout=60); engine.replace([], timeout=60)\n"
        "print(json.dumps(reply['items'], default=str))"
    )
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"]
    done = subprocess.run([*hidden, sys.executable, "-c", put_one], check=True, capture_output=True, text=True)
    (entry,) = json.loads(done.stdout)
    assert (entry["state"], entry["errno"]) == ("failed", "EOPNOTSUPP")
    assert entry["message"].startswith("there is no /dev/net/tun, which makes tun and tap")

"""`nsplane watch`, `why` and `history` tell people what happened, and why."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from nsplane_bus.past import grouped, outcome, revisions_of, took

from .conftest import RunningAgent, eventually

TIME = re.compile(r"\d\d:\d\d:\d\d\.\d\d\d  ")


def subscribed(agent: RunningAgent) -> None:
    eventually(lambda: agent.client().info()["bus"]["publisher"]["subscriptions"])


def test_what_happens_is_told_with_its_time(agent: RunningAgent) -> None:
    watching = agent.start("watch", "interface/", stdout=subprocess.PIPE)
    subscribed(agent)
    agent.client().put([{"kind": "bridge", "name": "br", "namespace": agent.namespace, "mtu": 1400}])
    subprocess.run(["ip", "-n", agent.name, "link", "set", "dev", "br", "mtu", "1300"], check=True)
    assert watching.stdout is not None
    lines = [watching.stdout.readline()]
    while "drift/" not in lines[-1]:
        lines.append(watching.stdout.readline())
        assert lines[-1]
    watching.terminate()
    watching.communicate()
    assert all(TIME.match(line) for line in lines)
    told = [TIME.sub("", line) for line in lines]
    assert told[0].startswith("interface/br  none -> ")
    assert told[-1] == "drift/interface/br  altered  somebody else has changed mtu: it is put right\n"


def test_events_in_json_say_when_they_were_heard(agent: RunningAgent) -> None:
    watching = agent.start("watch", "--json", stdout=subprocess.PIPE)
    subscribed(agent)
    agent.client().put([{"kind": "route", "interface": "none", "dst": "10.0.0.0/8"}])
    assert watching.stdout is not None
    event = json.loads(watching.stdout.readline())
    assert (event["topic"], event["state"]) == ("item/route/none/10.0.0.0/8", "pending")
    assert event["heard"] >= event["since"] - 1
    watching.terminate()
    watching.communicate()


def test_why_goes_down_to_what_nobody_has_given_yet(agent: RunningAgent) -> None:
    web = {"type": "microservice", "microservice": "web"}
    agent.client().put(
        [
            {"kind": "veth", "name": "one", "peer": "two", "namespace": agent.namespace},
            {"kind": "veth", "name": "two", "peer": "one", "namespace": web},
            {"kind": "vlan", "name": "v7", "parent": "one", "id": 7, "namespace": agent.namespace},
            {"kind": "route", "interface": "v7", "dst": "10.0.0.0/8"},
        ]
    )
    done = agent.nsplane("why", "route/v7/10.0.0.0/8")
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert [re.split(r":? ", line.strip())[0] for line in lines] == [
        "route/v7/10.0.0.0/8",
        "interface/v7",
        "interface/one",
        "microservice/web",
    ]
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 4, 6]
    assert lines[0].endswith("; it waits for interface/v7.")
    assert lines[-1].endswith(
        "nothing runs under this label (1 items wait). It runs when `nsplane run --label web` does, or a container with"
        " MICROSERVICE_LABEL=web."
    )


@pytest.mark.parametrize(
    ("item", "key", "said"),
    [
        ({"kind": "route", "interface": "no", "dst": "10.0.0.0/8"}, "route/no/10.0.0.0/8", "nobody has put an interface no."),
        (
            {"kind": "route", "interface": "br", "dst": "10.9.0.0/16", "gateway": "10.7.0.1"},
            "route/br/10.9.0.0/16",
            "gateway/10.7.0.1: the kernel cannot reach it, for the addresses of br (10.1.0.1/24) are in other networks:"
            " an address in its network, an on-link route to it, or `onlink` is missing.",
        ),
        (
            {"kind": "route", "interface": "off", "dst": "10.9.0.0/16"},
            "route/off/10.9.0.0/16",
            "; but it is to be down (enabled: false), and what is on it wants it up.",
        ),
        (
            {"kind": "veth", "name": "a", "peer": "b"},
            "interface/a",
            "interface/b with peer a: nobody has put an interface b (peer of it: a).",
        ),
        (
            {"kind": "veth", "name": "a", "peer": "br"},
            "interface/a",
            "; but its peer is None, not a: both ends of a pair have to name each other.",
        ),
        (
            {"kind": "fdb", "interface": "br", "mac": "02:00:00:00:00:09"},
            "fdb/br/02:00:00:00:00:09",
            "br is in no bridge: give its item a `master`, or put it into one.",
        ),
    ],
    ids=["interface", "gateway", "down", "no peer", "another peer", "master"],
)
def test_why_says_what_is_missing(agent: RunningAgent, item: dict[str, object], key: str, said: str) -> None:
    bridge = {"kind": "bridge", "name": "br", "namespace": agent.namespace, "addresses": ["10.1.0.1/24"]}
    off = {"kind": "bridge", "name": "off", "namespace": agent.namespace, "enabled": False}
    agent.client().put([bridge, off, item])
    assert agent.nsplane("why", key).stdout.splitlines()[1].strip().endswith(said)


def request(seq: int, time: float, source: str = "bulk", **more: object) -> dict[str, object]:
    about = {"op": "put", "counts": {"configured": 10}, "seconds": 0.01, "error": None, "note": None, "confirm_by": None}
    return {"seq": seq, "time": time, "source": source, **about, **more}


def test_what_was_sent_in_many_parts_is_one_line_of_the_history() -> None:
    requests = [request(n, 100 + n / 50) for n in range(9, 0, -1)]
    (group,) = grouped(requests)
    assert (revisions_of(group), took(group), outcome(group)) == ("1-9", "170 ms", "9 requests: 90 configured")
    between = [*requests[:4], request(5, 100.1, "other"), *requests[5:]]
    assert [revisions_of(group) for group in grouped(between)] == ["1-9", "5"]
    apart = [request(3, 200.0), request(2, 100.1), request(1, 100.09)]
    assert [revisions_of(group) for group in grouped(apart)] == ["3", "1-2"]
    noted = [request(3, 100.02), request(2, 100.01, note="revert of 1"), request(1, 100.0)]
    assert [revisions_of(group) for group in grouped(noted)] == ["3", "2", "1"]
    (under_way,) = grouped([request(2, 100.01, seconds=None, counts=None), request(1, 100.0)])
    assert (took(under_way), outcome(under_way)) == ("", "2 requests: 10 configured, 1 under way")

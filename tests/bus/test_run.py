"""`nsplane run` starts a command in a namespace of its own and announces it; `nsplane exec` goes into one that is there."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunningAgent, eventually

OWN = "readlink /proc/self/ns/net"


def microservice(agent: RunningAgent, label: str) -> dict[str, Any] | None:
    return agent.client().entry(f"microservice/{label}")


@pytest.fixture
def web(agent: RunningAgent) -> Any:
    """A microservice with the label `web`: (the process of nsplane run, the PID that was announced)."""
    process = agent.start("run", "--label", "web", "--", "sleep", "600")
    eventually(lambda: microservice(agent, "web"))
    entry = microservice(agent, "web")
    assert entry is not None
    yield process, entry["pid"]
    process.kill()
    process.wait()
    if Path(f"/proc/{entry['pid']}").exists():
        os.kill(entry["pid"], signal.SIGKILL)


def test_the_command_has_a_namespace_of_its_own_with_lo_up(agent: RunningAgent) -> None:
    done = agent.nsplane("run", "--label", "web", "--", "sh", "-c", f"{OWN}; cat /sys/class/net/lo/flags; ip -br link")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] != os.readlink("/proc/self/ns/net")
    assert "lo " in done.stdout
    assert "UP" in done.stdout


def test_it_is_announced_while_it_runs(agent: RunningAgent, web: tuple[subprocess.Popen[str], int]) -> None:
    process, pid = web
    entry = microservice(agent, "web")
    assert entry is not None
    assert (entry["label"], entry["source"]) == ("web", f"run/{process.pid}")
    assert abs(entry["started_at"] - time.time()) < 20
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert microservice(agent, "web") is None
    assert not Path(f"/proc/{pid}").exists()


def test_what_waits_for_it_is_there_milliseconds_after_its_start(agent: RunningAgent) -> None:
    client = agent.client()
    place = {"type": "microservice", "microservice": "web"}
    bridge = {"kind": "bridge", "name": "br", "namespace": place, "addresses": ["10.7.0.1/24"]}
    route = {"kind": "route", "interface": "br", "dst": "10.8.0.0/16", "gateway": "10.7.0.2"}
    assert client.put([bridge, route]).counts == {"pending": 2}
    process = agent.start("run", "--label", "web", "--", "sleep", "600")
    try:
        client.wait("interface/br")
        entry = client.wait("route/br/10.8.0.0/16")
        started = microservice(agent, "web")
        assert entry is not None
        assert started is not None
        assert entry["since"] - started["started_at"] < 1
        shown = agent.nsplane("exec", "web", "--", "ip", "route", "show", "10.8.0.0/16")
        assert "via 10.7.0.2 dev br" in shown.stdout
    finally:
        process.terminate()
        process.wait(10)
    assert client.wait("interface/br", "pending")


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 128 + 9)])
def test_the_exit_code_is_the_commands(agent: RunningAgent, command: str, code: int) -> None:
    assert agent.nsplane("run", "--label", "web", "--", "sh", "-c", command).returncode == code


def test_a_command_finds_its_microservice_announced(agent: RunningAgent) -> None:
    command = f"echo $$; {OWN}"
    client = agent.client()
    with client.subscribe("microservice/") as events:
        events.ready()
        for _ in range(5):
            done = agent.nsplane("run", "--label", "web", "--", "sh", "-c", command)
            assert done.returncode == 0, "however short it runs"
            started, stopped = events.next(5), events.next(5)
            assert started is not None
            assert stopped is not None
            assert [started.body["event"], stopped.body["event"]] == ["started", "stopped"]
            assert done.stdout.splitlines()[0] == str(started.body["pid"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(agent: RunningAgent, number: signal.Signals) -> None:
    script = f"trap 'echo got {number.name}; exit 3' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    process = agent.start("run", "--label", "web", "--", "sh", "-c", script, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(10) == 3
    assert process.stdout.read() == f"got {number.name}\n"


def test_the_end_is_seen_even_where_nobody_announces_it(agent: RunningAgent, web: tuple[subprocess.Popen[str], int]) -> None:
    process, pid = web
    process.kill()
    process.wait()
    assert microservice(agent, "web") is not None, "the command goes on"
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: microservice(agent, "web") is None)


@pytest.mark.parametrize(("command", "code"), [("/nonexistent", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_started_is_said(agent: RunningAgent, command: str, code: int) -> None:
    for verb in (("run", "--label", "web"), ("exec", agent.name)):
        agent.client().put([{"kind": "bridge", "name": "br", "namespace": agent.namespace}])
        done = agent.nsplane(*verb, "--", command)
        assert done.returncode == code
        assert done.stderr.startswith(f"nsplane: {command}: ")
    assert microservice(agent, "web") is None


def test_without_an_agent_nothing_is_started(agent: RunningAgent) -> None:
    agent.stop()
    done = agent.nsplane("run", "--label", "web", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"nsplane: no agent at {agent.bus}")


def test_exec_enters_a_microservice_by_its_label(agent: RunningAgent, web: tuple[subprocess.Popen[str], int]) -> None:
    _, pid = web
    done = agent.nsplane("exec", "web", "--", *OWN.split())
    assert done.stdout.strip() == os.readlink(f"/proc/{pid}/ns/net")
    assert agent.nsplane("exec", "web", "sh", "-c", "exit 5").returncode == 5, "the -- may be left out"


def test_exec_enters_a_named_namespace_with_an_agent_or_without(agent: RunningAgent) -> None:
    client = agent.client()
    client.put([{"kind": "bridge", "name": "br", "namespace": agent.namespace}])
    command = ("exec", agent.name, "--", "ip", "-br", "link", "show", "br")
    assert "br " in agent.nsplane(*command).stdout
    agent.stop()
    assert "br " in agent.nsplane(*command).stdout
    subprocess.run(["ip", "netns", "del", agent.name], check=True)


def test_exec_says_what_is_not_there(agent: RunningAgent) -> None:
    done = agent.nsplane("exec", "nowhere", "--", "true")
    assert done.returncode == 1
    assert done.stderr == "nsplane: there is no namespace 'nowhere' and no microservice of that name\n"


def test_usage(agent: RunningAgent) -> None:
    assert agent.nsplane("run", "--", "true").returncode == 2
    assert agent.nsplane("run", "--label", "web").returncode == 2
    assert agent.nsplane("exec", "web").returncode == 2
    assert agent.nsplane("exec", "web", "--").returncode == 2


def test_the_command_begins_when_all_is_there(agent: RunningAgent) -> None:
    """Its first look sees the whole network."""
    place = {"type": "microservice", "microservice": "web"}
    bridge = {"kind": "bridge", "name": "br", "namespace": place, "addresses": ["10.7.0.1/24"]}
    routes = [{"kind": "route", "interface": "br", "dst": f"10.8.{number}.0/24", "gateway": "10.7.0.2"} for number in range(250)]
    agent.client().put([bridge, *routes])
    for _ in range(5):
        done = agent.nsplane("run", "--label", "web", "--", "ip", "route")
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 251


def test_a_command_that_would_begin_too_early(agent: RunningAgent) -> None:
    named = ("run", "--label", "web", "--wait", "interface/never,interface/later", "--deadline", "0.2")
    done = agent.nsplane(*named, "--", "echo", "begun")
    text = "not all is applied for web: interface/never is removed; interface/later is removed"
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n", f"nsplane: started without all of its network: {text}\n")
    done = agent.nsplane(*named, "--policy", "closed", "--", "echo", "begun")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"nsplane: {text}\n")
    assert microservice(agent, "web") is None


def test_a_signal_ends_one_that_is_held(agent: RunningAgent) -> None:
    process = agent.start("run", "--label", "web", "--wait", "interface/never", "--deadline", "3600", "--", "echo", "begun")
    client = agent.client()
    eventually(lambda: client.info()["starts"]["held"])
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGTERM
    assert microservice(agent, "web") is None

"""`nsplane top`: on a terminal, which it leaves as it was, in a pipe, and through a restart of the agent."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from nsplane_bus.cli.rates import quantile_of
from nsplane_bus.cli.top_view import view

from ..engine.conftest import SLOWNESS
from .conftest import NSPLANE, RunningAgent, eventually, start_agent

ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])")
RESTORED = ("\x1b[?1049l", "\x1b[?25h")
"""Off the alternate screen, and the cursor is shown."""


class Terminal:
    """A terminal of 120 by 40 with `nsplane top` in it."""

    def __init__(self, agent: RunningAgent, *options: str) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.process = subprocess.Popen(
            [*NSPLANE, "top", "--interval", "0.2", *options],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=os.environ | {"NSPLANE_RUNTIME_DIR": str(agent.directory), "TERM": "xterm-256color"},
        )

    def read(self) -> str:
        """All that was written until now."""
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536).decode()
        return self.seen

    def frames(self) -> list[str]:
        """What was shown, one picture after the other, without the one that is just being drawn."""
        return [ESCAPE.sub("", frame) for frame in self.read().split("\x1b[H")[:-1]]

    def await_text(self, text: str, begin: int = 0) -> None:
        eventually(lambda: any(text in frame for frame in self.frames()[begin:]))

    def press(self, key: bytes) -> None:
        os.write(self.master, key)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@contextlib.contextmanager
def terminal(agent: RunningAgent, *options: str) -> Iterator[Terminal]:
    with contextlib.closing(Terminal(agent, *options)) as opened:
        yield opened


@contextlib.contextmanager
def publisher(agent: RunningAgent) -> Iterator[None]:
    """Puts and deletes routes all the time."""
    client = agent.client("publisher")
    routes = [{"kind": "route", "interface": "br", "dst": f"10.1.{i}.0/24"} for i in range(50)]
    stays = {"kind": "route", "interface": "br", "dst": "10.2.0.0/16"}
    client.put([{"kind": "bridge", "name": "br", "namespace": agent.namespace, "addresses": ["10.0.0.1/24"]}, stays])
    ends = threading.Event()

    def publish() -> None:
        while not ends.is_set():
            client.put(routes)
            client.delete([f"route/br/{route['dst']}" for route in routes])
            time.sleep(0.01)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def once(agent: RunningAgent, *options: str) -> dict[str, Any]:
    done = agent.nsplane("top", "--once", "--json", *options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_shows_what_a_publisher_has_done_and_leaves_the_terminal_as_it_was(agent: RunningAgent) -> None:
    with publisher(agent), terminal(agent) as shown:
        for text in ("requests/s", "BUSIEST SOURCES", "publisher", f"namespace/{agent.name}", "configured".upper(), "99 %"):
            shown.await_text(text)
        assert not termios.tcgetattr(shown.slave)[3] & termios.ECHO
        shown.press(b"\x03")
        assert shown.process.wait(20) == 0
        said = shown.read()
        assert all(said.rindex(code) > said.rindex("\x1b[H") for code in RESTORED)
        assert "Aborted" not in said
        assert termios.tcgetattr(shown.slave) == shown.before


@pytest.mark.parametrize("how", ["q", "SIGTERM"])
def test_it_ends_otherwise_too(agent: RunningAgent, how: str) -> None:
    with terminal(agent) as shown:
        shown.await_text("requests/s")
        if how == "q":
            shown.press(b"xq")
        else:
            shown.process.send_signal(signal.SIGTERM)
        assert shown.process.wait(20) == 0
        assert all(code in shown.read() for code in RESTORED)
        assert termios.tcgetattr(shown.slave) == shown.before


def test_it_follows_the_agent_through_its_restart(agent: RunningAgent) -> None:
    with terminal(agent) as shown:
        shown.await_text("requests/s")
        assert agent.stop() == 0
        shown.await_text("no agent at")
        again = start_agent(agent.directory, agent.name, "--no-docker")
        begin = len(shown.frames())
        eventually(lambda: any("requests/s" in frame and "no agent at" not in frame for frame in shown.frames()[begin:]))
        shown.press(b"q")
        assert shown.process.wait(20) == 0
        assert again.stop() == 0


def test_one_look_is_for_pipes(agent: RunningAgent) -> None:
    with publisher(agent):
        eventually(lambda: once(agent, "--interval", "0.3")["busiest"]["interfaces"], 60 * SLOWNESS)
        found = once(agent, "--interval", "0.5")
        text = agent.nsplane("top", "--interval", "0.3").stdout
    assert found["rates"]["items"] >= found["rates"]["requests"] > 0
    assert found["rates"]["kernel_messages"] > 0
    assert found["busiest"]["interfaces"]["br"] > 0
    put = found["latencies"]["put"]
    assert 0 < put["p50"] <= put["p90"] <= put["p99"] <= 10
    assert found["states"]["configured"] >= 1
    assert found["seconds"] >= 0.5
    assert "\x1b" not in text
    assert "items/s" in text
    for width in (60, 80, 120):
        console = Console(width=width, color_system=None)
        with console.capture() as shown:
            console.print(view(found))
        assert "…" not in shown.get(), "there is room for all numbers"


def test_lines_of_json_say_that_the_agent_is_gone(agent: RunningAgent) -> None:
    process = agent.start("top", "--json", "--interval", "0.1", stdout=subprocess.PIPE)
    assert process.stdout is not None
    first, second = (json.loads(process.stdout.readline()) for _ in range(2))
    assert (first["rates"]["items"], second["rates"]["items"]) == (None, 0)
    assert agent.stop() == 0
    while "error" not in (line := json.loads(process.stdout.readline())):
        pass
    assert line["error"].startswith("no agent at ")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    process.stdout.close()


def test_quantiles_are_what_buckets_tell() -> None:
    bounds = [0.1, 0.2, 0.4]
    assert quantile_of(bounds, [0, 10, 0, 0], 0.5) == pytest.approx(0.15)
    assert quantile_of(bounds, [4, 0, 4, 0], 0.5) == pytest.approx(0.1)
    assert quantile_of(bounds, [0, 0, 0, 3], 0.5) == pytest.approx(0.4)
    assert quantile_of(bounds, [1, 1, 1, 1], 0.99) == pytest.approx(0.4)

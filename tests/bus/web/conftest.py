"""`nsplane web` for a running agent, and a real browser that looks at it."""

from __future__ import annotations

import http.client
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ...engine.conftest import SLOWNESS
from ..conftest import RunningAgent, eventually, left_of, start_agent

_numbers = itertools.count(1)
CHROMIUM = shutil.which("chromium")
# Who is root has no sandbox in a box of namespaces; and a browser that calls home finds nobody.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@dataclass
class Served:
    """The pages of an agent, at `address` and `port`."""

    agent: RunningAgent
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """An answer, which is to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * SLOWNESS)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse()


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    """One that keeps a journal, for it is asked for the history."""
    name = f"w{os.getpid() % 10000}x{next(_numbers)}"
    directory = Path(tempfile.mkdtemp(prefix="nspt-"))
    agent = start_agent(directory, name, "--no-docker", NSPLANE_STATE_DIR=str(directory / "state"))
    yield agent
    for used in agent.clients:
        used.close()
    assert agent.stop() == 0, agent.log
    assert "Traceback" not in agent.log, agent.log
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def nothing_is_left(agent: RunningAgent) -> Iterator[None]:
    yield
    agent.client().clear()
    eventually(lambda: not left_of(agent.name))


@pytest.fixture(scope="module")
def served(agent: RunningAgent) -> Iterator[Served]:
    process = agent.start("web", "--listen", "127.0.0.1:0", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("http://127.0.0.1:"), line
    yield Served(agent, int(line.rstrip("/\n").rpartition(":")[2]))
    process.terminate()
    out, err = process.communicate(timeout=20 * SLOWNESS)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the session: while it is there, no other test can run a loop of asyncio in this thread.
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@dataclass
class Looking:
    """A page in the browser, and what went wrong in it."""

    page: Page
    served: Served
    complaints: list[str]
    asked: list[str]

    def open(self, place: str = "#/picture") -> Page:
        self.page.goto(self.served.address + place)
        return self.page


@pytest.fixture
def looking(browser: Browser, served: Served, request: pytest.FixtureRequest) -> Iterator[Looking]:
    """A page of the served ones. No console of a page may complain; nothing may be asked of anybody else."""
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, **getattr(request, "param", {})}
    context = browser.new_context(**options)
    context.set_default_timeout(20_000 * SLOWNESS)
    page = context.new_page()
    looking = Looking(page, served, [], [])
    page.on("console", lambda message: looking.complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: looking.complaints.append(str(error)))
    page.on("request", lambda asked: looking.asked.append(asked.url))
    yield looking
    context.close()
    assert looking.complaints == []
    assert [url for url in looking.asked if not url.startswith(served.address)] == []

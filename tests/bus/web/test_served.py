"""What `nsplane web` answers, without a browser: who may ask, and that nobody makes it grow."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus.protocol import SYNC, Endpoints, endpoints
from nsplane_bus.web.browsers import QUEUE_BYTES, Browser, Browsers, message
from nsplane_bus.web.follower import Follower
from nsplane_bus.web.links import Links
from nsplane_bus.web.picture import Picture

from ...engine.conftest import SLOWNESS
from ..conftest import RunningAgent, directory, eventually, start_agent  # noqa: F401 - a fixture
from .conftest import Served

ASKED = ("/", "/static/main.js", "/graph.css", "/api/items", "/api/item?key=x", "/api/past", "/api/requests", "/api/picture")


def test_every_answer_says_what_a_browser_may_do_with_it(served: Served) -> None:
    known(served)
    for path in ASKED:
        answer = served.ask(path)
        answer.read()
        assert answer.status == 200, path
        policy = dict(part.split(" ", 1) for part in str(answer.headers["Content-Security-Policy"]).split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def known(served: Served) -> None:
    """Waits until the agent is followed."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as stream:
        stream.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = b""
        while b'"agent":"here"' not in heard:
            heard += stream.recv(65536)


def test_a_signal_that_comes_before_the_server_takes_signals_ends_it(tmp_path: Path) -> None:
    program = """
import os, signal, sys, uvicorn
from nsplane_bus.cli import main

def told(server, sockets):
    os.kill(os.getpid(), signal.SIGTERM)
    run(server, sockets)

run, uvicorn.Server.run = uvicorn.Server.run, told
sys.argv = ["nsplane", "web", "--listen", "127.0.0.1:0"]
main()
"""
    environment = os.environ | {"NSPLANE_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=20 * SLOWNESS)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_nothing_can_be_changed(served: Served) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for path in ASKED:
            answer = served.ask(path, method)
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD"), (method, path)


def test_a_name_that_leads_here_without_our_knowledge_is_refused(served: Served) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1].evil.example"):
        assert served.ask("/api/items", Host=host).status == 421, host
    for host in ("localhost:1234", "127.0.0.1", "[::1]:80", "192.0.2.1"):
        assert served.ask("/", Host=host).status == 200, host


def test_pages_of_other_sites_get_nothing(served: Served) -> None:
    assert served.ask("/api/items", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403
    assert served.ask("/static/main.js", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="cors").status == 403
    assert served.ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200


def test_files_beside_the_pages_are_not_served(served: Served) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/etc/passwd", "/static/"):
        assert served.ask(path).status == 404, path


def test_who_does_not_read_is_told_to_load_anew(served: Served) -> None:
    client = served.agent.client()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", served.port))
        slow.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(9).startswith(b"HTTP/1.1")
        known(served)
        routes = [{"kind": "route", "interface": "no" + "x" * 200, "dst": f"10.0.{n >> 8}.{n & 255}"} for n in range(1_000)]
        for _ in range(6):
            client.put(routes)
            heard_of(served, 1_000, "pending")
            client.replace([])
            heard_of(served, 1_000, "removed")
        heard = b""
        while b'event: reload\ndata: {"why":"slow"}' not in heard:
            heard = heard[-100:] + slow.recv(65536)


def heard_of(served: Served, count: int, state: str) -> None:
    """Waits until that many last events, as far as they are told, are of a state: the next change is a batch of its own."""

    def are_all() -> bool:
        events = json.loads(served.ask("/api/past").read())["events"]
        return len(events) >= min(count, 500) and all(event["state"] == state for event in events[:500])

    eventually(are_all)


def test_what_is_not_there_has_a_page_too(served: Served) -> None:
    """The namespace of a process that has ended is nobody's item: it has no source."""
    item = {"kind": "loopback", "name": "lo-of-it"}
    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE) as ended:
        eventually(lambda: os.readlink(f"/proc/{ended.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        served.agent.client().put([item | {"namespace": {"type": "pid", "pid": ended.pid}}])
    key = f"pid/{ended.pid}"

    def asked() -> dict[str, Any]:
        answer = served.ask(f"/api/item?key={key}")
        assert answer.status == 200
        found: dict[str, Any] = json.loads(answer.read())
        return found

    eventually(lambda: asked()["entry"] is not None)
    found = asked()
    assert found["entry"] == {"key": key, "state": "missing", "message": "the process has ended: put the item again"}
    assert found["requests"] == []
    assert [link["state"] for link in found["chain"]] == ["missing"]


def since(served: Served, key: str) -> float:
    found: float = json.loads(served.ask(f"/api/item?key={key}").read())["since"]
    return found


def test_since_when_all_was_heard_is_later_after_what_was_not(served: Served) -> None:
    known(served)
    client = served.agent.client()
    first = since(served, "x")
    assert first == since(served, "x") < time.time()
    routes = [{"kind": "route", "interface": "none", "dst": f"10.{n >> 8}.{n & 255}.0/24"} for n in range(3_000)]
    for _ in range(3):  # 9,000 in all, of which 5,000 are kept; no storm, for what is put is heard before the next
        client.put(routes)
        heard_of(served, 3_000, "pending")
        client.replace([])
        heard_of(served, 3_000, "removed")
    second = since(served, "x")
    assert first < second < time.time()
    before = time.time()
    client.put([{"kind": "route", "interface": "none", "dst": f"10.{n >> 8}.{n & 255}.0/24"} for n in range(60_000)])
    eventually(lambda: second < since(served, "x") == since(served, "x") > before)


class StrangeAgent:
    """Answers every request alike, and with less than this version's agents do."""

    def __init__(self, where: Endpoints) -> None:
        self._ending = threading.Event()
        self._sockets: list[zmq.Socket[bytes]] = [zmq.Context.instance().socket(kind) for kind in (zmq.ROUTER, zmq.XPUB)]
        for made, endpoint in zip(self._sockets, where, strict=True):
            made.setsockopt(zmq.LINGER, 0)
            made.bind(endpoint)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        bus, events = self._sockets
        while not self._ending.is_set():
            if bus.poll(20):
                peer, request = bus.recv_multipart()
                answer = {"id": msgpack.decode(request)["id"], "ok": True, "items": []}
                bus.send_multipart([peer, msgpack.encode(answer)])
            while events.poll(0):
                topic = events.recv()[1:]
                if topic.startswith(SYNC):
                    events.send_multipart([topic, b""])

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        for made in self._sockets:
            made.close()


def test_what_nobody_expects_is_said_and_tried_again(directory: Path, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    """An agent that answers in a way of its own, as one of another version may; then a real one."""
    where = endpoints(directory)
    follower: list[Follower] = []

    async def follow() -> None:
        follower.append(Follower(where, Browsers()))
        follower[0].start()

    def why() -> str:
        return str(follower[0].status.get("why"))

    strange = StrangeAgent(where)
    asyncio.run(follow())
    try:
        eventually(lambda: "it cannot be followed: KeyError: 'revision'" in why())
        strange.close()
        agent = start_agent(directory, "strange", "--no-docker")
        try:
            eventually(lambda: follower[0].status["agent"] == "here")
        finally:
            assert agent.stop() == 0
    finally:
        follower[0].close()
    assert [record.exc_info is not None for record in caplog.records if "cannot be followed" in record.getMessage()] == [True]


def test_a_picture_of_what_this_version_does_not_know_says_so() -> None:
    links = Links()
    links.replace([{"key": "interface/x", "state": "configured", "source": "s", "item": {"kind": "of-tomorrow", "name": "x"}}])
    drawn = asyncio.run(Picture(links).draw())
    assert drawn.svg is None
    assert "of-tomorrow" in drawn.why


def test_a_queue_does_not_grow_and_says_what_it_lost() -> None:
    async def fill() -> bytes:
        browser = Browser()
        status = message("status", {"agent": "gone"})
        for number in range(1_000):
            browser.put(message("changes", {"number": number, "padding": "x" * 10_000}), status)
        return await browser.next()

    data = asyncio.run(fill())
    assert len(data) <= QUEUE_BYTES + 10_100
    told = [part.split(b"\n")[0] for part in data.split(b"\n\n") if part]
    assert told[:2] == [b"event: status", b"event: reload"]
    assert b'"number":999' in data


def test_without_an_agent_pages_are_served_and_say_so(directory: object) -> None:  # noqa: F811
    environment = {"NSPLANE_RUNTIME_DIR": str(directory)}
    command = [sys.executable, "-m", "nsplane_bus", "web", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        served = Served(None, port)  # type: ignore[arg-type]
        assert served.ask("/").status == 200
        answer = served.ask("/api/items")
        assert (answer.status, "no agent at" in json.loads(answer.read())["error"]) == (503, True)
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--listen", "0.0.0.0:0"], 2, "0.0.0.0 is not an address of loopback: --public listens there all the same."),
        (["--listen", "[::]:0"], 2, ":: is not an address of loopback"),
        (["--listen", "localhost:80"], 2, "is no ADDRESS:PORT, such as 127.0.0.1:8480 or [::1]:8480"),
        (["--listen", "127.0.0.1:99999"], 2, "is no ADDRESS:PORT"),
        (["--public", "--listen", "192.0.2.1:8480"], 1, "whoever reaches 192.0.2.1:8480 sees all items, without a password"),
    ],
)
def test_where_it_listens(options: list[str], code: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-m", "nsplane_bus", "web", *options], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())


def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['starlette'] = None; sys.argv = ['nsplane', 'web']; from nsplane_bus.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: the pages need starlette and uvicorn: pip install 'nsplane[web]'\n"


def test_of_several_microservices_under_a_label_the_first_counts() -> None:
    links = Links()
    first, second = ({"key": "microservice/web", "pid": pid} for pid in (1, 2))
    assert links.replace([first, second]) == ([first], [])
    assert links.entries() == (1, [first])
    assert links.replace([first, second]) == ([], [])
    assert links.replace([second]) == ([second], [])
    links.take({"microservice/web": None})
    assert links.entries() == (3, [])

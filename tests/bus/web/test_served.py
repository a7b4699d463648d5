"""What `nsplane web` answers, without a browser: who may ask, and that nobody makes it grow."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys

import pytest

from nsplane_bus.web.browsers import QUEUE_BYTES, Browser, message
from nsplane_bus.web.links import Links

from ..conftest import RunningAgent, directory, eventually  # noqa: F401 - a fixture
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

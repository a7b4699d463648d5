"""Where the pages are served: the address, and the server behind it."""

import signal
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

import uvicorn

from ..protocol import Endpoints
from .app import Pages

CONNECTIONS = 256
SEND_BUFFER = 256 << 10
"""Bytes that the kernel keeps for one browser that does not read."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any that is free. OSError where it cannot be."""
    made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=CONNECTIONS)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # those that are accepted have it from this one
    return made


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending()  # it would wait for streams that nobody ends
        super().handle_exit(sig, frame)


def serve(made: socket.socket, where: Endpoints, names: Collection[str] = (), key: Path | None = None) -> None:
    """Serves the pages of an agent until SIGTERM or SIGINT."""
    pages = Pages(where, names, key)
    config = uvicorn.Config(
        pages.app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    server = Server(config, pages.end_streams)
    # It takes these itself only later, and when it has ended it raises them again, for whoever handled them before.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    server.run([made])

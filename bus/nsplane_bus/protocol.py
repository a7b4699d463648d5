"""What both sides of the bus agree on: where it is, how large a request may be, how an error is answered.

A request is one msgpack map in the last frame of a message; what stands before it (nothing from a DEALER, an empty
delimiter from a REQ socket) is given back in front of the reply. An event is two frames, the topic and a msgpack map.
"""

import os
import socket
from pathlib import Path
from typing import NamedTuple

import zmq
from msgspec import msgpack

RUNTIME_DIR = Path("/run/nsplane")

REQUEST_LIMIT = 64 << 20
"""Bytes of the largest request: the client refuses a larger one, and the router answers it with `too-large`."""

FRAME_LIMIT = 80 << 20
"""Bytes of the largest frame that the router reads at all: it closes the connection on a larger one."""

TCP_SECONDS = 4.0
"""How long a TCP connection may take: a second and a third packet are sent after one second and three."""

PART = int(zmq.DONTWAIT | zmq.SNDMORE)
"""How every frame of a message but the last is sent by who waits for nobody."""

SYNC = b"~"
"""A subscription to a topic that begins so is answered once, by an event of that topic: whoever sees it knows that the
subscriptions it made before are in force."""


HEARTBEAT = b"heartbeat/"
"""A subscription to this and a PREFIX is answered at once, and then every second, by how many events of topics that begin with
PREFIX there were: whoever counts those that came knows how many were lost."""


class Endpoints(NamedTuple):
    bus: str
    events: str


def endpoints(runtime_dir: str | Path | None = None, bus: str | None = None, events: str | None = None) -> Endpoints:
    """Where the bus is: as given, else in the runtime directory given, else as NSPLANE_BUS and NSPLANE_EVENTS say, else
    in the runtime directory of the environment, else in /run/nsplane."""
    named = runtime_directory(runtime_dir)

    def choose(given: str | None, variable: str, file: str) -> str:
        return given or (runtime_dir is None and os.environ.get(variable)) or f"ipc://{named / file}"

    return Endpoints(choose(bus, "NSPLANE_BUS", "bus.sock"), choose(events, "NSPLANE_EVENTS", "events.sock"))


def runtime_directory(given: str | Path | None = None) -> Path:
    return Path(given or os.environ.get("NSPLANE_RUNTIME_DIR") or RUNTIME_DIR).absolute()


def ipc_path(endpoint: str) -> str | None:
    """The file of an ipc endpoint; None for another transport and for an abstract socket."""
    path = endpoint.removeprefix("ipc://")
    return None if path == endpoint or path.startswith("@") else path


def is_ipc(endpoint: str) -> bool:
    """Is it one at which it shows at once whether somebody listens?"""
    return endpoint.startswith("ipc://")


class NoEndpoint(ValueError):
    """A text that is no endpoint of the bus."""


def tcp_address(endpoint: str) -> tuple[str, int]:
    """The host and port of a tcp endpoint. NoEndpoint where it is none."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    if not endpoint.startswith("tcp://") or not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise NoEndpoint("an endpoint is ipc://PATH or tcp://HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_ipv6(endpoint: str) -> bool:
    """Is it one for which a ZeroMQ socket has to be told so?"""
    return endpoint.startswith("tcp://[")


def why_unreachable(endpoint: str) -> str | None:
    """Why nobody can be reached at an endpoint; None where somebody listens, or is just busy."""
    path = ipc_path(endpoint)
    try:
        if not is_ipc(endpoint):
            with socket.create_connection(tcp_address(endpoint), timeout=TCP_SECONDS):
                return None
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(path if path is not None else "\0" + endpoint.removeprefix("ipc://@"))
    except TimeoutError:
        return None if path is not None else f"nothing is heard from there within {TCP_SECONDS:g} s"
    except BlockingIOError:
        return None  # its queue is full
    except FileNotFoundError:
        return "there is no such socket"
    except PermissionError:
        return "it is another user's: permission denied (sudo?)"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def is_refused(endpoint: str) -> bool:
    """Is a connection to an ipc endpoint closed as soon as it is accepted, every time? Otherwise ZeroMQ's greeting comes."""
    path = ipc_path(endpoint)
    return path is not None and _is_closed_at_once(path) and _is_closed_at_once(path)


def _is_closed_at_once(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
            return not probe.recv(1)
        except (ConnectionResetError, BrokenPipeError):
            return True
        except OSError:  # nobody listens, or nothing is heard for now
            return False


def error_reply(request_id: object, code: str, message: str, path: str = "") -> bytes:
    error = {"code": code, "message": message, "path": path}
    return msgpack.encode({"id": request_id, "ok": False, "error": error})

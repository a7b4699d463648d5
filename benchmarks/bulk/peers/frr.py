"""FRR, as build-frr builds it."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar

from nsplane_bus.protocol import why_unreachable

from ...agent import wait_until
from ...failures import ProgramFailed
from .. import publisher

PROGRAMS = Path(__file__).parents[3] / "build/frr/sbin"
PROTOCOL = 194
MOST = 1_000_000
"""So many routes a command of sharpd takes."""
START_SECONDS = 10
TRY_SECONDS = 0.2
"""For one route: zebra waits 10 ms for more, and each command has sharpd count anew."""
STEP_SECONDS = 600
POLL_SECONDS = 0.005
APART = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /var/tmp && exec "$@"', "sh")
"""A daemon's /var/tmp is its own, for what it has there would stay when it is killed."""
INSTALLED, REMOVED = 1, 2
"""Where their numbers stand in what sharpd says: all, those that zebra has put, and those that it has taken away."""


class Frr:
    """Its sharpd, which was made for this, sends routes to zebra as FRR's routing daemons do, and zebra puts them: by a nexthop
    object, that is its default. Timed from the command until sharpd has heard of each that the kernel has taken it."""

    name = "FRR"
    scale = 1
    kinds: ClassVar[Mapping[str, int]] = {"routes": PROTOCOL, "routes6": PROTOCOL}

    def missing(self) -> str | None:
        return None if all((PROGRAMS / name).exists() for name in ("zebra", "sharpd")) else "make frr builds it"

    def work(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> Generator[float]:
        with running_frr(netns, directory) as sharpd:
            wait_until(lambda: has_put_one(sharpd, kind, link), START_SECONDS)  # All is connected: from here on routes are put.
            sharpd.say(f"sharp remove routes {address(kind, 0)} 1")
            wait_until(lambda: count(sharpd, REMOVED) == 1, START_SECONDS)
            for command, counted in (("install routes {} nexthop-group bench {}", INSTALLED), ("remove routes {} {}", REMOVED)):
                began = time.monotonic()
                for at in range(0, items, MOST):
                    number = min(MOST, items - at)
                    sharpd.say("sharp " + command.format(address(kind, at), number))
                    wait_for(sharpd, counted, number)
                yield time.monotonic() - began


class Vty:
    """A connection to a daemon, as vtysh has it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def say(self, *commands: str) -> str:
        """Returns what was said to the last command. ProgramFailed where one was not taken."""
        said = ""
        for command in commands:
            self._connection.sendall(command.encode() + b"\0")
            answer = b""
            while answer[-4:-1] != b"\0\0\0":
                got = self._connection.recv(1 << 16)
                if not got:
                    raise ProgramFailed(f"it has ended at {command}")
                answer += got
            said = answer[:-4].decode()
            if answer[-1]:
                raise ProgramFailed(f"{command}: {said}")
        return said


def address(kind: str, number: int) -> str:
    return publisher.SIMPLE[kind](number)["dst"].partition("/")[0]


def count(sharpd: Vty, counted: int) -> int:
    """Of the routes of the last command."""
    said = sharpd.say("sharp data route")  # Prefix: 20.0.0.0/32 Total: 9 9 0 Time: 0.1
    return int(said.partition("Total:")[2].split()[counted])


def wait_for(sharpd: Vty, counted: int, number: int) -> None:
    end = time.monotonic() + STEP_SECONDS
    while (found := count(sharpd, counted)) < number:
        if time.monotonic() > end:
            raise ProgramFailed(f"it has done {found} of {number} routes in {STEP_SECONDS} s")
        time.sleep(POLL_SECONDS)


def has_put_one(sharpd: Vty, kind: str, link: str) -> bool:
    """Tries to. Until sharpd has heard of the link from zebra, there is nothing in the group."""
    sharpd.say("configure terminal", "nexthop-group bench", f"nexthop {link}", "end")
    sharpd.say(f"sharp install routes {address(kind, 0)} nexthop-group bench 1")
    time.sleep(TRY_SECONDS)
    return count(sharpd, INSTALLED) == 1


@contextlib.contextmanager
def running_frr(netns: Path, directory: Path) -> Iterator[Vty]:
    """Yields what speaks to sharpd. ProgramFailed, with what the daemons have said, where they do not what they should."""
    log = directory / "log"
    try:
        with (
            log.open("wb") as out,
            running_daemon("zebra", "zserv", netns, directory, out),
            running_daemon("sharpd", "sharpd.vty", netns, directory, out),
            socket.socket(socket.AF_UNIX) as connection,
        ):
            connection.settimeout(STEP_SECONDS)
            connection.connect(str(directory / "sharpd.vty"))
            sharpd = Vty(connection)
            sharpd.say("enable")
            yield sharpd
    except (OSError, ProgramFailed) as error:
        raise ProgramFailed(f"FRR: {error}\n{log.read_text()}") from error


@contextlib.contextmanager
def running_daemon(name: str, socket_: str, netns: Path, directory: Path, out: BinaryIO) -> Iterator[None]:
    """Runs it, and waits until it listens there."""
    options = ["-i", f"{directory}/{name}.pid", "-z", f"{directory}/zserv", "--vty_socket", str(directory), "-P", "0"]
    command = ["nsenter", f"--net={netns}", *APART, str(PROGRAMS / name), "-f", "/dev/null", *options]
    with subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            where = f"ipc://{directory}/{socket_}"
            wait_until(lambda: process.poll() is not None or why_unreachable(where) is None, START_SECONDS)
            yield
        finally:
            process.kill()  # Asked to end, zebra would take away what it has put.

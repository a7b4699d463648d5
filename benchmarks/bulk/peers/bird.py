"""BIRD."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from ...agent import wait_until
from ...failures import ProgramFailed
from .. import publisher

PROTOCOL = 12
START_SECONDS = 10
CONFIGURATION = """\
log stderr {{ error, fatal, bug }};
router id 192.0.2.1;
protocol device {{}}
protocol kernel {{ {family} {{ export all; }}; }}
protocol static {{ {family};
{routes}
}}
"""


class Bird:
    """Its protocol `static`: configured with one route at the start, then with all of them, and that is timed, the reading of the
    file included. `birdc configure` returns when they are in the kernel, for all that BIRD does is done in its one thread."""

    name = "BIRD"
    scale = 1
    kinds: ClassVar[Mapping[str, int]] = {"routes": PROTOCOL, "routes6": PROTOCOL}

    def missing(self) -> str | None:
        return None if shutil.which("bird") and shutil.which("birdc") else "bird2"

    def work(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> Generator[float]:
        one, all_, socket = directory / "one", directory / "all", directory / "socket"
        one.write_text(configuration(kind, link, 1))
        all_.write_text(configuration(kind, link, items))
        with running_bird(netns, one, socket):
            wait_until(lambda: bool(routes(kind, netns)), START_SECONDS)  # The table was scanned: from here on routes are put.
            began = time.monotonic()
            command = ["birdc", "-s", str(socket), "configure", f'"{all_}"']
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            seconds = time.monotonic() - began
        if said.splitlines()[-1] != "Reconfigured":
            raise ProgramFailed(f"birdc configure: {said}")
        yield seconds


def configuration(kind: str, link: str, items: int) -> str:
    wishes = (publisher.SIMPLE[kind](number)["dst"] for number in range(items))
    lines = "\n".join(f'route {dst} via "{link}";' for dst in wishes)
    return CONFIGURATION.format(family="ipv6" if kind == "routes6" else "ipv4", routes=lines)


def routes(kind: str, netns: Path) -> str:
    family = "-6" if kind == "routes6" else "-4"
    command = ["ip", "-n", netns.name, family, "route", "show", "proto", str(PROTOCOL)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def running_bird(netns: Path, configuration: Path, socket: Path) -> Iterator[None]:
    command = ["nsenter", f"--net={netns}", "bird", "-f", "-c", str(configuration), "-s", str(socket)]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.kill()  # Asked to end, it would take away what it has put.

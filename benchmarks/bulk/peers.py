"""What people use instead, at the same work: as fast as each of them can be driven."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from . import publisher

ROOT = Path(__file__).parents[2]


class Peer(Protocol):
    """Puts the items of publisher.py. `scale`: of so many items it gets one, where it is so slow that all would take minutes.
    `protocol` is how the kernel's table names whose they are."""

    name: str
    scale: int
    protocol: int

    def missing(self) -> str | None:
        """What would have to be installed."""

    def put(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> float:
        """Returns the seconds that it took. The directory is its own."""


class IpBatch:
    """iproute2's `ip -batch`: the process's start is in the time, the writing of the file is not."""

    name = "ip -batch"
    scale = 1
    protocol = 110

    def missing(self) -> str | None:
        return None if shutil.which("ip") else "iproute2"

    def put(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> float:
        file = directory / "batch"
        with file.open("w") as out:
            for number in range(items):
                print(self._command(publisher.ITEMS[kind](number), link), file=out)
        command = [sys.executable, "-c", TIMED, "ip", "-n", netns.name, "-batch", str(file)]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    def _command(self, item: dict[str, str], link: str) -> str:
        if item["kind"] == "arp":
            return f"neigh add {item['ip']} lladdr {item['mac']} dev {link} nud permanent protocol {self.protocol}"
        return f"route add {item['dst']} dev {link} proto {self.protocol}"


TIMED = """
import subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True)
print(time.monotonic() - began)
"""


class Pyroute2:
    """pyroute2's IPRoute, one call an item: pyroute2_put.py."""

    name = "pyroute2"
    scale = 100
    protocol = 110

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("pyroute2") else "pyroute2"

    def put(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> float:
        enter = ["nsenter", f"--net={netns}"]
        command = [*enter, sys.executable, "-m", f"{__package__}.pyroute2_put", kind, link, str(items)]
        return float(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


PEERS: tuple[Peer, ...] = (IpBatch(), Pyroute2())

"""iproute2, driven by a shell script as a careful user writes it: one `ip -batch` for each namespace, and one for the hub. The
writing of the files is not in the time."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .lab import DESTINATION, GATEWAY_MAC, LINK, Lab, Wired
from .side import Work

GROUP = 110
"""Of all that is made in the hub, so that one command deletes it."""


class Scripts(NamedTuple):
    making: Path
    deleting: Path

    def make(self) -> float:
        return timed(self.making)

    def delete(self) -> float:
        return timed(self.deleting)


class IpScript:
    name = "ip -batch"
    whole = True

    def missing(self) -> str | None:
        return None if shutil.which("ip") else "iproute2"

    @contextlib.contextmanager
    def at_work(self, lab: Lab, directory: Path) -> Iterator[Work]:
        making = [f"ip netns add {name}" for name in [lab.hub, *lab.names]]
        making.append(f"ip -n {lab.hub} -batch {write(directory / 'hub', in_hub(lab))}")
        for wired in lab.wired:
            name = lab.name(wired.number)
            making.append(f"ip -n {name} -batch {write(directory / name, inside(wired))}")
        deleting = [f"ip -n {lab.hub} link delete group {GROUP}"]
        deleting += [f"ip netns delete {name}" for name in [*lab.names, lab.hub]]
        yield Scripts(*(write(directory / name, ["set -e", *lines]) for name, lines in (("make", making), ("delete", deleting))))


def in_hub(lab: Lab) -> Iterator[str]:
    yield "link set lo up"
    for bridge in lab.bridges:
        yield f"link add {bridge} up group {GROUP} type bridge"
    for wired in lab.wired:
        peer = f"peer name {LINK} netns {lab.name(wired.number)}"
        yield f"link add {wired.port} master {wired.bridge} group {GROUP} type veth {peer}"
        yield f"link set {wired.port} addrgenmode none"
        yield f"link set {wired.port} up"


def inside(wired: Wired) -> Iterator[str]:
    yield "link set lo up"
    yield f"link set {LINK} up"
    yield f"address add {wired.address} dev {LINK}"
    yield f"route add {DESTINATION} via {wired.gateway}"
    yield f"neigh add {wired.gateway} lladdr {GATEWAY_MAC} dev {LINK} nud permanent"


def write(file: Path, lines: Iterable[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def timed(script: Path) -> float:
    began = time.monotonic()
    subprocess.run(["sh", str(script)], check=True)
    return time.monotonic() - began

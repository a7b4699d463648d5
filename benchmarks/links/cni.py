"""CNI: its plugins `loopback` and `bridge`, with the ipam `static`, run for each namespace as a container runtime does.

A runtime makes the namespace itself, here by `ip netns add`. CNI knows no neighbours, so there are none, and its ports have
link-local addresses.
"""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..network import NETNS, ip
from .lab import DESTINATION, LINK, Lab, Wired
from .side import Work

PLUGINS = Path("/usr/lib/cni")
PACKAGE = "containernetworking-plugins"


class Plugins(NamedTuple):
    lab: Lab

    def make(self) -> float:
        began = time.monotonic()
        ip("netns", "add", self.lab.hub)
        ip("-n", self.lab.hub, "link", "set", "lo", "up")
        for wired in self.lab.wired:
            ip("netns", "add", self.lab.name(wired.number))
            self._run("ADD", wired, "lo", {"type": "loopback"})
            self._run("ADD", wired, LINK, bridge(wired))
        return time.monotonic() - began

    def delete(self) -> float:
        began = time.monotonic()
        for wired in self.lab.wired:
            self._run("DEL", wired, LINK, bridge(wired))
            self._run("DEL", wired, "lo", {"type": "loopback"})
            ip("netns", "delete", self.lab.name(wired.number))
        ip("netns", "delete", self.lab.hub)
        return time.monotonic() - began

    def _run(self, command: str, wired: Wired, link: str, plugin: dict[str, Any]) -> None:
        """The plugins' own namespace is where the bridge is."""
        name = self.lab.name(wired.number)
        variables = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": name,
            "CNI_NETNS": str(NETNS / name),
            "CNI_IFNAME": link,
            "CNI_PATH": str(PLUGINS),
        }
        config = {"cniVersion": "0.4.0", "name": self.lab.prefix, **plugin}
        subprocess.run(
            ["nsenter", f"--net={NETNS / self.lab.hub}", str(PLUGINS / plugin["type"])],
            env=os.environ | variables,
            input=json.dumps(config).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )


class Cni:
    name = "CNI bridge"
    whole = False

    def missing(self) -> str | None:
        return None if (PLUGINS / "bridge").exists() else PACKAGE

    @contextlib.contextmanager
    def at_work(self, lab: Lab, directory: Path) -> Iterator[Work]:
        yield Plugins(lab)


def bridge(wired: Wired) -> dict[str, Any]:
    return {
        "type": "bridge",
        "bridge": wired.bridge,
        "ipam": {
            "type": "static",
            "addresses": [{"address": wired.address}],
            "routes": [{"dst": DESTINATION, "gw": wired.gateway}],
        },
    }

"""iproute2."""

import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import ClassVar

from .. import publisher

PROTOCOL = 110
TIMED = """
import subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True)
print(time.monotonic() - began)
"""


class IpBatch:
    """Its `ip -batch`: the process's start is in the time, the writing of the file is not."""

    name = "ip -batch"
    scale = 1
    kinds: ClassVar[Mapping[str, int]] = dict.fromkeys(publisher.SIMPLE, PROTOCOL)

    def missing(self) -> str | None:
        return None if shutil.which("ip") else "iproute2"

    def work(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> Generator[float]:
        file = directory / "batch"
        with file.open("w") as out:
            for number in range(items):
                print(self._command(publisher.SIMPLE[kind](number), link), file=out)
        command = [sys.executable, "-c", TIMED, "ip", "-n", netns.name, "-batch", str(file)]
        yield float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    def _command(self, item: dict[str, str], link: str) -> str:
        if item["kind"] == "arp":
            return f"neigh add {item['ip']} lladdr {item['mac']} dev {link} nud permanent protocol {PROTOCOL}"
        return f"route add {item['dst']} dev {link} proto {PROTOCOL}"

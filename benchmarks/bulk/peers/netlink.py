"""Go's vishvananda/netlink."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar

SOURCE = Path(__file__).with_name("netlink.go")
GOPATH = Path("/usr/share/gocode")
"""Where Debian has Go's packages."""


class Netlink:
    """One call an item: netlink.go."""

    name = "Go netlink"
    scale = 1
    kinds: ClassVar[Mapping[str, int]] = {"routes": 110, "routes6": 110, "arps": 0}

    def missing(self) -> str | None:
        if shutil.which("go") and (GOPATH / "src/github.com/vishvananda/netlink").exists():
            return None
        return "golang-go, golang-github-vishvananda-netlink-dev"

    def work(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> Generator[float]:
        program = Path(built().name) / SOURCE.stem
        command = ["nsenter", f"--net={netns}", str(program), kind, link, str(items)]
        yield float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


@cache
def built() -> "tempfile.TemporaryDirectory[str]":
    """Where the program is, as long as this process runs."""
    directory = tempfile.TemporaryDirectory(prefix="nspb-")
    with tempfile.TemporaryDirectory(prefix="nspb-") as go_cache:
        of_debian = {"GOPATH": str(GOPATH), "GO111MODULE": "off", "GOCACHE": go_cache}
        command = ["go", "build", "-o", f"{directory.name}/{SOURCE.stem}", str(SOURCE)]
        subprocess.run(command, check=True, env=os.environ | of_debian)
    return directory

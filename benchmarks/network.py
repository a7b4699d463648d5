"""Namespaces for the side that is not nsplane, and what the kernel has in any."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

NETNS = Path("/run/netns")
REST_SECONDS = 0.3
"""The kernel takes namespaces apart in the background: what is measured next shall not pay for it."""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def ip_in(netns: Path, *arguments: str) -> Any:
    """What `ip` says in the namespace at this path."""
    command = ["nsenter", f"--net={netns}", "ip", "-j", *arguments]
    return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


@contextlib.contextmanager
def fresh_namespace(name: str, link: str) -> Iterator[Path]:
    """A namespace with a pair of veths that are up, `link` being one of them. Its routes go with the link, within the call."""
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", link, "up", "type", "veth", "peer", "name", f"{link}-peer")
        ip("-n", name, "link", "set", f"{link}-peer", "up")
        yield NETNS / name
        ip("-n", name, "link", "delete", link)
    finally:
        ip("netns", "delete", name)
        time.sleep(REST_SECONDS)


def remove_namespace(name: str) -> None:
    """Removes what is left where its owner did not."""
    if (NETNS / name).exists():
        ip("netns", "delete", name)
    time.sleep(REST_SECONDS)


def remove_namespaces(prefix: str) -> None:
    """Removes all with this prefix. What is in them the kernel takes apart by and by, many at once: link by link it would wait for
    each."""
    lines = "".join(f"netns delete {path.name}\n" for path in NETNS.glob(f"{prefix}*"))
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
    time.sleep(REST_SECONDS)


@contextlib.contextmanager
def bridge_namespace(name: str, bridge: str) -> Iterator[Path]:
    """A namespace with a bridge that is up."""
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", bridge, "up", "type", "bridge")
        yield NETNS / name
    finally:
        remove_namespace(name)


@contextlib.contextmanager
def removed_at_the_end(name: str) -> Iterator[None]:
    """Whoever makes the namespace meanwhile."""
    try:
        yield
    finally:
        remove_namespace(name)

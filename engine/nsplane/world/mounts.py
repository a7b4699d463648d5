"""What is bound where in the agent's mount namespace, and whether others see the same."""

from __future__ import annotations

import os

RUN_DIR = "/run/netns"


def bound_elsewhere() -> list[str]:
    """Where network namespaces are bound, but for those under /run/netns (proc_pid_mountinfo(5))."""
    with open("/proc/self/mountinfo", "rb") as file:
        mounts = [line.split() for line in file]
    paths = [mount[4].decode("unicode_escape").encode("latin-1") for mount in mounts if mount[3].startswith(b"net:[")]
    return [path for path in map(os.fsdecode, paths) if not path.startswith(f"{RUN_DIR}/")]


def is_private(name: str) -> bool | None:
    """Is a name here bound to something else than in the mount namespace of the machine's first process? None where that cannot be
    said."""
    if identify("/proc/1/root") is None:
        return None
    here, there = (identify(f"{root}{RUN_DIR}/{name}") for root in ("", "/proc/1/root"))
    return here != there and identify("/proc/1/ns/mnt") != identify("/proc/self/ns/mnt")


def identify(path: str) -> tuple[int, int] | None:
    """Device and inode of what a path leads to; None where that is nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino

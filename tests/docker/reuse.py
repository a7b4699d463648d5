"""A process that gets the number that another process had, as chance would have it after some 32,768 others."""

import os
import subprocess
import time
from pathlib import Path

from ..bus.conftest import eventually
from ..engine.conftest import Process

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
"""The kernel gives the next free number after this one."""


def start_time(pid: int) -> int:
    """When a process started, as the kernel counts: field 22 of its `stat`, behind a name that may contain anything."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def process_with(pid: int, seconds: float = 60) -> Process:
    """Starts a process in a network namespace of its own, as number `pid`, which is free."""
    eventually(lambda: not Path(f"/proc/{pid}").exists(), seconds)
    end = time.monotonic() + seconds
    while True:
        LAST_PID.write_text(str(pid - 1))
        process = Process(subprocess.Popen(["unshare", "--net", "sleep", "600"]))
        if process.pid == pid:
            break
        process.end()  # Somebody else was faster.
        assert time.monotonic() < end, f"{pid} is not to be had"
    own = os.stat("/proc/self/ns/net").st_ino
    eventually(lambda: os.stat(process.netns).st_ino != own)
    return process


def untouched(process: Process) -> bool:
    """Whether no link was ever made in its namespace: the kernel numbers them, and never gives a number again."""
    if [link["ifname"] for link in process.ip("link")] != ["lo"]:
        return False
    subprocess.run(["nsenter", f"--net={process.netns}", "ip", "link", "add", "probe", "type", "bridge"], check=True)
    return bool(process.ip("link", "show", "probe")[0]["ifindex"] == 2)

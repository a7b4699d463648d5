"""Which process a number means: it may be given to another as soon as its owner has ended."""

from __future__ import annotations

import errno
import select

from nsplane.kernel import KernelError


def process_start_time(pid: int) -> int:
    """When a process started, in clock ticks since the boot: field 22 of /proc/PID/stat (proc_pid_stat(5)). With the PID it tells a
    process from all others of this boot. KernelError (ESRCH) where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise KernelError(errno.ESRCH, f"there is no process {pid}") from None
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


def has_ended(pidfd: int) -> bool:
    """Has the process behind a pidfd ended?"""
    return bool(select.select([pidfd], [], [], 0)[0])

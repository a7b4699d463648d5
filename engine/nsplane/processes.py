"""Which process a number means: it may be given to another as soon as its owner has ended."""

from __future__ import annotations

import errno
import select

from nsplane.kernel import KernelError


def process_start_time(pid: int, tid: int | None = None) -> int:
    """When a process, or one of its threads, started, in clock ticks since the boot: field 22 of /proc/PID/stat (proc_pid_stat(5)).
    With the number it tells it from all others of this boot. KernelError (ESRCH) where there is none."""
    try:
        with open(f"/proc/{pid}/task/{tid}/stat" if tid else f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise KernelError(errno.ESRCH, f"there is no process {pid}") from None
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


def boot_id() -> str:
    """This boot of the machine: PIDs, start times and the inodes of namespaces mean nothing in another one."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def has_ended(pidfd: int) -> bool:
    """Has the process behind a pidfd ended?"""
    return bool(select.select([pidfd], [], [], 0)[0])

"""Which process a number means: it may be given to another as soon as its owner has ended."""

from __future__ import annotations

import contextlib
import errno
import os
import select
from collections.abc import Iterator
from functools import cache

from nsplane.kernel import KernelError
from nsplane.world.path_walk import Task

PIDFD_THREAD = os.O_EXCL
"""A pidfd of a thread, from Linux 6.9 on."""


class Pin:
    """A process, or one of its threads, that no later one of the same number is taken for. KernelError (ESRCH) where there is none.

    `is_told`: its `pidfd` is readable when it has ended. Of a thread this kernel may have none, and it is its process's.
    """

    def __init__(self, task: Task) -> None:
        self.task = pid, tid = task
        self.is_told = True
        what = f"process {pid}" if tid is None else f"thread {tid} of process {pid}"
        try:
            try:
                self.pidfd = os.pidfd_open(tid or pid, 0 if tid is None else PIDFD_THREAD)
            except OSError as error:
                if tid is None or error.errno != errno.EINVAL:
                    raise
                self.pidfd = os.pidfd_open(pid)
                self.is_told = False
        except OSError as error:
            if tid is None and error.errno in (errno.EINVAL, errno.ENOENT):
                raise KernelError(errno.ESRCH, f"{what}: {os.strerror(errno.ESRCH)} (it is the number of a thread)") from None
            raise KernelError(error.errno or errno.EIO, f"{what}: {error.strerror}") from None
        try:
            self.start_time = process_start_time(pid, tid)
        except KernelError:
            self.close()
            raise

    def has_ended(self) -> bool:
        if has_ended(self.pidfd):
            return True
        try:
            return not self.is_told and process_start_time(*self.task) != self.start_time
        except KernelError:
            return True

    def close(self) -> None:
        os.close(self.pidfd)


def process_start_time(pid: int, tid: int | None = None) -> int:
    """When a process, or one of its threads, started, in clock ticks since the boot: field 22 of /proc/PID/stat (proc_pid_stat(5)).
    With the number it tells it from all others of this boot. KernelError (ESRCH) where there is none."""
    try:
        with open(f"/proc/{pid}/task/{tid}/stat" if tid else f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise KernelError(errno.ESRCH, f"there is no process {pid}") from None
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


def namespaces_of_processes() -> Iterator[tuple[tuple[int, int], str]]:
    """The network namespaces that processes and their threads are in, each once: (device, inode), and a path to it."""
    seen: set[tuple[int, int]] = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has ended
            for task in os.scandir(f"/proc/{entry.name}/task"):
                path = f"/proc/{entry.name}/task/{task.name}/ns/net"
                found = os.stat(path)
                identity = found.st_dev, found.st_ino
                if identity not in seen:
                    seen.add(identity)
                    yield identity, path


@cache
def boot_id() -> str:
    """This boot of the machine: PIDs, start times and the inodes of namespaces mean nothing in another one."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def has_ended(pidfd: int) -> bool:
    """Has the process behind a pidfd ended?"""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))

"""An agent of a user without privileges: in a user, a mount and a network namespace of its own, in which that user is root
(user_namespaces(7)). What it makes is below these, and ends with them."""

import ctypes
import os
import socket
import struct
from pathlib import Path

from .privileges import NUMBERS, effective
from .protocol import ipc_path

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000  # <linux/sched.h>
MS_BIND, MS_REC = 0x1000, 0x4000  # <linux/mount.h>
RUN = Path("/run")
NAMESPACES = "netns"
PEER = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""


class NotRootless(Exception):
    """It cannot be; says why."""


def begin() -> None:
    """Moves this process, which has no other threads, to namespaces of its own, where its user is root. Raises NotRootless."""
    user, group = os.geteuid(), os.getegid()
    try:
        _do("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
        process = Path("/proc/self")
        (process / "setgroups").write_text("deny")
        (process / "uid_map").write_text(f"0 {user} 1")
        (process / "gid_map").write_text(f"0 {group} 1")
    except OSError as error:
        why = f"user {user} gets no namespaces of its own: {error.strerror}"
        look = "sysctl user.max_user_namespaces kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns"
        raise NotRootless(f"{why} (the machine's settings: {look})") from None
    try:
        _own_run()
    except OSError as error:
        raise NotRootless(f"there can be no {RUN / NAMESPACES}: {error.strerror}") from None


def join(endpoint: str) -> None:
    """Where this user has an agent that is rootless at an ipc endpoint, and no privileges otherwise: moves this process to the
    namespaces of that agent. For one without other threads. Raises OSError."""
    path = ipc_path(endpoint)
    if path is None or effective() >> NUMBERS["CAP_SYS_ADMIN"] & 1:
        return
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(1)
            asking.connect(path)
            pid, _, _ = PEER.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        agent = os.pidfd_open(pid)
        is_elsewhere = not os.path.samefile(f"/proc/{pid}/ns/user", "/proc/self/ns/user")
    except OSError:
        return  # there is none, or it is another user's: the command itself will say so
    here = os.getcwd()
    if is_elsewhere:
        _do("setns", agent, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
        os.chdir(here)
    os.close(agent)


def _own_run() -> None:
    """Names of namespaces are made in /run/netns, which is root's: a /run of its own, with all that was in it but that."""
    former = os.open(RUN, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    before = Path(f"/proc/self/fd/{former}")
    _mount("tmpfs", RUN, "tmpfs", 0, "mode=755")
    for path in before.iterdir():
        place = RUN / path.name
        if path.name == NAMESPACES:
            continue
        if path.is_symlink():
            place.symlink_to(path.readlink())
            continue
        if path.is_dir():
            place.mkdir()
        else:
            place.touch()
        _mount(path, place, None, MS_BIND | MS_REC)
    (RUN / NAMESPACES).mkdir()
    os.close(former)


def _mount(what: str | Path, where: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (what, where, kind, options)]
    _do("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])


def _do(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc[name](*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

"""Namespaces by path, name and process; csrc/kernel/netns.c."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from nsplane._core import ffi, lib
from nsplane.kernel.failure import check, last


class NetnsId(NamedTuple):
    """The identity of a namespace: device and inode of its nsfs file."""

    dev: int
    ino: int


def open_netns(path: str) -> int:
    """Opens a network namespace by an nsfs path; EINVAL where the file is something else."""
    return check(lib.nsp_netns_open(os.fsencode(path), last.raw))


def open_netns_name(name: str) -> int:
    """Opens /run/netns/NAME; ENOENT where there is none, EINVAL where nothing is bound on the file (yet)."""
    return check(lib.nsp_netns_open_name(os.fsencode(name), last.raw))


def open_netns_pid(pid: int, tid: int | None = None) -> tuple[int, int]:
    """Opens the namespace of a process, or of one of its threads: (namespace, pidfd). ESRCH where there is none."""
    pidfd = ffi.new("int *", -1)
    if tid is None:
        fd = check(lib.nsp_netns_open_pid(pid, pidfd, last.raw))
    else:
        fd = check(lib.nsp_netns_open_task(pid, tid, pidfd, last.raw))
    return fd, pidfd[0]


def create_anonymous_netns() -> int:
    """Creates a namespace that the returned descriptor alone holds, with `lo` up."""
    return check(lib.nsp_netns_create_anonymous(last.raw))


def delete_netns(name: str) -> None:
    """Deletes a name as `ip netns del` does; ENOENT."""
    check(lib.nsp_netns_delete(os.fsencode(name), last.raw))


def list_netns() -> list[str]:
    """The names under /run/netns on which a namespace is bound."""
    size = 4096
    while True:
        buf = ffi.new("char[]", size)
        need = check(lib.nsp_netns_list(buf, size, last.raw))
        if need <= size:
            return [os.fsdecode(name) for name in bytes(ffi.buffer(buf, need)).split(b"\0") if name]
        size = need


def identify_netns(fd: int) -> NetnsId:
    """The identity of an open namespace."""
    found = ffi.new("struct nsp_netns_id *")
    check(lib.nsp_netns_identify(fd, found, last.raw))
    return NetnsId(found.dev, found.ino)


def netns_cookie(fd: int) -> int:
    """The number of an open namespace, which no other has until the next boot; an inode may be another's when it has ended."""
    cookie = ffi.new("uint64_t *")
    check(lib.nsp_netns_cookie(fd, cookie, last.raw))
    return int(cookie[0])


def is_known_netns(fd: int, known: Sequence[int]) -> bool:
    """Is an open namespace the one that was remembered as device, inode and cookie (or, by earlier versions, without)?"""
    return tuple(known[:2]) == identify_netns(fd) and (len(known) == 2 or known[2] == netns_cookie(fd))


class RouteKey(NamedTuple):
    """What tells one route of a namespace from all others: `dst` is packed, of 4 or 16 bytes."""

    dst: bytes
    dst_len: int
    metric: int
    table: int


def survey_routes(fd: int) -> dict[RouteKey, int]:
    """The routes of a namespace that somebody else has made, and the ifindex of the link of each."""
    room = 256
    while True:
        routes = ffi.new("struct nsp_route[]", room)
        count = check(lib.nsp_route_survey(fd, routes, room, last.raw))
        if count <= room:
            break
        room = count + 256
    found = {}
    for i in range(count):
        raw = routes[i]
        dst = bytes(ffi.buffer(raw.dst))[: 4 if raw.family == socket.AF_INET else 16]
        found[RouteKey(dst, raw.dst_len, raw.metric, raw.table)] = int(raw.oif)
    return found


def write_sysctl(fd: int, name: str, value: str) -> None:
    """Writes a setting of a namespace: `name` is its path below /proc/sys/net. EINVAL, ENOENT, EROFS."""
    check(lib.nsp_netns_sysctl(fd, os.fsencode(name), value.encode(), last.raw))


def enter_netns(fd: int) -> None:
    """Moves the calling thread into a namespace, for good: for a child between fork and exec."""
    check(lib.nsp_netns_enter(fd, last.raw))


def unshare_netns() -> None:
    """Moves the calling thread into a new namespace with `lo` up, for good: for a child between fork and exec."""
    check(lib.nsp_netns_unshare(last.raw))

"""System calls that the agent and its children never make, and that whoever gets hold of one of them would like to: a filter in the
kernel refuses them (EPERM; seccomp(2)), which is handed down to what is started and cannot be taken off.

Namespaces are entered and made of one kind alone, the network's.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2  # <linux/prctl.h>, <linux/seccomp.h>
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
CLONE_NEWNET = 0x40000000
LOAD, IS, IS_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # <linux/bpf_common.h>: LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, RET|K
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Where these are in struct seccomp_data. An argument has 8 bytes, the lower half first."""
X32 = 0x40000000
"""Calls of x86-64 with numbers from this on are the same ones once more."""

CALLS = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # the kernel: its code, its programs, its counters, its keys
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "syslog": (103, 116),
    "personality": (135, 92),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    # files by another way than their names, and what is mounted otherwise than by mount(2)
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    # the machine's clock and name, and its terminals
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
}
"""What is refused, with its number on x86-64 and where the general table is used (arm64, riscv64)."""

NETWORK_ONLY = {"unshare": (272, 97, 0), "setns": (308, 268, 1)}
"""What has to be about network namespaces, likewise, and which of its arguments says so."""


class Machine(NamedTuple):
    audit: int
    """AUDIT_ARCH_... (<linux/audit.h>)."""
    column: int
    """Of the tables above."""


MACHINES = {
    "x86_64": Machine(0xC000003E, 0),
    "aarch64": Machine(0xC00000B7, 1),
    "riscv64": Machine(0xC00000F3, 1),
}


class NoFilter(Exception):
    """There can be none on this machine."""


def instructions(machine: Machine) -> Iterator[tuple[int, int, int, int]]:
    """The filter: struct sock_filter one after the other (code, how many to skip where it is so and where not, operand)."""
    yield LOAD, 0, 0, ARCHITECTURE
    yield IS, 1, 0, machine.audit
    yield RETURN, 0, 0, REFUSE  # 32-bit calls have other numbers, and nobody here makes any
    yield LOAD, 0, 0, NUMBER
    if machine.column == 0:
        yield IS_AT_LEAST, 0, 1, X32
        yield RETURN, 0, 0, REFUSE
    for numbers in CALLS.values():
        number = numbers[machine.column]
        if number is not None:
            yield IS, 0, 1, number
            yield RETURN, 0, 0, REFUSE
    for *columns, argument in NETWORK_ONLY.values():
        yield IS, 0, 4, columns[machine.column]
        yield LOAD, 0, 0, ARGUMENTS + 8 * argument
        yield IS, 0, 1, CLONE_NEWNET
        yield RETURN, 0, 0, ALLOW
        yield RETURN, 0, 0, REFUSE
    yield RETURN, 0, 0, ALLOW


def refuse_calls() -> None:
    """From now on, for this thread and all that it starts; no_new_privs has to be set. Raises OSError; NoFilter where the kernel
    has none, or this machine's calls are not known."""
    name = os.uname().machine
    machine = MACHINES.get(name)
    if machine is None:
        raise NoFilter(f"those of {name} are not known")
    packed = [struct.pack("HBBI", *one) for one in instructions(machine)]
    program = ctypes.create_string_buffer(b"".join(packed))
    head = ctypes.create_string_buffer(struct.pack("HP", len(packed), ctypes.addressof(program)))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), head, ctypes.c_ulong(0), ctypes.c_ulong(0)) < 0:
        number = ctypes.get_errno()
        if number == errno.EINVAL:
            raise NoFilter("this kernel has no filters for them (CONFIG_SECCOMP_FILTER)")
        raise OSError(number, f"system calls cannot be refused: {os.strerror(number)}")

"""What a command may do, what the agent keeps of it, and what to type where that is not enough."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger("nsplane.agent")

NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST "
    "NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM "
    "BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NUMBERS = {f"CAP_{name}": number for number, name in enumerate(NAMES.split())}
"""All capabilities (<linux/capability.h>)."""

KEPT = {
    "CAP_NET_ADMIN": "links, addresses, routes, neighbours and settings are changed by it",
    "CAP_SYS_ADMIN": "namespaces are made, entered and given their names by it",
    "CAP_NET_BROADCAST": "all namespaces are heard of on one socket by it: without it the agent does not start",
    "CAP_SYS_PTRACE": "the namespaces of other users' processes, and of those with more privileges, are opened by it",
}
"""What the agent keeps, and what each is for."""

CHILDREN_GIVE_UP = ("CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_NET_BROADCAST")
"""Commands that the agent keeps running (watch-docker, gate) read /proc, where some processes may be hidden (hidepid): no more."""

NEEDED = ("CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_NET_BROADCAST")
"""Without these no agent starts."""

EVERYTHING = "all"
"""In the place of a capability's name: nothing is given up."""

PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 23, 24, 38  # <linux/prctl.h>
VERSION_3 = 0x20080522  # <linux/capability.h>


class MissingCapability(Exception):
    """Says which, and what helps."""


def effective(status: Path = Path("/proc/self/status")) -> int:
    """What a process may do: the bit 1 << N stands for the capability with the number N (proc_pid_status(5))."""
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)


def require(command: str, *names: str) -> None:
    """Raises MissingCapability where this process has not all of these (capabilities(7))."""
    has = effective()
    missing = [name for name in names if not has >> NUMBERS[name] & 1]
    if missing:
        options = " ".join(f"--cap-add {name.removeprefix('CAP_')}" for name in missing)
        what = " and ".join(missing)
        raise MissingCapability(f"{command} needs {what}: sudo nsplane {command} (docker run {options}, if this is a container)")


def confine(keep: Iterable[str]) -> None:
    """Gives up all capabilities but these, for good: nothing that is executed gives more (no_new_privs), and system calls are
    refused that nobody here needs (seccomp.py). For a process that has no other threads; what it starts is confined as it is.
    Raises OSError."""
    from .seccomp import NoFilter, refuse_calls

    give_up_all_but(keep)
    try:
        refuse_calls()
    except NoFilter as error:
        log.warning("no system call is refused: %s", error)


def give_up(names: Iterable[str]) -> None:
    """Of those that there are, gives up these (give_up_all_but)."""
    has = effective()
    give_up_all_but(name for name, number in NUMBERS.items() if has >> number & 1 and name not in names)


def give_up_all_but(keep: Iterable[str]) -> None:
    """The capabilities alone, and no_new_privs. Where CAP_SETPCAP lacks the bounding set stays as it is: by no_new_privs nothing
    comes of that. Raises OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def done(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"privileges cannot be given up: {os.strerror(number)}")
        return result

    def prctl(option: int, argument: int) -> int:
        zeros = (ctypes.c_ulong(0),) * 3
        return int(libc.prctl(option, ctypes.c_ulong(argument), *zeros))

    kept = sum(1 << NUMBERS[name] for name in set(keep))
    done(prctl(PR_SET_NO_NEW_PRIVS, 1))
    number = 0
    has_setpcap = bool(effective() >> NUMBERS["CAP_SETPCAP"] & 1)
    while has_setpcap and prctl(PR_CAPBSET_READ, number) >= 0:  # up to the last that this kernel knows
        if not kept >> number & 1:
            done(prctl(PR_CAPBSET_DROP, number))
        number += 1
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)  # struct __user_cap_header_struct: 0 is the calling thread
    sets = (ctypes.c_uint32 * 6)()  # twice effective, permitted and inheritable: the lower half of their bits, and the upper
    done(libc.capget(header, sets))
    for index in range(6):
        sets[index] &= kept >> (32 if index >= 3 else 0) & 0xFFFFFFFF
    done(libc.capset(header, sets))

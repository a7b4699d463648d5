"""What a command may do, and what to type where that is not enough."""

from pathlib import Path

CAPABILITIES = {"CAP_NET_BROADCAST": 11, "CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}  # <linux/capability.h>
ALL = tuple(CAPABILITIES)


class MissingCapability(Exception):
    """Says which, and what helps."""


def require(command: str, *names: str) -> None:
    """Raises MissingCapability where this process has not all of these (capabilities(7))."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:"))
    effective = int(line.split()[1], 16)
    missing = [name for name in names if not effective >> CAPABILITIES[name] & 1]
    if missing:
        options = " ".join(f"--cap-add {name.removeprefix('CAP_')}" for name in missing)
        what = " and ".join(missing)
        raise MissingCapability(f"{command} needs {what}: sudo nsplane {command} (docker run {options}, if this is a container)")

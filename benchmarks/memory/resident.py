"""The memory of a process that is resident, as the kernel counts it."""

import time
from pathlib import Path

LOOK_SECONDS = 0.1
STEADY_SECONDS = 1.0
"""What has not changed for so long does not change any more."""
PATIENCE_SECONDS = 10.0
UNIT = 1 << 10
"""/proc says KiB."""


def resident(pid: int) -> int:
    """Bytes. From the page tables: VmRSS is off by what each thread has not reported yet."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, *value = line.split()
        if name == "Rss:":
            return int(value[0]) * UNIT
    raise ProcessLookupError(f"process {pid} has no memory")


def settled(pid: int) -> int:
    """Resident bytes when they do not change any more, or after some seconds."""
    last, since = resident(pid), time.monotonic()
    end = since + PATIENCE_SECONDS
    while (now := time.monotonic()) < min(since + STEADY_SECONDS, end):
        time.sleep(LOOK_SECONDS)
        found = resident(pid)
        if found != last:
            last, since = found, now
    return last

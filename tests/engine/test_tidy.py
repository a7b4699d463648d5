"""Once a busy time is over, what it has needed is let go of."""

import select
import time

from nsplane.world.idle_trim import BUSY_BYTES, QUIET_SECONDS, IdleTrim
from nsplane.world.timers import Timers


def fire_for(timers: Timers, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([timers.fd], [], [], left)[0]:
            timers.fire()


def test_let_go_of_once_it_is_quiet() -> None:
    timers = Timers()
    times: list[float] = []
    tidy = IdleTrim(timers, lambda: times.append(time.monotonic()))
    last = 0.0
    for _ in range(8):
        tidy.took(BUSY_BYTES // 2)
        last = time.monotonic()
        fire_for(timers, QUIET_SECONDS / 4)
    fire_for(timers, QUIET_SECONDS * 2)
    assert len(times) == 1
    assert times[0] >= last + QUIET_SECONDS

    tidy.took(BUSY_BYTES)
    fire_for(timers, QUIET_SECONDS * 2)
    assert len(times) == 2
    timers.close()


def test_little_leaves_nothing_behind() -> None:
    timers = Timers()
    times: list[float] = []
    tidy = IdleTrim(timers, lambda: times.append(time.monotonic()))
    tidy.took(BUSY_BYTES - 1)
    fire_for(timers, QUIET_SECONDS * 2)
    assert not times
    timers.close()

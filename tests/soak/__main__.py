"""`make soak`: an agent under disturbances drawn at random, and whether it held. In tests/box, as root."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from pathlib import Path

from rich.console import Console

from .soak import soak
from .table import show

STORY = 60
"""Lines of what happened last that are shown where it did not hold."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS", "1800")), help="how long it disturbs")
    parser.add_argument("--seed", type=int, default=os.environ.get("SOAK_SEED"), help="which disturbances; drawn where left out")
    parser.add_argument("--logs", type=Path, help="a folder for the agents' logs, and for what happened when")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    if given.logs is not None:
        given.logs.mkdir(parents=True, exist_ok=True)
    # What is begun is taken away, also by who is told to end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"a soak of {given.seconds:.0f} s, seed {seed} (SOAK_SEED={seed} repeats it)")
    began = time.monotonic()
    report = soak(given.seconds, seed, given.logs, lambda text: console.print(f"{time.monotonic() - began:6.0f} s  {text}"))
    if not report.held:
        console.print(*report.story[-STORY:], sep="\n", markup=False, highlight=False, soft_wrap=True)
    show(report, console)
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())

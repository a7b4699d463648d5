"""Runs the fuzz targets, as many at a time as there are processors, and prints what came of it.

    python tests/fuzz/run.py [--each SECONDS | --all SECONDS] [--python] FOLDER [TARGET...]

FOLDER is where they are built. What they find is kept in FOLDER/found, beside the corpus of tests/fuzz/corpus, and an input that
makes one crash in FOLDER/crashes: `FOLDER/tests/fuzz/fuzz_TARGET FILE` runs it again."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LONGEST = 120
"""Seconds that one input may take; on a machine that has much else to do."""


@dataclass
class Outcome:
    """What came of a target: `edges` of its code were taken, and `new` inputs found on the way that take others than all before."""

    name: str
    seconds: float
    runs: int
    edges: int | None
    new: int | None
    crashes: list[str]
    log: Path | None = None

    @property
    def row(self) -> tuple[str, ...]:
        edges, new = ("-" if number is None else f"{number:,}" for number in (self.edges, self.new))
        return self.name, f"{self.runs:,}", f"{self.runs / max(self.seconds, 1e-3):,.0f}", edges, new, str(len(self.crashes))


def run_target(folder: Path, name: str, seconds: int) -> Outcome:
    """A target of libFuzzer."""
    found, crashes, logs = (folder / kind for kind in ("found", "crashes", "logs"))
    for path in (found / name, crashes, logs):
        path.mkdir(parents=True, exist_ok=True)
    corpus, words, log = HERE / "corpus" / name, HERE / f"{name}.dict", logs / name
    command = [
        str(folder / "tests/fuzz" / f"fuzz_{name}"),
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST}",
        "-max_len=4096",
        "-print_final_stats=1",
        f"-artifact_prefix={crashes}/{name}-",
        *([f"-dict={words}"] if words.exists() else []),
        str(found / name),
        *([str(corpus)] if corpus.exists() else []),
    ]
    before = set(crashes.glob(f"{name}-*"))
    began = time.monotonic()
    # What is undefined is an error too, and not only said.
    environment = os.environ | {"UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1"}
    with log.open("wb") as file:
        status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False, env=environment).returncode
    text = log.read_text(errors="replace")
    stats = {key: int(value) for key, value in re.findall(r"^stat::(\w+): +(\d+)$", text, re.MULTILINE)}
    edges = re.findall(r" cov: (\d+) ", text)
    made = sorted(str(path) for path in set(crashes.glob(f"{name}-*")) - before)
    return Outcome(
        name,
        time.monotonic() - began,
        stats.get("number_of_executed_units", 0),
        int(edges[-1]) if edges else None,
        stats.get("new_units_added"),
        made or ([f"it ended with {status}"] if status else []),
        log,
    )


def run_python(folder: Path, path: Path, seconds: int) -> Outcome:
    """A file of tests that hypothesis has inputs for, again and again, at random."""
    name = path.stem.removeprefix("test_")
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log, report = logs / name, logs / f"{name}.count"
    report.unlink(missing_ok=True)
    began, status = time.monotonic(), 0
    environment = os.environ | {"FUZZ_TIMES": "10", "FUZZ_REPORT": str(report)}
    command = [str(HERE.parent / "box"), sys.executable, "-m", "pytest", "-q", "--timeout", "3600", "-x", str(path)]
    with log.open("wb") as file:
        while not status and time.monotonic() < began + seconds:
            status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False, env=environment).returncode
    runs = sum(map(int, report.read_text().split())) if report.exists() else 0
    return Outcome(name, time.monotonic() - began, runs, None, None, [f"pytest ended with {status}: {log}"] if status else [], log)


def table(outcomes: list[Outcome]) -> Iterator[str]:
    rows = [("target", "runs", "runs/s", "edges", "new", "crashes"), *(outcome.row for outcome in outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--each", type=int, default=60, help="seconds of each target")
    parser.add_argument("--all", type=int, help="seconds of all of them together")
    parser.add_argument("--python", action="store_true", help="the tests with hypothesis too")
    options = parser.parse_args()
    built = sorted(path.name.removeprefix("fuzz_") for path in (options.folder / "tests/fuzz").glob("fuzz_*") if path.is_file())
    names = options.targets or built
    files = sorted(HERE.glob("test_*.py")) if options.python else []
    at_once = os.cpu_count() or 1
    rounds = -(-(len(names) + len(files)) // at_once)
    seconds = max(options.all // rounds, 1) if options.all else options.each
    with ThreadPoolExecutor(at_once) as pool:
        running = [
            *(pool.submit(run_target, options.folder, name, seconds) for name in names),
            *(pool.submit(run_python, options.folder, path, seconds) for path in files),
        ]
        outcomes = [one.result() for one in running]
    print("\n".join(table(outcomes)))
    for outcome in outcomes:
        for crash in outcome.crashes:
            print(f"{outcome.name}: {crash}")
        if outcome.crashes and outcome.log:
            print(*outcome.log.read_text(errors="replace").splitlines()[-60:], sep="\n")
    return any(outcome.crashes for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())

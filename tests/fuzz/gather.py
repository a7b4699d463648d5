"""Makes tests/fuzz/corpus anew (`make corpus`): of what is there, of what the fuzz targets have found (build/fuzz/found), and of
what the kernel and clients send in some tests (record.c), so few inputs that together reach nearly as much."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD, RECORDED = ROOT / "build/fuzz", ROOT / "build/recorded"
MOST = 60
"""Inputs of a target."""

C_TESTS = [
    *(
        "addr",
        "batch",
        "conflict",
        "deletion",
        "drift",
        "dump",
        "fdb",
        "genl",
        "hop_links",
        "link",
        "link_data",
        "listener",
        "monitor",
    ),
    *("neigh", "netns_routes", "nexthop", "nexthop_objects", "nexthops", "readback", "route", "tun", "vrf_table"),
]
TESTS = ["bus/test_blocks", "bus/test_gathered", "engine/test_every_field", "engine/test_link_attributes"]


def record() -> None:
    """Runs tests, and keeps what comes in from outside meanwhile."""
    shutil.rmtree(RECORDED, ignore_errors=True)
    for name in ("core", "frame", "netlink"):
        (RECORDED / name).mkdir(parents=True)
    library = ROOT / "build/record.so"
    source = HERE / "record.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", f"-I{ROOT}/csrc/include", "-o", library, source, "-ldl"], check=True)
    recording = os.environ | {"LD_PRELOAD": str(library), "RECORD": str(RECORDED)}
    commands = [
        *([f"build/c/tests/c/test_{name}"] for name in C_TESTS),
        [sys.executable, "-m", "pytest", "-q", *(f"tests/{name}.py" for name in TESTS)],
    ]
    for command in commands:
        subprocess.run(["tests/box", *command], check=True, cwd=ROOT, env=recording, stdout=subprocess.DEVNULL)


def reached(target: Path, folders: Iterable[Path]) -> dict[Path, set[str]]:
    """Which edges each input takes, as a merge of libFuzzer notes it: names first, then `COV NUMBER EDGE...`."""
    with tempfile.TemporaryDirectory() as folder:
        merged, control = Path(folder) / "merged", Path(folder) / "control"
        merged.mkdir()
        options = ["-set_cover_merge=1", "-use_counters=0", "-max_len=4096", f"-merge_control_file={control}"]
        command = [str(target), *options, str(merged), *(str(path) for path in folders if path.exists())]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        count, _, *lines = control.read_text().splitlines()
    edges: dict[Path, set[str]] = {Path(name): set() for name in lines[: int(count)]}
    names = [*edges]
    for what, number, *some in (line.split() for line in lines[int(count) :]):
        if what in ("FT", "COV"):
            edges[names[int(number)]].update(f"{what}{edge}" for edge in some)
    return edges


def fewest(edges: dict[Path, set[str]]) -> Iterator[Path]:
    """So many at most, each that which takes most edges that none before it takes; of several the smallest."""
    left = dict(sorted(edges.items(), key=lambda one: one[0].stat().st_size))
    taken: set[str] = set()
    for _ in range(MOST):
        best = max(left, key=lambda path: len(left[path] - taken), default=None)
        if best is None or not left[best] - taken:
            return
        taken |= left.pop(best)
        yield best


def main() -> None:
    if "--kept" not in sys.argv:
        record()
    for target in sorted(path for path in (BUILD / "tests/fuzz").glob("fuzz_*") if path.is_file()):
        name = target.name.removeprefix("fuzz_")
        corpus = HERE / "corpus" / name
        edges = reached(target, (corpus, RECORDED / name, BUILD / "found" / name))
        inputs = [path.read_bytes() for path in fewest(edges)]
        shutil.rmtree(corpus, ignore_errors=True)
        corpus.mkdir(parents=True)
        for data in inputs:
            (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        print(f"{name}: {len(inputs)} of {len(edges)}, {sum(map(len, inputs)):,} bytes")


if __name__ == "__main__":
    main()

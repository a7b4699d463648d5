"""What the tests here have in common: how many inputs they take, and how a text or a file of bytes is made another one.

Few inputs, and the same each time, so that a test says the same of one state of the code. With FUZZ_TIMES (`make fuzz`) so many
times as many, at random; how many they were is appended to the file FUZZ_REPORT."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("FUZZ_TIMES", "0"))
_count = 0


def inputs(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test that takes so many."""
    return settings(
        max_examples=count * max(TIMES, 1),
        derandomize=not TIMES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[*HealthCheck],
    )


def counted() -> None:
    """To be called with each."""
    global _count
    _count += 1


@atexit.register
def _report() -> None:
    if path := os.environ.get("FUZZ_REPORT"):
        with Path(path).open("a") as file:
            file.write(f"{_count}\n")


ODD = (
    *(
        None,
        True,
        0,
        1,
        -1,
        2.0,
        1.5,
        254,
        1 << 32,
        1 << 63,
        float("inf"),
        float("nan"),
        b"\xff",
        "",
        "auto",
        "1500",
        ".",
        "a/b",
        "\ud7ff",
    ),
    *("10.7.0.1/24", "fd07::1/64", "10.7.0.9", "0.0.0.0/0", "::/0", "02:00:00:00:00:09", "x" * 300),
)

Change = tuple[str, int, int, bytes]
"""What is done, where and with how much, in thousandths of the whole, and what is put there."""

changes: st.SearchStrategy[list[Change]] = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "twice", "swap", "end"]),
        st.integers(0, 999),
        st.integers(0, 999),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def changed(data: bytes, steps: list[Change]) -> bytes:
    """Bytes that are other ones now: bits flipped, parts cut out, put in, there twice, in another order, or the end missing."""
    for how, where, much, new in steps:
        at = where * len(data) // 1000
        size = max(much * min(len(data) - at, 4096) // 1000, 1)
        part, rest = data[at : at + size], data[at + size :]
        match how:
            case "flip":
                data = data[:at] + bytes(byte ^ 1 << much % 8 for byte in data[at : at + 1]) + data[at + 1 :]
            case "cut":
                data = data[:at] + rest
            case "insert":
                data = data[:at] + new + part + rest
            case "twice":
                data = data[:at] + part + part + rest
            case "swap":
                data = data[:at] + rest[:size] + part + rest[size:]
            case "end":
                data = data[:at]
    return data


def values(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """What a field may be given, rightly or not."""
    few = st.sampled_from(ODD)
    leaves = few | names | st.integers(-5, 70000)
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=5)

"""In csrc, calls and includes run one way: what a file is made of can be read from the bottom up."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

CSRC = Path(__file__).parent.parent / "csrc"
COMMENT = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\n])*\"", re.DOTALL)
DEFINITION = re.compile(r"^(?!static\b|typedef\b)[a-z][\w *]*?\b(\w+)\([^;{}]*\)\n\{", re.MULTILINE)
INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)
FLOORS = ("kernel", "wire", "kinds", "core")
"""The folders, the lowest first."""


def calls(folder: str) -> dict[str, set[str]]:
    """The files of a folder, and which of the others each calls."""
    texts = {path.name: COMMENT.sub("", path.read_text()) for path in (CSRC / folder).glob("*.c")}
    defined = {function: name for name, text in texts.items() for function in DEFINITION.findall(text)}
    assert len(defined) > len(texts)
    words = {name: set(re.findall(r"\w+", text)) for name, text in texts.items()}
    return {name: {defined[word] for word in words[name] & defined.keys()} - {name} for name in texts}


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("folder", FLOORS)
def test_the_files_of_a_folder_call_one_way(folder: str) -> None:
    assert circle(calls(folder)) == []


def test_includes_run_one_way_and_never_up_a_floor() -> None:
    graph = {str(path.relative_to(CSRC)): set(INCLUDE.findall(path.read_text())) for path in CSRC.glob("*/*.[ch]")}
    assert circle(graph) == []
    floor = {name: FLOORS.index(name.partition("/")[0]) for name in graph if name.partition("/")[0] in FLOORS}
    assert [(name, up) for name in floor for up in graph[name] if floor.get(up, 0) > floor[name]] == []

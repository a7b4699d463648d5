"""The floors of the engine: imports run one way, and no module imports one that imports it."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import nsplane

ROOT = Path(nsplane.__file__).parent
FLOORS = ("errors", "kernel", "model", "world", "plan", "kinds", "capture", "request", "journal", "intake", "engine")
"""From the lowest to the highest. A module imports from its own floor and from those below."""
ABOVE_ALL = ("nsplane", "nsplane.__main__")


def modules() -> dict[str, Path]:
    """Every module of the engine by its name."""
    names = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The engine's modules that a module imports, anywhere in it: under TYPE_CHECKING and in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names):
                below = {f"{module}.{alias.name}" for alias in names} & known.keys()
                found |= below or {module}
    return found & known.keys()


def floor(module: str) -> int:
    return FLOORS.index(module.split(".")[1])


KNOWN = modules()


@pytest.mark.parametrize("module", sorted(KNOWN))
def test_imports_run_downwards(module: str) -> None:
    if module in ABOVE_ALL:
        return
    upwards = {other for other in imports(KNOWN[module], KNOWN) if other in ABOVE_ALL or floor(other) > floor(module)}
    assert not upwards


def test_no_module_imports_one_that_imports_it() -> None:
    graph = {module: imports(path, KNOWN) - {module} for module, path in KNOWN.items() if module not in ABOVE_ALL}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))

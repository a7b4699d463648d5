"""Where the agent's keys are, for those commands that need to know."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..agent import State

KEYS = "keys"

F = TypeVar("F", bound=Callable[..., Any])


def keys_dir(command: F) -> F:
    return click.option(
        "--keys-dir",
        "keys",
        metavar="DIRECTORY",
        envvar="NSPLANE_KEYS_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="The agent's key and the list of those that are allowed [default: `keys` in the state directory].",
    )(command)


def keys_directory(given: Path | None, state_directory: str | None = None) -> Path:
    """The directory as given, else in that of the agents' states: also of those that keep no state."""
    if given is not None:
        return given.absolute()
    state = state_directory or os.environ.get("NSPLANE_STATE_DIR") or "none"
    return ((State().directory if state == "none" else Path(state)) / KEYS).absolute()

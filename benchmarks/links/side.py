"""Whoever makes a lab and takes it away."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from .lab import Lab


class Work(Protocol):
    """One lab's. Both return how many seconds it took, from the start until the kernel has it all, or nothing of it."""

    def make(self) -> float: ...

    def delete(self) -> float: ...


class Side(Protocol):
    """`whole` says whether it can make all of it."""

    name: str
    whole: bool

    def missing(self) -> str | None:
        """What would have to be installed."""

    def at_work(self, lab: Lab, directory: Path) -> AbstractContextManager[Work]:
        """The directory is its own."""

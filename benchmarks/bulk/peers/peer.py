"""What people use instead, at the same work: as fast as each of them can be driven."""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import ClassVar, Protocol


class Peer(Protocol):
    """Puts the items of publisher.py, and may delete them again, of the `kinds` that it can: each with the protocol by which the
    kernel's table names whose they are. `scale`: of so many items it gets one, where it is so slow that all would take minutes."""

    name: str
    scale: int
    kinds: ClassVar[Mapping[str, int]]

    def missing(self) -> str | None:
        """What would have to be installed, or done."""

    def work(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> Generator[float]:
        """Yields the seconds that it took to put them and, of a peer that is measured at that, to delete them. The directory is its
        own."""

"""How far a command is that takes its time: shown on a terminal, and nowhere else."""

import contextlib
import sys
from collections.abc import Callable, Iterator

LARGE = 1 << 20
"""What is smaller, in bytes or items, is done before anybody reads how far it is."""


@contextlib.contextmanager
def progress(text: str, total: int, large: int = LARGE) -> Iterator[Callable[[int], None]]:
    """Has the body say how much of `total` is done."""
    if total < large or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(text, total=total)
        yield lambda done: shown.update(task, completed=done)

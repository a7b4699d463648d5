"""The three curves, one after the other."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..bulk.floor import Floor
from .namespaces import measure_namespaces
from .report import ScaleReport
from .routes import measure_routes
from .waiting import measure_waiting


def measure(routes: Sequence[int], namespaces: Sequence[int], waiting: Sequence[int], rounds: int) -> ScaleReport:
    """Measures each size of each curve so many times."""
    prefix = f"nsp-bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        floor = Floor(Path(directory))
        of_routes = measure_routes(prefix, sorted(set(routes)), rounds, floor)
        starts = measure_waiting(prefix, sorted(set(waiting)), rounds, floor)
        # Last: the kernel is busy for a while with what thousands of namespaces leave behind.
        beside = measure_namespaces(prefix, sorted(set(namespaces)), rounds, floor)
    return ScaleReport(scenario="scale", routes=of_routes, namespaces=beside, waiting=starts)

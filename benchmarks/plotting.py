"""Plots as SVG files: all in one style, and the same bytes for the same plot."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from .report import Plot

STYLE = Path(__file__).with_name("plots.mplstyle")


def save(plot: Plot, path: Path) -> None:
    with matplotlib.rc_context():
        matplotlib.rc_file(STYLE)  # On top of matplotlib's own defaults, not of the user's.
        drawn = Figure(figsize=(6, 3.2), layout="constrained")
        draw(plot, drawn.subplots())
        drawn.savefig(path, format="svg", metadata={"Creator": None, "Date": None})


def draw(plot: Plot, axes: Axes) -> None:
    for label, points in plot.lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], label=label)
    if plot.limit is not None:
        axes.axhline(plot.limit, color="#404040", linestyle="--", linewidth=1, marker="", label="bar")
    axes.set_title(plot.title, loc="left")
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.set_xscale("log" if plot.log_x else "linear")
    axes.set_yscale("log" if plot.log_y else "linear")
    points = [point for line in plot.lines.values() for point in line]
    number(axes.xaxis, [x for x, _ in points])
    number(axes.yaxis, [y for _, y in points])
    if not plot.log_y:
        axes.set_ylim(bottom=0)
    axes.legend()


def number(axis: Axis, numbers: Sequence[float]) -> None:
    """Numbers as they are written elsewhere, and some also where a logarithmic axis has no power of ten, or one, to show."""
    if axis.get_scale() == "log":
        few = max(numbers) < 100 * min(numbers)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))

"""The bars of several reports: their figures, and whether they are met."""

from collections.abc import Sequence

from .report import Bar, Report, Table, verdict


def bar_table(reports: Sequence[Report]) -> Table:
    """A bar of a run that is void is neither met nor missed."""
    rows = []
    for report in reports:
        for bar in report.bars():
            judged = "void" if report.void else "yes" if bar.met else "no"
            limit = f"at {'most' if bar.at_most else 'least'} {short(bar.limit)}"
            rows.append((bar.what, figure(bar), limit, judged))
    return Table("Bars", ("bar", "figure", "limit", "met"), rows)


def missed(report: Report) -> list[Bar]:
    return [] if report.void else [bar for bar in report.bars() if not bar.met]


def shortfalls(reports: Sequence[Report]) -> list[str]:
    """Why the bars are not all met, in lines."""
    void = [f"{report.scenario}: {verdict(report)}" for report in reports if report.void]
    return [*void, *(f"{bar.what}: not met" for report in reports for bar in missed(report))]


def figure(bar: Bar) -> str:
    """Rounded, but not over its limit."""
    for digits in range(3, 17):
        rounded = float(f"{bar.figure:.{digits}g}")
        if bar._replace(figure=rounded).met == bar.met:
            return short(rounded, digits)
    return repr(bar.figure)


def short(number: float, digits: int = 3) -> str:
    return f"{number:,.0f}" if number >= 10**digits else f"{number:.{digits}g}"

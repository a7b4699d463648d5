"""A scenario: what is measured under a name, with which options, and how its report is read again."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from .failures import FAILURES
from .report import Report, print_json, print_tables, verdict


class Scenario(NamedTuple):
    """`measure` takes the options by their names. `text` says what is measured and what is not."""

    name: str
    about: str
    text: str
    options: Sequence[click.Option]
    measure: Callable[..., Report]
    report: type[Report]

    def run(self, json_: bool, tries: int, **options: Any) -> Report:
        """Measures and prints. A run that is void is measured again, until one is not or there were so many `tries`; what counts is
        the run whose floor spreads least. ClickException where that fails."""
        if os.geteuid() != 0:
            raise click.ClickException("not root: network namespaces cannot be made")
        report = self._measured(**options)
        for _ in range(1, tries):
            if not report.void:
                break
            print(f"{self.name}: {verdict(report)}", file=sys.stderr, flush=True)
            report = min(report, self._measured(**options), key=lambda one: one.noise)
        if json_:
            print_json(report)
        else:
            print_tables(report)
        return report

    def _measured(self, **options: Any) -> Report:
        try:
            return self.measure(**options)
        except FAILURES as error:
            raise click.ClickException(f"{self.name}: {error}") from None

    def command(self) -> click.Command:
        def run(**options: Any) -> None:
            self.run(**options)

        about = f"{self.about}\n\n{self.text}"
        params: list[click.Parameter] = [*self.options, tries_option(), json_option()]
        return click.Command(self.name, callback=run, params=params, help=about, short_help=self.about)

    def run_as_is(self, json_: bool, tries: int) -> Report:
        """With every other option's default."""
        return self.run(json_, tries, **{option.name or "": option.default for option in self.options})


def count(name: str, default: int, about: str, least: int = 1, most: int = 1 << 24) -> click.Option:
    """An option that says how many."""
    return click.Option([f"--{name}"], default=default, show_default=True, type=click.IntRange(least, most), help=about)


def counts(name: str, default: Sequence[int], about: str, least: int = 1, most: int = 1 << 24) -> click.Option:
    """An option that says how many, and may be given several times."""
    range_ = click.IntRange(least, most)
    return click.Option(
        [f"--{name}"],
        multiple=True,
        default=tuple(default),
        show_default=True,
        type=range_,
        help=f"{about} May be given several times.",
    )


def tries_option() -> click.Option:
    about = "A void run is measured again, so often in all; the one whose floor spreads least counts."
    return click.Option(["--tries"], default=1, show_default=True, type=click.IntRange(1), help=about)


def json_option() -> click.Option:
    return click.Option(["--json", "json_"], is_flag=True, help="Print one object a line.")

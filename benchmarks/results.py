"""Reports from what was printed as JSON, an object a line. What followed from the measurement is passed over, and follows again."""

from collections.abc import Iterable

import msgspec

from .report import Report
from .scenarios import SCENARIOS


class BadResults(Exception):
    """The text says in which line, and which field of it."""


class Head(msgspec.Struct):
    """What every object has. A report would fill in this machine's."""

    scenario: str
    cores: int
    kernel: str
    python: str


def read(lines: Iterable[bytes]) -> list[Report]:
    """The reports, in the order of the scenarios. Empty lines are none."""
    found: dict[str, Report] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            report = read_line(line)
        except (BadResults, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadResults(f"line {number}: {error}") from None
        if report.scenario in found:
            raise BadResults(f"line {number}: {report.scenario} is there a second time")
        found[report.scenario] = report
    if not found:
        raise BadResults("there is no line in it")
    return [found[scenario.name] for scenario in SCENARIOS if scenario.name in found]


def read_line(line: bytes) -> Report:
    name = msgspec.json.decode(line, type=Head).scenario
    for scenario in SCENARIOS:
        if scenario.name == name:
            return msgspec.json.decode(line, type=scenario.report)
    raise BadResults(f"`scenario` is {name!r}, which is none of {', '.join(scenario.name for scenario in SCENARIOS)}")


def lacking(reports: Iterable[Report]) -> list[str]:
    """The scenarios of which there is no report."""
    there = {report.scenario for report in reports}
    return [scenario.name for scenario in SCENARIOS if scenario.name not in there]

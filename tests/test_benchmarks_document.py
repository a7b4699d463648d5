"""What the benchmarks print is read again: into reports, a page with plots, and a verdict on the bars. Nothing is measured here."""

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benchmarks.__main__ import main
from benchmarks.bars import bar_table, figure
from benchmarks.document import BadNotes, write
from benchmarks.report import Bar, Report
from benchmarks.results import BadResults, read
from benchmarks.scenarios import SCENARIOS
from click.testing import CliRunner, Result

ROOT = Path(__file__).parents[1]
MACHINE = {"cores": 4, "kernel": "6.1.0-test", "python": "3.14.1"}


def bulk(scenario: str, rate: float, floors: tuple[float, ...] = (1000, 1010)) -> dict[str, Any]:
    """Where nsplane puts at this rate, and the floor at a thousand a second."""
    rates = {
        "floor: delete": 2000.0,
        "nsplane, 512 in a request: put": rate,
        "nsplane, 512 in a request: put again": 3500.0,
        "nsplane, 512 in a request: delete": 1500.0,
        "nsplane, blocks: put": 1100.0,
        "nsplane, blocks: delete": 2200.0,
        "nsplane, 512 in a request, 4 publishers: put": rate,
        "nsplane, 64 in a request: put": 600.0,
        "nsplane, 1 in a request: put": 150.0,
        "nsplane, 1 in a request, gathered: put": 350.0,
        "echo, 1 in a request": 300.0,
        "echo, 1 in a request, gathered": 700.0,
        "ip -batch": 200.0,
    }
    rounds = [{"first": "floor", "rates": {"floor: put": floor} | rates} for floor in floors]
    return {"scenario": scenario, "items": 5000, "batch": 512, "rounds": rounds} | MACHINE


START = {"scenario": "start", "rounds": [{"first": "floor", "milliseconds": 4.5, "floor": 2.0}] * 2} | MACHINE
RESTARTS = [{"first": "floor", "milliseconds": 50.0, "floor": 30.0, "startup": 300.0, "sent": 700, "lost": 0}]
RESTART = {"scenario": "restart", "routes": 100, "namespaces": 2, "rounds": RESTARTS} | MACHINE
DRIFT = {"scenario": "drift", "damages": 1, "routes": 4, "times": {"a route was deleted": [3.0], "a | b": [4.0]}} | MACHINE
MET = [bulk("routes", 900), bulk("routes6", 900), bulk("arps", 900), START, RESTART, DRIFT]
MISSED = [bulk("routes", 500)]
VOID = [bulk("routes", 500, (500, 1000))]


def lines(objects: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def reports(objects: list[dict[str, Any]]) -> list[Report]:
    return read(lines(objects).encode().splitlines())


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, arguments, given.encode())


def printed(report: Report) -> bytes:
    return msgspec.json.encode(report.as_object())


def test_what_is_printed_is_read_again() -> None:
    for report in reports(MET):
        (again,) = read([printed(report)])
        assert printed(again) == printed(report)
        assert again.machine == "4 cores, Linux 6.1.0-test, Python 3.14.1", "not this machine's"


def test_reports_are_in_the_order_of_the_scenarios() -> None:
    assert [report.scenario for report in reports(MET[::-1])] == [one["scenario"] for one in MET]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "no line"),
        ("\n", "no line"),
        ("routes\n", "line 1: JSON is malformed"),
        ("\n{}\n", "line 2: Object missing required field `scenario`"),
        ('"\xff"', "line 1: "),
        (lines([MACHINE | {"scenario": "dreams"}]), "line 1: `scenario` is 'dreams', which is none of routes, routes6"),
        (lines([bulk("routes", 900), RESTART | {"routes": "many"}]), r"line 2: Expected `int`, got `str` - at `\$.routes`"),
        (lines([{**DRIFT, "kernel": 6}]), r"line 1: Expected `str`, got `int` - at `\$.kernel`"),
        (lines([{name: DRIFT[name] for name in DRIFT if name != "cores"}]), "line 1: Object missing required field `cores`"),
        (lines([bulk("routes", 900, ())]), r"line 1: .*length >= 1 - at `\$.rounds`"),
        (lines([bulk("routes", 900, (0,))]), r"line 1: .*> 0.* - at `\$.rounds\[0\].rates\[...\]`"),
        (lines([{**bulk("routes", 900), "batch": 100}]), r"line 1: `rounds\[0\].rates` has no nsplane, 100 in a request: put"),
        (lines([{**DRIFT, "damages": 3}]), r"line 1: `times\[a route was deleted\]` has 1 of 3 damages"),
        (lines([START, START]), "line 2: start is there a second time"),
    ],
)
def test_bad_input_is_told_by_line_and_field(given: str, said: str) -> None:
    with pytest.raises(BadResults, match=said):
        read(given.encode("latin-1").splitlines())
    for command in ("check", "document"):
        result = run(command, "-", given=given)
        assert result.exit_code == 2


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every scenario has been measured, and found what is in MET. Returns where a page is written."""
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    given = [by_name[report.scenario]._replace(measure=lambda report=report, **_: report) for report in reports(MET)]
    monkeypatch.setattr("benchmarks.__main__.SCENARIOS", given)
    monkeypatch.setattr("benchmarks.results.SCENARIOS", given)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("benchmarks.document.write", lambda reports: write(reports, tmp_path))
    return tmp_path


def test_the_page_is_the_same_from_a_run_and_from_its_lines(canned: Path) -> None:
    measured = run("all", "--json", "--document")
    assert (measured.exit_code, measured.stderr) == (0, "")
    page = canned / "performance.md"
    first = page.read_bytes()
    page.unlink()
    assert run("document", "-", given=measured.stdout).exit_code == 0
    assert page.read_bytes() == first


def test_the_page_says_who_has_no_note(canned: Path) -> None:
    result = run("document", "-", given=lines([*MISSED, *MET[1:]]))
    assert result.exit_code == 0
    assert result.stderr == "routes misses a bar, and docs/performance/notes.md has no section on it.\n"
    (canned / "performance/notes.md").write_text("## dreams\n")
    assert run("document", "-", given=lines(MET)).exit_code == 1


def test_a_void_run_is_measured_again_and_the_calmest_counts(canned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measuring(*floors: tuple[int, ...]) -> None:
        found = iter([reports([bulk("routes", 900, floor)])[0] for floor in floors])
        (scenario,) = [scenario for scenario in SCENARIOS if scenario.name == "routes"]
        monkeypatch.setattr("benchmarks.__main__.SCENARIOS", [scenario._replace(measure=lambda **_: next(found))])

    def spreads(result: Result) -> list[str]:
        return re.findall(r"spreads by (\d+%): void", result.stderr)

    measuring((900, 1500), (900, 1400), (900, 1600), (900, 900))
    result = run("all", "--json", "--tries", "3")
    assert spreads(result) == ["50%", "43%"]
    assert [report.void for report in read(result.stdout_bytes.splitlines())] == [True]
    assert 0.43 < read(result.stdout_bytes.splitlines())[0].noise < 0.44
    measuring((900, 1500), (900, 900), (900, 900))
    result = run("check", "--tries", "3")
    assert spreads(result) == ["50%"]
    assert "The floor spreads by 0%: good" in result.stdout


def test_without_a_file_everything_is_measured_first(canned: Path) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.output.count("The floor spreads by ") == len(MET)
    assert "Bars" in result.output


def test_bars_that_are_met() -> None:
    result = run("check", "-", given=lines(MET))
    assert result.exit_code == 0
    assert "not met" not in result.output
    assert "Not measured" not in result.output or len(SCENARIOS) > len(MET)


def test_requests_of_one_are_measured_by_an_echo_of_them() -> None:
    (report,) = reports([bulk("routes", 900)])
    assert [(bar.what, bar.figure, bar.limit) for bar in report.bars() if "echo" in bar.what] == [
        ("routes: put, 1 in a request, of the echo", 0.5, 0.4),
        ("routes: put, 1 in a request, gathered, of the echo", 0.5, 0.4),
    ]


def test_a_bar_that_is_not_met() -> None:
    result = run("check", "-", given=lines(MISSED))
    assert result.exit_code == 1
    assert "routes: 512 in a request: put, of the floor: not met\n" in result.output
    assert "Not measured: routes6, " in result.output


def test_a_run_that_was_void_says_nothing_of_bars() -> None:
    result = run("check", "-", given=lines(VOID))
    assert result.exit_code == 1
    assert "routes: The floor spreads by 67%: void: the machine was too busy, measure again." in result.output
    assert "not met" not in result.output
    assert {row[-1] for row in bar_table(reports(VOID)).rows} == {"void"}


def test_a_figure_is_not_rounded_over_its_limit() -> None:
    assert figure(Bar("", 0.79996, 0.8)) == "0.79996"
    assert figure(Bar("", 0.80004, 0.8)) == "0.8"
    assert figure(Bar("", 3.00004, 3, at_most=True)) == "3.00004"
    assert figure(Bar("", 123456.7, 1000)) == "123,000"
    assert figure(Bar("", 0, 0, at_most=True)) == "0"


def test_reading_needs_no_root_and_measuring_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert run("check", "-", given=lines(MET)).exit_code == 0
    for command in ("routes", "all", "check"):
        result = run(command)
        assert (result.exit_code, result.output) == (1, "Error: not root: network namespaces cannot be made\n")


def test_the_same_reports_are_the_same_bytes(tmp_path: Path) -> None:
    def written() -> dict[str, bytes]:
        write(reports(MET), tmp_path)
        return {str(path): path.read_bytes() for path in tmp_path.rglob("*.*")}

    first = written()
    assert {Path(path).name for path in first} == {"performance.md", "routes.svg", "routes6.svg", "arps.svg"}
    assert written() == first


def test_the_page_has_tables_plots_and_verdicts(tmp_path: Path) -> None:
    write(reports(MET), tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert re.findall("^## (.*)$", page, re.MULTILINE) == [one["scenario"] for one in MET]
    assert "The machine: 4 cores, Linux 6.1.0-test, Python 3.14.1.\n" in page
    assert "| start: a container's wiring, times the floor | 2.25 | at most 2.5 | yes |\n" in page
    assert "| nsplane, 512 in a request: put | 900 | 900 | 900 | 0.896 |\n" in page
    assert "| a &#124; b | 4.00 | 4.00 |\n| **all** | **3.50** | **4.00** |\n" in page
    assert page.count("The floor spreads by ") == len(MET)
    for link in re.findall(r"!\[.*\]\((.*)\)", page):
        assert (tmp_path / link).read_text().rstrip().endswith("</svg>")
    assert max(len(line) for line in page.splitlines() if not line.startswith(("|", "!"))) <= 132


def test_notes_survive_and_those_that_lack_are_told(tmp_path: Path) -> None:
    assert write(reports(MISSED), tmp_path) == ["routes"]
    notes = tmp_path / "performance/notes.md"
    notes.write_text("For writers.\n\n## routes\n\nThe cores are shared.\n\nThey are two.\n")
    before = notes.read_bytes()
    for _ in range(2):
        assert write(reports(MISSED), tmp_path) == []
    page = (tmp_path / "performance.md").read_text()
    table, note, plot = (page.rindex(text) for text in ("| ip -batch |", "The cores are shared.\n\nThey are two.\n", "![routes: "))
    assert table < note < plot
    assert "For writers" not in page
    assert notes.read_bytes() == before


def test_a_note_on_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "performance").mkdir()
    (tmp_path / "performance/notes.md").write_text("## dreams\n\nThey are slow.\n")
    with pytest.raises(BadNotes, match="there is no scenario dreams"):
        write(reports(MET), tmp_path)


def test_plots_that_there_are_no_more_are_removed(tmp_path: Path) -> None:
    write(reports(MET), tmp_path)
    write(reports(MISSED), tmp_path)
    assert [path.name for path in (tmp_path / "performance").iterdir()] == ["routes.svg"]


def test_a_page_wants_every_scenario() -> None:
    result = run("document", "-", given=lines(MISSED))
    assert result.exit_code == 2
    assert "there is no report of routes6, " in result.output


def test_every_scenario_says_what_it_measures() -> None:
    for scenario in SCENARIOS:
        assert scenario.about.endswith(".")
        assert scenario.text.endswith(".")


@pytest.mark.skipif(not (ROOT / "docs/performance.md").exists(), reason="nothing was measured yet")
def test_the_page_in_the_tree_has_every_scenario() -> None:
    page = (ROOT / "docs/performance.md").read_text()
    assert re.findall("^## (.*)$", page, re.MULTILINE) == [scenario.name for scenario in SCENARIOS]

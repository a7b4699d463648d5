"""`make man`: a manual page of each command, which groff and mandoc take without a word, and which says what --help says."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from nsplane_bus.cli import nsplane

ROOT = Path(__file__).parent.parent
WITHIN = click.Context(nsplane)
COMMANDS = nsplane.list_commands(WITHIN)


@pytest.fixture(scope="module")
def man() -> ModuleType:
    """The program that makes the pages."""
    spec = importlib.util.spec_from_file_location("nsplane_man", ROOT / "docs/man.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> list[Path]:
    """What `make man` makes. What is installed is as it is: this is a part of `make test`."""
    made = subprocess.run(
        ["make", "--no-print-directory", "-o", ".venv/.installed", "man"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return sorted((ROOT / "build/man/man1").iterdir())


def rendered(*pages: Path) -> str:
    """Pages as groff shows them, with one space where there are many. It has nothing to say of them."""
    command = ["groff", "-man", "-ww", "-Tutf8", "-rLL=1000n", "-P-cbou", *map(str, pages)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(r"\s+", " ", done.stdout)


needs_groff = pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")


def test_each_command_has_a_page(pages: list[Path]) -> None:
    names = [f"nsplane-{name}" for name in COMMANDS]
    for name in COMMANDS:
        command = nsplane.get_command(WITHIN, name)
        if isinstance(command, click.Group):
            names += [f"nsplane-{name}-{one}" for one in command.commands]
    assert {page.stem for page in pages} == {"nsplane", *names}


@needs_groff
def test_groff_has_nothing_to_say_of_the_pages(pages: list[Path]) -> None:
    rendered(*pages)


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_mandoc_has_nothing_to_say_of_the_pages(pages: list[Path]) -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@needs_groff
@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_what_help_and_the_docs_say(name: str, pages: list[Path]) -> None:
    command = nsplane.get_command(WITHIN, name)
    assert command is not None
    shown = rendered(*(page for page in pages if page.name == f"nsplane-{name}.1"))
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"):
        assert f" {section} " in shown
    assert re.sub(r"[\s`]+", " ", command.help or "").strip()[:40] in re.sub(r"\s+", " ", shown)
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert all(written in shown for written in option.opts)
            assert " ".join((option.help or "").replace("`", "").split()) in shown


@needs_groff
def test_examples_are_those_of_the_docs(pages: list[Path]) -> None:
    with_examples = {page.stem.removeprefix("nsplane-"): page for page in pages if ".SH EXAMPLES\n" in page.read_text()}
    assert set(COMMANDS) - with_examples.keys() <= {"completion"}
    assert "nsplane get --json | nsplane apply -" in rendered(with_examples["apply"])
    assert "|| [ $? =" not in rendered(*pages)


@needs_groff
@pytest.mark.parametrize(
    "text",
    [
        ".SH is no request",
        "'br is none",
        r"a\nb \fBnot bold\fR C:\dir",
        "--long -s don't `quoted'",
        "ünïcode ≥ 1 …",
        "a ~ b ^ c",
        '"said"',
    ],
)
def test_every_text_is_shown_as_it_is(text: str, man: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "page.1"
    made = man.line(man.literal(text))
    file.write_text(f'.TH X 1 "2026-01-01" "x" "x"\n.SH NAME\nx \\- y\n.SH EXAMPLES\n.EX\n{made}\n.EE\n')
    assert f"EXAMPLES {text} " in rendered(file)


def test_the_tables_have_every_variable_that_is_read() -> None:
    code = "".join(path.read_text() for path in (ROOT / "bus").rglob("*.py"))
    page = (ROOT / "docs/command-line.md").read_text()
    read = set(re.findall(r"\b_?NSPLANE_[A-Z_]+\b", code))
    assert len(read) > 4
    assert {name for name in read if f"`{name}`" not in page} == {"_NSPLANE_COMPLETE"}


@needs_groff
@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_finds_the_pages_of_the_commands_in_the_path(pages: list[Path]) -> None:
    folder = Path(sys.executable).parent
    assert (folder / "nsplane").exists()
    environment = {name: value for name, value in os.environ.items() if name != "MANPATH"}
    environment |= {"PATH": f"{folder}:{os.environ['PATH']}", "MANPAGER": "cat", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["man", "nsplane-apply"], env=environment, capture_output=True, text=True, timeout=60)
    assert "publish the items of FILES" in done.stdout, done.stderr

"""Manual pages: one of each command, from what its --help says and from command-line.md.

python docs/man.py FOLDER     writes FOLDER/man1/nsplane.1, FOLDER/man1/nsplane-apply.1, ...
"""

from __future__ import annotations

import argparse
import importlib.metadata
import inspect
import os
import re
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click

from nsplane_bus.cli import MODULES, nsplane

DOCS = Path(__file__).parent
REFERENCE = DOCS / "command-line.md"
README = DOCS / "../README.md"
EXAMPLES = (REFERENCE, *sorted({*DOCS.glob("*.md")} - {REFERENCE}), README)
"""Where examples are taken from: those of a command from the first page that has any."""
MOST_EXAMPLES = 8
TABLES = {"EXIT STATUS": "code", "ENVIRONMENT": "variable", "FILES": "file"}
"""Sections that are made of a table of the reference, by the name of its first column."""
VERSION = f"nsplane {importlib.metadata.version('nsplane')}"
OTHER_PAGES = ("ip(8)", "ip-netns(8)", "bridge(8)")

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED_CODE = re.compile(r"( \|\| \[ \$\? = \d \])+")
"""Which other exit codes are right: that is for whoever runs a page as a test."""
CHARACTERS = {"\\": r"\(rs", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "-": r"\-"}


def literal(text: str) -> str:
    """Roff that shows a text as it is, also where it is copied into a shell."""
    return "".join(CHARACTERS.get(one, one) if one.isascii() else rf"\[u{ord(one):04X}]" for one in text)


def prose(text: str) -> str:
    """Roff of a line of Markdown: code and what is strong become bold, links their text."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text.replace(r"\|", "|"))
    parts = re.split(r"`([^`]+)`|\*\*([^*]+)\*\*", text)
    shown = [literal(plain) for plain in parts[::3]]
    strong = [rf"\fB{literal(code or bold)}\fR" for code, bold in zip(parts[1::3], parts[2::3], strict=True)]
    return "".join(part for pair in zip(shown, [*strong, ""], strict=True) for part in pair)


def line(roff: str) -> str:
    """A line of text, which is no request whatever it begins with."""
    return rf"\&{roff}" if roff.startswith(".") else roff


def paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(text))):
        if number:
            yield ".PP"
        yield line(prose(" ".join(paragraph.split())))


def entries(pairs: list[tuple[str, str]]) -> Iterator[str]:
    """A list of terms, which are roff, and what is said of each."""
    for term, text in pairs:
        yield from (".TP", line(term), line(prose(text)))


def section(name: str, lines: list[str]) -> list[str]:
    return [f".SH {name}", *lines] if lines else []


def title(command: click.Command) -> str:
    """The help's first words, up to where it goes into detail."""
    text = " ".join((command.help or "").split())
    first = re.split(r"[.:;](?: |$)", text, maxsplit=1)[0]
    return first[:1].lower() + first[1:]


def option(names: str) -> str:
    """`-f, --file FILE` with the names bold and the value slanted."""
    shown = []
    for name in names.split(", "):
        name, _, value = name.partition(" ")
        shown.append(rf"\fB{literal(name)}\fR" + (rf" \fI{literal(value)}\fR" if value else ""))
    return ", ".join(shown)


def table(first: str) -> list[list[str]]:
    """The rows of the reference's table whose first column is called so: what, which commands, what is said of it."""
    _, _, rest = REFERENCE.read_text().partition(f"\n| {first} | commands | meaning |\n|---|---|---|\n")
    rows = rest.partition("\n\n")[0].splitlines()
    if not rows:
        raise SystemExit(f"{REFERENCE.name} has no table with the columns {first}, commands, meaning")
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def concerns(cell: str, name: str) -> bool:
    """`all`, `all but` these, or these."""
    named = name in re.findall(r"`([^`]+)`", cell)
    return not name or (not named if cell.startswith("all") else named)


def facts(first: str, name: str) -> list[str]:
    rows = [(prose(what), text) for what, commands, text in table(first) if concerns(commands, name)]
    return list(entries(rows))


def examples(name: str) -> list[str]:
    """Commands of the pages as they stand there, with what is given to them on standard input."""
    wanted = re.compile(rf"(?:^|\| )nsplane {re.escape(name)}(?: |$)" if name else "^nsplane ")
    for page in EXAMPLES if name else (README,):
        found: dict[str, None] = {}
        for block in BLOCK.findall(page.read_text()):
            lines = iter(block.splitlines())
            for text in lines:
                command = [EXPECTED_CODE.sub("", text)]
                if text.endswith("<<'END'"):
                    command += (*takewhile("END".__ne__, lines), "END")
                if wanted.search(text):
                    found["\n".join(command)] = None
        if found:
            return "\n".join(list(found)[:MOST_EXAMPLES]).splitlines()
    return []


def others(name: str, text: str) -> list[str]:
    """Pages to see also: those of the commands that stand in a page."""
    if not name:
        return [*OTHER_PAGES]
    mentioned = {*re.findall(r"\bnsplane ([a-z-]+)", text)} & MODULES.keys() - {name}
    return ["nsplane(1)", *(f"nsplane-{other}(1)" for other in sorted(mentioned))]


def manual(context: click.Context) -> str:
    """The manual page of a command."""
    command, path = context.command, context.command_path
    name = path.partition(" ")[2]
    made = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    usage = " ".join(command.collect_usage_pieces(context))
    shown = examples(name)
    see_also = others(name, "\n".join((command.help or "", *shown)))
    lines = [
        f'.TH {literal(page_name(path).upper())} 1 "{time.strftime("%Y-%m-%d", made)}" "{VERSION}" "nsplane"',
        *section("NAME", [rf"{literal(page_name(path))} \- {prose(title(command))}"]),
        *section("SYNOPSIS", [rf"\fB{literal(path)}\fR {literal(usage)}"]),
        *section("DESCRIPTION", list(paragraphs(command.help or ""))),
        *section("OPTIONS", list(option_list(context))),
        *section("COMMANDS", list(command_list(context))),
        *(part for heading, first in TABLES.items() for part in section(heading, facts(first, name))),
        *section("EXAMPLES", [".EX", *(line(literal(text)) for text in shown), ".EE"] if shown else []),
        *section("SEE ALSO", [", ".join(map(reference, see_also))]),
    ]
    return "".join(f"{one}\n" for one in lines)


def option_list(context: click.Context) -> Iterator[str]:
    records = [one.get_help_record(context) for one in context.command.get_params(context)]
    return entries([(option(record[0]), record[1]) for record in records if record is not None and record[1]])


def command_list(context: click.Context) -> Iterator[str]:
    return entries([(reference(f"{page_name(one.command_path)}(1)"), title(one.command)) for one in subcommands(context)])


def reference(other: str) -> str:
    name, parenthesis, rest = other.partition("(")
    return rf"\fB{literal(name)}\fR{parenthesis}{rest}"


def page_name(path: str) -> str:
    return path.replace(" ", "-")


def subcommands(context: click.Context) -> list[click.Context]:
    group = context.command
    if not isinstance(group, click.Group):
        return []
    commands = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    return [click.Context(command, info_name=name, parent=context) for name, command in commands if command and not command.hidden]


def pages(context: click.Context) -> Iterator[tuple[str, str]]:
    """The name of each page, and its text: of a command and of those below it."""
    yield page_name(context.command_path), manual(context)
    for one in subcommands(context):
        yield from pages(one)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the manual pages of nsplane.")
    parser.add_argument("folder", type=Path, help="where to: man1 is made in it")
    folder = parser.parse_args().folder / "man1"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(click.Context(nsplane, info_name="nsplane", **nsplane.context_settings)):
        (folder / f"{name}.1").write_text(text)


if __name__ == "__main__":
    main()

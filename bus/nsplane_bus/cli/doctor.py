"""nsplane doctor."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from nsplane import machine_id

from ..doctor import Agent, Finding, look
from ..errors import BusError
from ..printable import printable
from .agent import checked_id, state_dir
from .output import DONE, FAILED, PENDING, print_json
from .settings import Settings, pass_settings, where

COLOURS = {"ok": "green", "note": "blue", "warning": "yellow", "problem": "red"}
SECONDS = 5


@click.command()
@click.option("--all", "every", is_flag=True, help="Also what is as it is to be.")
@click.option(
    "--id", "agent_id", metavar="ID", callback=checked_id, help="The agent's id, where none answers and it was given one."
)
@state_dir
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of all findings.")
@where()
@pass_settings
@click.pass_context
def doctor(
    context: click.Context, settings: Settings, every: bool, agent_id: str | None, state_directory: str, as_json: bool
) -> None:
    """Look for what keeps nsplane from working on this machine, or may, and say the commands that mend it. Nothing is changed.

    Looked at are the agent, kernel and kinds of links, privileges, mounts, descriptors, settings, systemd-networkd, docker, the
    gate, the journal, and what other agents have left. The exit code is 0 where there is nothing to mend, 3 after a warning, 1
    where something does not work.
    """
    findings = look(find(settings, agent_id, state_directory))
    counts = Counter[str](finding.state for finding in findings)
    if as_json:
        print_json({"counts": counts, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            if every or finding.state != "ok":
                show(finding)
        click.echo(", ".join(f"{counts[state]} {state}" for state in COLOURS if counts[state]))
    context.exit(FAILED if counts["problem"] else PENDING if counts["warning"] else DONE)


def find(settings: Settings, agent_id: str | None, state_directory: str) -> Agent:
    """The agent, where one answers."""
    state = None if state_directory == "none" else Path(state_directory).absolute()
    try:
        with settings.client(timeout=SECONDS) as client:
            info = client.info()
    except BusError as error:
        return Agent({}, agent_id or machine_id(str(settings.directory.resolve())), state, str(error))
    return Agent(info, info["agent"], state)


def show(finding: Finding) -> None:
    click.echo(f"{click.style(finding.state, COLOURS[finding.state])}: {finding.topic}: {printable(finding.text)}")
    if finding.mend:
        click.echo(f"    {printable(finding.mend)}")

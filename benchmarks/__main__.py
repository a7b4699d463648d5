"""python -m benchmarks"""

import os
import signal

import click

from .scenario import json_option
from .scenarios import SCENARIOS


@click.group()
def main() -> None:
    """Measure nsplane against the least that the kernel lets anybody pay, and against others."""
    if os.geteuid() != 0:
        raise click.ClickException("not root: network namespaces cannot be made")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Nothing is left behind then either.


def run_all(json_: bool) -> None:
    for scenario in SCENARIOS:
        scenario.run(json_, **{option.name or "": option.default for option in scenario.options})


for scenario in SCENARIOS:
    main.add_command(scenario.command())
main.add_command(click.Command("all", callback=run_all, params=[json_option()], help="Every scenario, one after the other."))

if __name__ == "__main__":
    main()

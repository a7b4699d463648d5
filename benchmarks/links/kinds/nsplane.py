"""nsplane: an agent, and a publisher that is a process of its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from nsplane_bus import Client

from ...agent import running_agent
from ..nsplane import publishing
from ..side import Work
from .lab import Links


class Nsplane:
    name = "nsplane"

    @contextlib.contextmanager
    def at_work(self, links: Links, directory: Path) -> Iterator[Work]:
        with running_agent("--no-docker") as agent:
            with Client(agent.bus, "bench") as client:
                client.put([links.lower_item()]).expect()
            with publishing(f"{__package__}.publisher", agent.bus, links.prefix, links.kind, str(links.number)) as publisher:
                yield publisher

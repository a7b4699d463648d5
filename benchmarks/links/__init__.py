"""Many namespaces are wired to bridges, and taken away again; and so are links of each kind."""

import click

from ..scenario import Scenario, count
from .measure import measure
from .report import LinksReport

TEXT = """\
Namespaces by the hundred and thousand are made, each with a veth pair to a bridge in one more, an address, a route and an ARP
entry, and deleted. Measured is from the first item, or message, until the kernel has it all, and from the first deletion until
no link is left in the hub, and no name. Not measured is what the kernel does later on its own: it takes the namespaces apart in
the background, and is waited for between the sides. IPv6 is on, so links that come up talk to their neighbours on the bridge;
who is slow pays more of that. Ports have no link-local address, but those of CNI. The peers get as many namespaces as they can
be waited for, and the floor is measured with that many too. Then links of one kind are made in one namespace, up, each by an
item of its own (a bridge with a port, by two), and deleted: the floor sends many messages at once, and deletes all with one.
VLANs are measured where the kernel has them, without a bar. A thousand bridges are deleted in many seconds by whomever: the
kernel waits for each."""

SCENARIO = Scenario(
    "links",
    "Many namespaces are wired to bridges in one more, and taken away again, and so are many links of one kind.",
    TEXT,
    [
        click.Option(
            ["--namespaces"],
            default=(100, 1_000, 5_000),
            show_default=True,
            multiple=True,
            type=click.IntRange(1, 1 << 16),
            help="How many; several times: each of them.",
        ),
        count("links", 1_000, "How many of each kind.", most=1_000),
        count("rounds", 5, "How often everything is measured."),
        click.Option(["--peers/--no-peers"], default=True, show_default=True, help="Others, those that are installed."),
    ],
    measure,
    LinksReport,
)

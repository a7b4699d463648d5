"""Containers that start, and what waits for them."""

from ..scenario import Scenario, count
from .measure import measure
from .report import StartReport

TEXT = """\
The clock runs from docker's own time stamp on the event of a container's start until the last `configured` event of its veth pair,
address, ARP entry and ten routes has reached a subscriber, a process of its own. The floor hears the same event, inspects the
container once, and makes the same with as few messages as the kernel allows. A round is a container of either side, one after the
other, each when nothing else goes on; the noise is how far the floor's median differs between one six of containers and another.
Not measured is what docker does until the event.

Then containers start whose first and only instruction is a look at their routes and neighbours: some are held by the gate until
they are wired, some have the watcher alone, and some are held and have no label. Told is for how long the gate holds them, as the
forwarder sees it, and how many saw all of it."""

SCENARIO = Scenario(
    "start",
    "Containers start, and what waits for them is made.",
    TEXT,
    [
        count("containers", 30, "Containers of each side.", most=1000),
        count("gated", 100, "Containers that look at their network at once: with the gate, and without.", least=0, most=1000),
    ],
    measure,
    StartReport,
)

"""Containers that start, and what waits for them."""

from ..scenario import Scenario, count
from .measure import measure
from .report import StartReport

TEXT = """\
The clock runs from docker's own time stamp on the event of a container's start until the last `configured` event of its veth pair,
address, ARP entry and ten routes has reached a subscriber, a process of its own. The floor hears the same event, inspects the
container once, and makes the same with as few messages as the kernel allows. A round is a container of either side, one after the
other, each when nothing else goes on; the noise is how far the floor's median differs between one six of containers and another.
Not measured is what docker does until the event."""

SCENARIO = Scenario(
    "start",
    "Containers start, and what waits for them is made.",
    TEXT,
    [count("containers", 30, "Containers of each side.", most=1000)],
    measure,
    StartReport,
)

"""The outside of nsplane: the agent with its ZeroMQ bus, a client for publishers, and the commands.

from nsplane_bus import Client

with Client(source="lab") as client:
    client.put([{"kind": "bridge", "name": "br0", "addresses": ["10.0.0.1/24"]}])
    client.wait("interface/br0")
"""

from nsplane.errors import Closed

from .client import Client, Page, Ticket
from .errors import BusError, Interrupted, InvalidItems, ItemsFailed, TimedOut, Unreachable
from .result import Result
from .subscription import Event, Subscription

__all__ = [
    "BusError",
    "Client",
    "Closed",
    "Event",
    "Interrupted",
    "InvalidItems",
    "ItemsFailed",
    "Page",
    "Result",
    "Subscription",
    "Ticket",
    "TimedOut",
    "Unreachable",
]

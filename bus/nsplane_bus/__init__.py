"""The outside of nsplane: the agent with its ZeroMQ bus, a client for publishers, and the commands.

from nsplane_bus import Client

with Client(source="lab") as client:
    client.put([{"kind": "bridge", "name": "br0", "addresses": ["10.0.0.1/24"]}])
    client.wait("interface/br0")
"""

from .client import Client, Page, Result, Ticket
from .errors import BusError, InvalidItems, ItemsFailed, TimedOut, Unreachable
from .subscription import Event, Subscription

__all__ = [
    "BusError",
    "Client",
    "Event",
    "InvalidItems",
    "ItemsFailed",
    "Page",
    "Result",
    "Subscription",
    "Ticket",
    "TimedOut",
    "Unreachable",
]

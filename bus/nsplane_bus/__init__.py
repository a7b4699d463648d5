"""The outside of nsplane: the agent with its ZeroMQ bus, a client for publishers, and the commands.

from nsplane_bus import Client

with Client(source="lab") as client:
    client.put([{"kind": "bridge", "name": "br0", "addresses": ["10.0.0.1/24"]}])
    client.wait("interface/br0")
"""

from nsplane.errors import Closed

from .client import Client, Page, Ticket
from .errors import BadKey, BusError, Interrupted, InvalidItems, ItemsFailed, TimedOut, Unreachable
from .event import (
    AgentBack,
    AgentGone,
    AgentRestarted,
    AnyEvent,
    Drift,
    Event,
    EventsLost,
    ItemChanged,
    MicroserviceRenamed,
    MicroserviceStarted,
    MicroserviceStopped,
    MicroserviceTookOver,
    NamespaceCreated,
    NamespaceDeleted,
    NamespaceLost,
    TakenBack,
)
from .result import Result
from .subscription import Subscription

__all__ = [
    "AgentBack",
    "AgentGone",
    "AgentRestarted",
    "AnyEvent",
    "BadKey",
    "BusError",
    "Client",
    "Closed",
    "Drift",
    "Event",
    "EventsLost",
    "Interrupted",
    "InvalidItems",
    "ItemChanged",
    "ItemsFailed",
    "MicroserviceRenamed",
    "MicroserviceStarted",
    "MicroserviceStopped",
    "MicroserviceTookOver",
    "NamespaceCreated",
    "NamespaceDeleted",
    "NamespaceLost",
    "Page",
    "Result",
    "Subscription",
    "TakenBack",
    "Ticket",
    "TimedOut",
    "Unreachable",
]

"""The client for asyncio: what the blocking one has, with `await`.

from nsplane_bus.aio import Client

async with Client(source="lab") as client:
    await client.put([{"kind": "bridge", "name": "br0", "addresses": ["10.0.0.1/24"]}])
    await client.wait("interface/br0")
"""

from .client import Client, Ticket
from .subscription import Subscription

__all__ = ["Client", "Subscription", "Ticket"]

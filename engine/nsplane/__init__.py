"""nsplane configures Linux network namespaces: say what is to be there, and it makes the kernel so.

    from nsplane import Engine

    with Engine() as engine:
        engine.put([{"kind": "bridge", "name": "br0", "namespace": {"type": "name", "name": "lab"}, "addresses": ["10.0.0.1/24"]}])

Nothing of the bus is loaded. docs/engine.md has more.
"""

from nsplane.engine import Engine
from nsplane.errors import BadRequest, Closed, InUse, ItemError, Lost
from nsplane.journal import Journal
from nsplane.kernel import KernelError
from nsplane.model.identity import machine_id
from nsplane.model.requests import Request
from nsplane.request.checks import check_frame

__all__ = [
    "BadRequest",
    "Closed",
    "Engine",
    "InUse",
    "ItemError",
    "Journal",
    "KernelError",
    "Lost",
    "Request",
    "check_frame",
    "machine_id",
]

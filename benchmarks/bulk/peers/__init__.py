"""The peers. FRR is none of them: Debian builds it without sharpd, and the time of staticd, which is left, grows with the square of
the routes."""

from .bird import Bird
from .ip_batch import IpBatch
from .netlink import Netlink
from .peer import Peer
from .pyroute2 import Pyroute2

PEERS: tuple[Peer, ...] = (IpBatch(), Pyroute2(), Netlink(), Bird())

"""The peers. FRR is asked by sharpd, which Debian's package does not have: the time of its staticd grows with the square of the
routes."""

from .bird import Bird
from .frr import Frr
from .ip_batch import IpBatch
from .netlink import Netlink
from .peer import Peer
from .pyroute2 import Pyroute2

PEERS: tuple[Peer, ...] = (IpBatch(), Pyroute2(), Netlink(), Bird(), Frr())

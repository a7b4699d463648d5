"""pyroute2 at work, as a program of its own:

    python -m benchmarks.bulk.peers.pyroute2_put routes|routes6|arps LINK ITEMS

Puts the items of publisher.py, one call each, and prints how many seconds that took, from the first call to the end of the last.
"""

import sys
import time

from pyroute2 import IPRoute

from .. import publisher
from .pyroute2 import PROTOCOL

NUD_PERMANENT = 0x80


def main(kind: str, link: str, items: int) -> None:
    with IPRoute() as ip:
        (index,) = ip.link_lookup(ifname=link)
        wishes = [publisher.SIMPLE[kind](number) for number in range(items)]
        began = time.monotonic()
        for wish in wishes:
            if kind == "arps":
                ip.neigh("add", dst=wish["ip"], lladdr=wish["mac"], ifindex=index, state=NUD_PERMANENT, protocol=PROTOCOL)
            else:
                ip.route("add", dst=wish["dst"], oif=index, proto=PROTOCOL)
        print(time.monotonic() - began)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

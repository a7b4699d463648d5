"""The kernel at rest between the sides."""

import time

from ..agent import wait_until
from ..network import NETNS, REST_SECONDS, ip, ip_in

LINK = "rest"
MOST_SECONDS = 120


def rest(prefix: str) -> None:
    """Waits until the kernel has taken apart every namespace that was let go of, so that nobody pays for another's. It does that in
    turn, so all are when one is of which the end was made last; its link is looked at from the other end."""
    here, last = f"{prefix}-rest", f"{prefix}-last"
    ip("netns", "add", here)
    try:
        ip("netns", "add", last)
        ip("-n", here, "link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", last)
        ip("netns", "delete", last)
        wait_until(lambda: all(link["ifname"] != LINK for link in ip_in(NETNS / here, "link", "show")), MOST_SECONDS)
    finally:
        ip("netns", "delete", here)
    time.sleep(REST_SECONDS)

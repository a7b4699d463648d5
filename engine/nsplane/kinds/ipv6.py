"""IPv6 of a link, as far as it is a matter of sysctls."""

from __future__ import annotations

from nsplane.kernel import ADDR_GEN_MODE_EUI64, ADDR_GEN_MODE_NONE, IPV6_MIN_MTU, Link, write_sysctl
from nsplane.world.netns import HAS_IPV6, Netns


def turn_ipv6(netns: Netns, link: Link, on: bool) -> None:
    """Turns IPv6 on or off on a link. KernelError: EROFS where the agent may not."""
    write_sysctl(netns.fd, f"ipv6/conf/{link.name}/disable_ipv6", "0" if on else "1")


def lacks_link_local(link: Link) -> bool:
    """May it be that it has no IPv6 link-local address for it was a port?"""
    return HAS_IPV6 and link.mtu >= IPV6_MIN_MTU and link.addr_gen_mode in (ADDR_GEN_MODE_NONE, -1)


def make_link_local(netns: Netns, link: Link) -> None:
    """Gives a link that was a port its IPv6 link-local address. (Set by rtnetlink, the mode matters when the link goes up again.)
    KernelError: EROFS where the agent may not."""
    write_sysctl(netns.fd, f"ipv6/conf/{link.name}/addr_gen_mode", str(ADDR_GEN_MODE_EUI64))

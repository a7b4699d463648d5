"""What was refused for want of an IPv6 address is tried again when that comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, run
from .wishes import arp, bridge, by_name, route

Settle = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("off", [False, True], ids=["IPv6 on", "IPv6 off, as docker has it"])
def test_an_ipv6_address_that_comes_after_what_needs_it(engine: Engine, lab: Lab, settle: Settle, off: bool) -> None:
    """Many rounds: whether the kernel reports the address before the operation has ended is a matter of luck."""
    red = by_name(lab.netns("red"))
    if off:
        settings = "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1"
        run(f"nsenter --net=/run/netns/{red['name']} sysctl -qw {settings}")
    engine.put([route("b", "fd09::/64", gateway="fd01::9"), *([route("b", "fd08::/64"), arp("b", "fd01::9")] if off else [])])
    for _ in range(25):
        engine.put([bridge("b", red, addresses=["10.7.0.1/24"])], timeout=5)
        settle("interface/b")
        settle("route/b/fd09::/64", "pending")
        if off:
            settle("route/b/fd08::/64", "retrying")
            settle("arp/b/fd01::9", "retrying")
        engine.put([bridge("b", red, addresses=["10.7.0.1/24", "fd01::1/64"])], timeout=5)
        settle("route/b/fd09::/64")
        if off:
            settle("route/b/fd08::/64")
            settle("arp/b/fd01::9")
        engine.delete(["interface/b"], timeout=5)

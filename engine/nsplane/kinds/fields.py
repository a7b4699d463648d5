"""The fields of links that are compared one by one."""

from __future__ import annotations

from operator import attrgetter

from nsplane.kernel import LIMITS, Link, LinkChange

FIELDS = ("name", "up", "mtu", "mac", "master", "alias", "addr_gen_mode", *LIMITS)
"""What is looked after on a link."""
_fields_of = attrgetter(*FIELDS)


def differences(desired: LinkChange, link: Link) -> LinkChange:
    """What of `desired` the link does not have, or will not have when the rest is changed."""
    change = LinkChange(index=link.index)
    for name, wanted, has in zip(FIELDS, _fields_of(desired), _fields_of(link), strict=True):
        if wanted is not None and wanted != has:
            setattr(change, name, wanted)
    if change.gso_max_size is not None:  # the kernel has the one of IPv4 follow it
        change.gso_ipv4_max_size = desired.gso_ipv4_max_size
    if change.gro_max_size is not None:
        change.gro_ipv4_max_size = desired.gro_ipv4_max_size
    return change

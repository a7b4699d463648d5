"""Values for tests of the fields that kinds of links declare in their tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from nsplane.kernel.attributes import table_of
from nsplane.kernel.codecs import (
    NLA_F_NESTED,
    TEXT,
    U8,
    U32,
    Codec,
    Host,
    HostOf,
    Ifindex,
    ListOf,
    Mac,
    PortIndex,
    Ports,
    join,
    split,
)
from nsplane.kinds.sit import Prefix
from nsplane.model.rules import GIVEN, wants_of

from .rtnetlink import RTM_DELLINKPROP, RTM_NEWLINKPROP, link_info, set_attributes

LOWERS = ("low", "other", "third")
"""The logical names of lower links."""
LOWER = LOWERS[0]
OTHERS: dict[str, Any] = {
    "ad_actor_system": "02:00:00:00:00:07",
    "arp_ip_target": ("10.0.0.9", "10.0.0.8"),
    "egress_qos_map": ("5:3", "9:7"),
    "ethertype": "ipv4",
    "ingress_qos_map": ("1:6", "4:2"),
    "ns_ip6_target": ("fd00::9", "fd00::8"),
    "sixrd_prefix": "2001:db8::/32",
    "sixrd_relay_prefix": "10.0.0.0/8",
}
"""Values of fields that their types do not give away."""
BESIDE: dict[str, dict[str, Any]] = {
    "downdelay": {"miimon": 4},
    "ignore_df": {"pmtudisc": False},
    "peer_notify_delay": {"miimon": 4},
    "primary": {"mode": "active-backup"},
    "updelay": {"miimon": 4},
    **{field: {"remote": "fd00::9"} for field in ("flowlabel", "udp6zerocsumrx", "udp6zerocsumtx")},
}
"""What a field needs beside itself, and does not say by its rules: some are for IPv6 only."""
SINCE = {"bclim": (6, 4), "backup_nhid": (6, 6)}
"""Linux versions. An older kernel takes them without a word, and leaves them out as a newer one does a default."""


LIMITS = {
    "txqueuelen": 13,
    "gso_max_segs": 40,
    "gso_max_size": 41,
    "gro_max_size": 58,
    "gso_ipv4_max_size": 63,
    "gro_ipv4_max_size": 64,
}
"""The attributes of fields that all links have, of linux/if_link.h."""
ADDR_GEN_MODES = ("eui64", "none", "stable_secret", "random")
IFLA_AF_SPEC, AF_INET6, IFLA_INET6_ADDR_GEN_MODE, IFLA_PROP_LIST, IFLA_ALT_IFNAME = 26, 10, 8, 52, 53


def shared_field(attributes: Mapping[int, bytes], field: str) -> Any:
    """What the kernel tells of a field that all links have."""
    if field in LIMITS:
        return U32.unpack(attributes[LIMITS[field]])
    if field == "altnames":
        return {TEXT.unpack(payload) for _, payload in split(attributes.get(IFLA_PROP_LIST, b""))}
    of_ipv6 = dict(split(dict(split(attributes[IFLA_AF_SPEC]))[AF_INET6]))
    return ADDR_GEN_MODES[U8.unpack(of_ipv6[IFLA_INET6_ADDR_GEN_MODE])]


def set_shared_field(link: str, field: str, value: Any) -> None:
    """Gives it another value, as somebody else would."""
    if field in LIMITS:
        set_attributes(link, (LIMITS[field], U32.pack(value)))
    elif field == "altnames":
        has = shared_field(link_info(link).attributes, field)
        for message, names in ((RTM_DELLINKPROP, has - set(value)), (RTM_NEWLINKPROP, set(value) - has)):
            for name in names:
                set_attributes(link, (IFLA_PROP_LIST | NLA_F_NESTED, join([(IFLA_ALT_IFNAME, TEXT.pack(name))])), message=message)
    else:
        mode = join([(IFLA_INET6_ADDR_GEN_MODE, U8.pack(ADDR_GEN_MODES.index(value)))])
        set_attributes(link, (IFLA_AF_SPEC | NLA_F_NESTED, join([(AF_INET6 | NLA_F_NESTED, mode)])))


def is_older(field: str) -> bool:
    """Is this kernel from before the field?"""
    running = tuple(int(number) for number in os.uname().release.split(".")[:2])
    return running < SINCE.get(field, (0, 0))


def another(struct: type[msgspec.Struct], field: str) -> Any:
    """Another value than the field's default."""
    (row,) = (one for one in table_of(struct).fields if one.name == field)
    about = next(one for one in msgspec.structs.fields(struct) if one.name == field)
    default: Any = about.default
    literals = [value for part in (about.type, *get_args(about.type)) if get_origin(part) is Literal for value in get_args(part)]
    if field in OTHERS:
        return OTHERS[field]
    match row.codec:
        case Host(multicast=True):
            return "239.1.1.1"
        case HostOf(size=16):
            return "fd00::9"
        case Host():
            return "10.0.0.9"
        case Ifindex() | PortIndex():
            return LOWER
        case Mac():
            return "01:80:c2:00:00:0e"
        case Ports():
            return (2000, 3000)
        case ListOf():
            return ("02:00:00:00:00:02", "02:00:00:00:00:01")
    if isinstance(default, bool):
        return not default
    if others := [value for value in literals if value not in (default, "inherit")]:
        return others[0]
    bounds = [extra for part in (about.type, *get_args(about.type)) for extra in getattr(part, "__metadata__", ())]
    ends = [bound.le or (bound.lt or 0) - 1 for bound in bounds if isinstance(bound, Meta) and (bound.le or bound.lt)]
    most = min(ends, default=1 << 16)
    number = default if isinstance(default, int) else 0
    return next(one for one in (number + 8, number + 1, number - 1) if one <= most)


def a_third(codec: Codec[Any]) -> Any:
    """A value that neither a test's item nor `another` has."""
    match codec:
        case HostOf(size=16):
            return "fd00::77"
        case Host():
            return "10.0.0.77"
        case Mac():
            return "02:00:00:00:00:77"
        case Prefix(usual=usual):
            return "2001:db9::/32" if ":" in usual else "172.16.0.0/12"
    return 17


def beside(struct: type[msgspec.Struct], field: str) -> dict[str, Any]:
    """What a field wants beside itself."""
    wanted: dict[str, Any] = {}
    for name, _, others in wants_of(struct):
        if name == field:
            given = {other: OTHERS.get(other, LOWER) if value is GIVEN else value for other, value in others.items()}
            wanted |= {other: value for other, value in given.items() if other != "remote"}
    return wanted | (BESIDE.get(field, {}) if "hoplimit" not in struct.__struct_fields__ else {})

"""Values for tests of the fields that kinds of links declare in their tables."""

from __future__ import annotations

import os
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from nsplane.kernel.attributes import table_of
from nsplane.kernel.codecs import Host, Ifindex, ListOf, Mac, Ports
from nsplane.model.rules import GIVEN, wants_of

LOWER = "the lower link"
IPV6 = {"flowlabel": {"remote": "fd00::9"}}
"""What is for IPv6 only."""
SINCE = {"bclim": (6, 4), "backup_nhid": (6, 6)}
"""Linux versions. An older kernel takes them without a word, and leaves them out as a newer one does a default."""


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
    match row.codec:
        case Host(multicast=True):
            return "239.1.1.1"
        case Host():
            return "10.0.0.9"
        case Ifindex():
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
    most = min((bound.le for bound in bounds if isinstance(bound, Meta) and bound.le is not None), default=1 << 16)
    number = default if isinstance(default, int) else 0
    return number + 8 if number + 8 <= most else number + 1


def beside(struct: type[msgspec.Struct], field: str) -> dict[str, Any]:
    """What a field wants beside itself."""
    wanted: dict[str, Any] = {}
    for name, _, others in wants_of(struct):
        if name == field:
            wanted |= {other: LOWER if value is GIVEN else value for other, value in others.items()}
    return wanted | IPV6.get(field, {})

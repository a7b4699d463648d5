"""The addresses of links, as items have them: texts, or maps in the words of `ip address`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel import (
    FOREVER,
    IFA_F_HOMEADDRESS,
    IFA_F_MANAGETEMPADDR,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    METRIC_OF_IPV6,
    PROTOCOL,
    Address,
    AddressIdentity,
    is_far,
)
from nsplane.model.formats import looks_like, says

_TEXT = re.compile(r"([0-9a-fA-F.:]+)(?:/(0|[1-9][0-9]{0,2}))?\Z")
_LOOPBACK6 = bytes(15) + b"\1"

SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254}
"""RT_SCOPE_*, as `ip` calls them."""
_GLOBAL, _, _LINK, _HOST = SCOPES.values()
PROTOS = {"kernel_lo": 1, "kernel_ra": 2, "kernel_ll": 3}
"""IFAPROT_*, as `ip` calls them."""
_LABEL = re.compile(r"[^\x00-\x20\x7f-\x9f]+\Z")
LABEL_MAX = 15
_LIFETIMES = 0xFFFFFFFF
"""The first number of seconds that is none: for ever."""

_V6: Mapping[str, Any] = {"properties": {"address": {"pattern": ":"}}}
_NULL: Mapping[str, Any] = {"type": "null"}
_NO: Mapping[str, Any] = {"enum": [False, None]}


def _only(*fields: str, not_given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"properties": dict.fromkeys(fields, not_given)}


Forever = Literal["forever"]


class LinkAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of `addresses` of which there is more to say."""

    schema_rules: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {
            "if": _V6,
            "then": _only("broadcast", "label", "scope", not_given=_NULL),
            "else": _only("dad", "home", "mngtmpaddr", not_given=_NO),
        },
        {"if": _only("peer", not_given=_NULL), "then": {"properties": {"address": {"$ref": "#/$defs/interface_address"}}}},
        {
            "if": {"properties": {"deprecated": {"const": True}}, "required": ["deprecated"]},
            "then": {"properties": {"preferred_lft": {"enum": [0, None]}}},
        },
    )

    address: Annotated[
        str, looks_like("own_address"), says("with its prefix length; without one where `peer` has it, as `ip` writes both")
    ]
    peer: (
        Annotated[str, looks_like("own_address"), says("the other end's; of IPv4 the network is the peer's, of IPv6 its own")]
        | None
    ) = None
    broadcast: (
        Annotated[str, looks_like("broadcast"), says("of IPv4; `+`: the last of the network, `-`: the first; none where left out")]
        | None
    ) = None
    label: (
        Annotated[
            str, looks_like("label_of_address"), says("of IPv4, `eth0:1`: the host name or, behind a colon, more; at most 15 bytes")
        ]
        | None
    ) = None
    scope: (
        Annotated[
            Literal["global", "site", "link", "host"] | Annotated[int, Meta(ge=0, le=254)],
            says("of IPv4, where the address is valid: a name or a number; `host` of 127.0.0.0/8, else `global` where left out"),
        ]
        | None
    ) = None
    metric: Annotated[int, Meta(ge=0, lt=1 << 32), says("of the route to its network; 0: what the kernel takes")] = 0
    noprefixroute: Annotated[bool, says("there is no route to its network")] = False
    dad: Annotated[bool, says("of IPv6: it is asked first whether another host has it; pending meanwhile")] = False
    valid_lft: Annotated[
        Annotated[int, Meta(ge=1, lt=_LIFETIMES)] | Forever, says("seconds until it goes, 1 or more, or `forever`")
    ] = "forever"
    preferred_lft: (
        Annotated[
            Annotated[int, Meta(ge=0, lt=_LIFETIMES)] | Forever,
            says("seconds until no new connection takes it as a source, or `forever`; `valid_lft` where left out"),
        ]
        | None
    ) = None
    deprecated: Annotated[bool, says("none takes it from the start: `preferred_lft` 0")] = False
    home: Annotated[bool, says("of IPv6: the home address of Mobile IPv6")] = False
    mngtmpaddr: Annotated[bool, says("of IPv6, of 64 bits: the kernel makes temporary addresses of it")] = False
    proto: (
        Annotated[
            Literal["kernel_lo", "kernel_ra", "kernel_ll"] | Annotated[int, Meta(ge=1, le=255)],
            says("who made it, a name or a number; nsplane's own, 110, where left out"),
        ]
        | None
    ) = None


class Lifetime(NamedTuple):
    """Seconds from when an address is given."""

    valid: float = FOREVER
    preferred: float = FOREVER


@lru_cache(maxsize=1024)  # those of a request's items are parsed to be checked, and again when they are wanted
def parse_addresses(addresses: tuple[str | LinkAddress, ...]) -> tuple[Address, ...]:
    """Addresses with their prefix length, in order: the first of a subnet is its primary one. They live for ever: see
    `lifetimes_of`. ItemError names the element and its field."""
    parsed: list[Address] = []
    seen: set[object] = set()
    has_maps = False
    for i, given in enumerate(addresses):
        field = f"addresses[{i}]"
        if isinstance(given, str):
            address = _plain(given, field)
        else:
            address, has_maps = _from_map(given, field), True
        # Of IPv6 a link has each address once, with one prefix length.
        what = address.packed if address.family == AF_INET6 else address.identity
        if what in seen:
            raise ItemError(field, f"{_shown(given, address)} is in the list twice")
        seen.add(what)
        parsed.append(address)
    if has_maps:
        _check_scopes(parsed)
    return tuple(parsed)


def _check_scopes(addresses: Iterable[Address]) -> None:
    """The kernel takes one scope in a subnet."""
    scopes: dict[object, tuple[int, int]] = {}
    for i, address in enumerate(addresses):
        if address.family == AF_INET:
            scope, first = scopes.setdefault((address.network, address.prefix_len), (address.scope, i))
            if scope != address.scope:
                text = f"of the addresses of a subnet there is one, and addresses[{first}] has another"
                raise ItemError(f"addresses[{i}].scope", text)


def lifetimes_of(addresses: tuple[str | LinkAddress, ...]) -> dict[AddressIdentity, Lifetime]:
    """Those that end, or are over from the start, of addresses that were checked."""
    given = [one for one in addresses if isinstance(one, LinkAddress)]
    ends = [(one, _lifetime(one, "")) for one in given]
    found = [(one, lifetime) for one, lifetime in ends if lifetime != Lifetime()]
    return {parse_addresses((one,))[0].identity: lifetime for one, lifetime in found}


def check_labels(addresses: tuple[str | LinkAddress, ...], link_name: str) -> None:
    """ItemError where a label is not the link's name, or that with more behind a colon: old tools take it for a link of its own."""
    for i, one in enumerate(addresses):
        label = None if isinstance(one, str) else one.label
        if label is not None and label != link_name and not label.startswith(f"{link_name}:"):
            raise ItemError(f"addresses[{i}].label", f"{label!r} does not begin with the link's name: {link_name} or {link_name}:1")


def _shown(given: str | LinkAddress, address: Address) -> str:
    if address.family == AF_INET6:
        return inet_ntop(AF_INET6, address.packed)
    return given if isinstance(given, str) else str(address)


def default_scope(family: int, packed: bytes) -> int:
    """What the kernel, of IPv6, or its tools, of IPv4, give an address for a scope."""
    if family == AF_INET:
        return _HOST if packed[0] == 127 else _GLOBAL
    is_link_local = packed[0] == 0xFE and packed[1] >> 6 == 2
    return _HOST if packed == _LOOPBACK6 else _LINK if is_link_local else _GLOBAL


def _plain(text: str, field: str) -> Address:
    family, packed, prefix_len = _parse(text, field)
    if prefix_len is None:
        raise ItemError(field, f"{text[:48]!r} is not an address with a prefix length such as 10.0.0.1/24")
    flags = IFA_F_NODAD if family == AF_INET6 else 0
    return Address(family, packed, prefix_len, flags, PROTOCOL, default_scope(family, packed))


def _parse(text: str, field: str) -> tuple[int, bytes, int | None]:
    """The family, the address, and its prefix length where that is given."""
    matched = _TEXT.match(text)
    host = matched[1] if matched else ""
    family = AF_INET6 if ":" in host else AF_INET
    try:
        packed = inet_pton(family, host)
    except OSError:
        packed = b""
    prefix_len = int(matched[2]) if matched and matched[2] is not None else None
    if not packed or (prefix_len is not None and prefix_len > 8 * len(packed)):
        raise ItemError(field, f"{text[:48]!r} is not an address with a prefix length such as 10.0.0.1/24")
    is_multicast = packed[0] >> 4 == 14 if family == AF_INET else packed[0] == 0xFF
    if not any(packed) or is_multicast:
        raise ItemError(field, f"{text[:48]!r} is no host's address")
    return family, packed, prefix_len


def _from_map(given: LinkAddress, field: str) -> Address:
    family, packed, prefix_len = _parse(given.address, f"{field}.address")
    peer = b""
    if given.peer is not None:
        peer_family, peer, peer_len = _parse(given.peer, f"{field}.peer")
        if peer_family != family:
            raise ItemError(f"{field}.peer", f"{given.peer!r} is not of the family of {given.address!r}")
        if peer == packed:
            raise ItemError(f"{field}.peer", "the other end has another address")
        if None not in (prefix_len, peer_len) and prefix_len != peer_len:
            raise ItemError(f"{field}.peer", f"has {peer_len} bits, and the address {prefix_len}: one prefix length is enough")
        prefix_len = peer_len if prefix_len is None else prefix_len
    if prefix_len is None:
        raise ItemError(f"{field}.address", f"{given.address[:48]!r} is not an address with a prefix length such as 10.0.0.1/24")
    _check_family(given, family, prefix_len, field)
    _lifetime(given, field)
    is_ipv6 = family == AF_INET6
    flags = (
        (IFA_F_NODAD if is_ipv6 and not given.dad else 0)
        | (IFA_F_NOPREFIXROUTE if given.noprefixroute else 0)
        | (IFA_F_HOMEADDRESS if given.home else 0)
        | (IFA_F_MANAGETEMPADDR if given.mngtmpaddr else 0)
    )
    scope = default_scope(family, packed) if given.scope is None else _number(given.scope, SCOPES)
    proto = PROTOCOL if given.proto is None else _number(given.proto, PROTOS)
    return Address(
        family,
        packed,
        prefix_len,
        flags,
        proto,
        scope,
        peer if peer and is_far(packed, peer, prefix_len) else b"",
        peer,
        0 if is_ipv6 and given.metric == METRIC_OF_IPV6 else given.metric,
        _broadcast(given.broadcast, peer or packed, prefix_len, f"{field}.broadcast"),
        given.label or "",
        claimed=True,
    )


def _check_family(given: LinkAddress, family: int, prefix_len: int, field: str) -> None:
    if family == AF_INET6:
        wrong = next((name for name in ("broadcast", "label", "scope") if getattr(given, name) is not None), None)
    else:
        wrong = next((name for name in ("dad", "home", "mngtmpaddr") if getattr(given, name)), None)
    if wrong is not None:
        raise ItemError(f"{field}.{wrong}", f"an IPv{6 if family == AF_INET6 else 4} address has none")
    if given.mngtmpaddr and prefix_len != 64:
        raise ItemError(f"{field}.mngtmpaddr", "temporary addresses are made of 64 bits")
    label = given.label
    if label is not None and (not _LABEL.match(label) or len(label.encode(errors="surrogatepass")) > LABEL_MAX):
        raise ItemError(f"{field}.label", f"{label[:48]!r} is not a label of 1 to {LABEL_MAX} bytes without spaces")


def _lifetime(given: LinkAddress, field: str) -> Lifetime:
    valid = _seconds(given.valid_lft)
    if given.deprecated:
        if given.preferred_lft not in (None, 0):
            raise ItemError(f"{field}.deprecated", "cannot be given together with preferred_lft")
        return Lifetime(valid, 0)
    preferred = valid if given.preferred_lft is None else _seconds(given.preferred_lft)
    if preferred > valid:
        raise ItemError(f"{field}.preferred_lft", f"{given.preferred_lft} is more than the valid_lft, {given.valid_lft}")
    if 0 < preferred < valid == FOREVER and ":" not in given.address:
        raise ItemError(f"{field}.preferred_lft", "of an IPv4 address the kernel counts it where there is a valid_lft too")
    return Lifetime(valid, preferred)


def _seconds(given: int | str) -> float:
    return FOREVER if isinstance(given, str) else given


def _number(given: int | str, words: Mapping[str, int]) -> int:
    return words[given] if isinstance(given, str) else given


def _broadcast(given: str | None, packed: bytes, prefix_len: int, field: str) -> bytes:
    """As `ip` takes it: an address, or `+` and `-` for the network's with all other bits set, or not."""
    if given is None:
        return b""
    if given not in ("+", "-"):
        try:
            return inet_pton(AF_INET, given)
        except OSError:
            raise ItemError(field, f"{given[:48]!r} is not an IPv4 address, nor + or -") from None
    if prefix_len > 30:
        raise ItemError(field, f"a network of {prefix_len} bits has none")
    hosts = (1 << (32 - prefix_len)) - 1
    number = int.from_bytes(packed)
    return (number | hosts if given == "+" else number & ~hosts).to_bytes(4)

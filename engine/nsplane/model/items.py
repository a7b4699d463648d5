"""What a user can ask for: interfaces, and where they are to be.

Routes and ARP entries are items too; their fields are in csrc/wire/schema.c, the one decoder of what is sent in bulk.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from socket import AF_INET, AF_INET6
from typing import Annotated, Any, ClassVar

import msgspec

from nsplane.errors import ItemError
from nsplane.kernel import IFA_F_NODAD, PROTOCOL, Address
from nsplane.model.formats import looks_like, says
from nsplane.model.rules import in_place_of


class ByName(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="name"):
    """/run/netns/NAME; made when it does not exist yet."""

    name: Annotated[str, looks_like("netns_name"), says("`/run/netns/NAME`, made where it does not exist, with `lo` up")]


class ByPid(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="pid"):
    """The namespace of a process, bound when the item is put."""

    pid: Annotated[int, looks_like("pid"), says("the namespace of a process, bound when the item is put")]


class ByFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="file"):
    """An nsfs path: of a process or thread under /proc (bound like a PID), or a bind mount."""

    path: Annotated[
        str,
        looks_like("path"),
        says("an nsfs path: a bind mount or, bound when the item is put, `/proc/PID/ns/net`, `/proc/PID/task/TID/ns/net`"),
    ]


class ByMicroservice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="microservice"):
    """The container or process that runs the microservice with this label."""

    microservice: Annotated[str, looks_like("label"), says("that of the container or process which runs under this label")]


Namespace = ByName | ByPid | ByFile | ByMicroservice


class Interface(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="kind"):
    """What all interfaces have. `name` is the logical name, `host_name` the kernel's (by default the same)."""

    schema_rules: ClassVar[tuple[Mapping[str, Any], ...]] = (in_place_of("host_name", "name", "link_name"),)
    """What the JSON Schema has of a kind besides its fields."""

    name: Annotated[str, looks_like("name"), says("the logical name, and the key: `interface/NAME`")]
    namespace: (
        Annotated[Namespace, looks_like("namespace"), says("where the interface is to be; the agent's own where left out")] | None
    ) = None
    host_name: (
        Annotated[
            str,
            looks_like("link_name"),
            says("the kernel's name of the link, at most 15 bytes; the logical name where left out"),
        ]
        | None
    ) = None


# The fields that several kinds have. What one of them says otherwise stands before the rest: Annotated[Mtu, says(...)].
Addresses = Annotated[
    tuple[Annotated[str, looks_like("interface_address")], ...],
    msgspec.Meta(extra_json_schema={"uniqueItems": True}),
    says(
        "addresses with prefix length, `10.0.0.1/24` or `fd00::1/64`; the first of a subnet is its primary one, of IPv6 the source"
    ),
]
Mac = Annotated[
    str, looks_like("own_mac"), says("six bytes, `02:00:00:00:00:01`; derived from agent and logical name where left out")
]
Mtu = Annotated[int, looks_like("mtu"), says("68 to 65536; 1500 where left out")]
Enabled = Annotated[bool, says("whether the link is up; what is on one that is not is pending")]
Master = Annotated[
    str,
    looks_like("name"),
    says("the logical name of the bridge that it is a port of, which has to be in the same namespace"),
]
Override = Annotated[bool, says("a link of somebody else that has the host name is renamed, and gets its name back at the end")]


@dataclass(slots=True, frozen=True)
class Settings:
    """An interface item's fields, checked and ready for the kernel; None is left as the kernel has it."""

    host_name: str
    addresses: tuple[Address, ...] | None = None
    mac: bytes | None = None
    mtu: int | None = None
    up: bool | None = None
    master: str | None = None
    override: bool = False
    link_only: bool = False


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}\Z")
_PREFIXED = re.compile(r"[^/]+/(0|[1-9][0-9]{0,2})\Z")
MAX_LABEL = 255
MAX_PATH = 400
LINK_NAME_MAX = 15
ALTNAME_MAX = 127


def check_name(name: str, field: str = "name") -> str:
    """A logical name: 1 to 255 bytes without '/', '@', ';', spaces and control characters."""
    if not 1 <= len(name.encode(errors="surrogatepass")) <= MAX_LABEL or set("/@; ") & set(name) or _CONTROL.search(name):
        raise ItemError(
            field, f"{name[:48]!r} is not a name of 1 to 255 bytes without '/', '@', ';', spaces and control characters"
        )
    return name


def check_host_name(name: str, field: str = "host_name", most: int = LINK_NAME_MAX) -> str:
    """A name that the kernel takes for a link (dev_valid_name): 1 to `most` bytes, not '.' or '..', without '/', ':', space and '%'
    (a number to it); 'all' and 'default' are others' under /proc/sys. Its spaces are those of Latin-1: the byte A0 is one."""
    encoded = name.encode(errors="surrogatepass")
    if len(encoded) > most:
        raise ItemError(field, f"{name[:48]!r} has {len(encoded)} bytes: a link's name has at most {most}")
    if not name or name in (".", "..", "all", "default") or set(b"/: %") & set(encoded) or _CONTROL.search(name):
        raise ItemError(field, f"{name!r} is not a name that the kernel takes for a link")
    if 0xA0 in encoded:
        raise ItemError(field, f"{name!r} is not a name that the kernel takes for a link: the byte A0 is a space to it")
    return name


def check_master(name: str, master: str | None) -> None:
    if master is not None and check_name(master, "master") == name:
        raise ItemError("master", "a link cannot be its own master")


def check_namespace(namespace: Namespace | None) -> None:
    """The same rules as for routes and ARP entries (csrc/wire/reference.c)."""
    match namespace:
        case ByName(name):
            size = len(name.encode(errors="surrogatepass"))
            if not 1 <= size <= MAX_LABEL or name in (".", "..") or "/" in name or _CONTROL.search(name):
                raise ItemError("namespace.name", f"{name[:48]!r} is not a name that can stand under /run/netns")
        case ByPid(pid):
            if not 1 <= pid <= 2**31 - 1:
                raise ItemError("namespace.pid", "wants a process number")
        case ByFile(path):
            if not path.startswith("/") or len(path.encode(errors="surrogatepass")) > MAX_PATH or _CONTROL.search(path):
                raise ItemError(
                    "namespace.path",
                    f"{path[:48]!r} is not an absolute path of at most {MAX_PATH} bytes without control characters",
                )
        case ByMicroservice(label):
            check_label(label, "namespace.microservice")
        case None:
            pass


def check_label(label: str, field: str) -> str:
    """A microservice's label: 1 to 255 bytes without control characters."""
    if not 1 <= len(label.encode(errors="surrogatepass")) <= MAX_LABEL or _CONTROL.search(label):
        raise ItemError(field, f"{label[:48]!r} is not a label of 1 to 255 bytes without control characters")
    return label


def parse_mac(mac: str | None) -> bytes | None:
    """Six bytes, of one interface (not multicast, not all zero)."""
    if mac is None:
        return None
    if not _MAC.match(mac):
        raise ItemError("mac", f"{mac[:48]!r} is not a MAC of six bytes such as 02:00:00:00:00:01")
    packed = bytes.fromhex(mac.replace(mac[2], ""))
    if packed[0] & 1 or packed == bytes(6):
        raise ItemError("mac", f"{mac!r} is {'a multicast' if packed[0] & 1 else 'no'} address of an interface")
    return packed


def parse_mtu(mtu: int | None) -> int | None:
    if mtu is not None and not 68 <= mtu <= 65536:
        raise ItemError("mtu", f"{mtu} is not 68 to 65536")
    return mtu


def parse_addresses(addresses: tuple[str, ...]) -> tuple[Address, ...]:
    """Addresses with their prefix length, in order: the first of a subnet is its primary one."""
    parsed: list[Address] = []
    seen: set[object] = set()
    for i, text in enumerate(addresses):
        field = f"addresses[{i}]"
        try:
            if not _PREFIXED.match(text):
                raise ValueError(text)
            found = ipaddress.ip_interface(text)
        except ValueError:
            raise ItemError(field, f"{text[:48]!r} is not an address with a prefix length such as 10.0.0.1/24") from None
        if found.ip.is_unspecified or found.ip.is_multicast or "%" in text:
            raise ItemError(field, f"{text[:48]!r} is no host's address")
        v6 = found.version == 6
        address = Address(
            AF_INET6 if v6 else AF_INET,
            found.ip.packed,
            found.network.prefixlen,
            flags=IFA_F_NODAD if v6 else 0,
            proto=PROTOCOL,
            scope=254 if found.ip.is_loopback else 253 if v6 and found.ip.is_link_local else 0,
        )
        what = address.packed if v6 else address.identity  # of IPv6 a link has each address once, with one prefix length
        if what in seen:
            raise ItemError(field, f"{found.ip if v6 else text} is in the list twice")
        seen.add(what)
        parsed.append(address)
    return tuple(parsed)


def namespace_text(namespace: Namespace | None) -> str:
    """How a namespace is called in messages."""
    match namespace:
        case ByName(name):
            return f"namespace {name}"
        case ByPid(pid):
            return f"the namespace of process {pid}"
        case ByFile(path):
            return path
        case ByMicroservice(label):
            return f"microservice {label}"
        case None:
            return "the agent's namespace"


def interface_key(name: str) -> str:
    return f"interface/{name}"


def is_interface_key(key: str) -> bool:
    """Is this the key of an interface item that could be?"""
    kind, _, name = key.partition("/")
    try:
        check_name(name)
    except ItemError:
        return False
    return kind == "interface"

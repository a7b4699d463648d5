"""What a user can ask for: interfaces, and where they are to be.

Routes and ARP entries are items too; their fields are in csrc/wire/schema.c, the one decoder of what is sent in bulk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec

from nsplane.errors import ItemError
from nsplane.model.addresses import LinkAddress
from nsplane.model.features import Setting
from nsplane.model.formats import looks_like, says
from nsplane.model.ports import Port
from nsplane.model.rules import in_place_of
from nsplane.model.vlans import VlanList

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_LABEL = 255
MAX_PATH = 400
LINK_NAME_MAX = 15
ALTNAME_MAX = 127


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


Limit = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
AddrGenMode = Literal["eui64", "none", "stable_secret", "random"]
"""The kernel's numbers of them are their places."""
Namespace = ByName | ByPid | ByFile | ByMicroservice
Birth = Namespace | Literal["agent"]
"""A namespace in which a link is made that is to be in another one; `agent` is that of the agent, for which there is no map."""


class Interface(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="kind"):
    """What all interfaces have. `name` is the logical name, `host_name` the kernel's (by default the same)."""

    schema_rules: ClassVar[tuple[Mapping[str, Any], ...]] = (in_place_of("host_name", "name", "link_name"),)
    """What the JSON Schema has of a kind besides its fields."""
    least_mtu: ClassVar[int] = 68
    has_ports: ClassVar[bool] = True
    """Is a link that names it as master a port, which nobody reaches by an address of its own?"""
    has_fixed_mtu: ClassVar[bool] = False
    """Has its link to be down for another MTU, so that it is made anew instead?"""

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

    features: (
        Annotated[
            dict[str, Setting],
            looks_like("features"),
            says("`ethtool -k`'s, on or off, of which those that are not named stay as they are: [features](#features)"),
        ]
        | None
    ) = None
    altnames: (
        Annotated[
            tuple[Annotated[str, looks_like("altname")], ...],
            msgspec.Meta(extra_json_schema={"uniqueItems": True}),
            says("other names of the link, and no others; left alone where left out"),
        ]
        | None
    ) = None
    txqueuelen: Annotated[Limit, says("how many packets may wait to be sent")] | None = None
    gso_max_size: (
        Annotated[Limit, says("how large a packet may be that is cut up last; of IPv4 too, where that is not given")] | None
    ) = None
    gso_max_segs: Annotated[Limit, says("into how many segments one is cut at most")] | None = None
    gro_max_size: (
        Annotated[Limit, says("how large one may become that is put together; of IPv4 too, where that is not given")] | None
    ) = None
    gso_ipv4_max_size: Annotated[Limit, says("of IPv4; since Linux 6.3")] | None = None
    gro_ipv4_max_size: Annotated[Limit, says("of IPv4; since Linux 6.3")] | None = None
    addrgenmode: (
        Annotated[
            AddrGenMode, says("`eui64`, `none`, `stable_secret`, `random`: of what its own IPv6 addresses are made when it goes up")
        ]
        | None
    ) = None

    @property
    def link_name(self) -> str:
        """What its link is called in the kernel."""
        return self.host_name or self.name

    # What a kind of interface has no field for. None is left as the kernel has it.

    @property
    def addresses(self) -> tuple[str | LinkAddress, ...] | None:
        return None

    @property
    def mac(self) -> str | None:
        return None

    @property
    def has_own_mac(self) -> bool:
        """Has its link a MAC of its own, and not that of another one?"""
        return True

    @property
    def mtu(self) -> int | None:
        return None

    @property
    def enabled(self) -> bool | None:
        return None

    @property
    def master(self) -> str | None:
        return None

    @property
    def port(self) -> Port | None:
        return None

    @property
    def vlans(self) -> VlanList | None:
        return None

    @property
    def birth(self) -> Birth | None:
        return None

    @property
    def override(self) -> bool:
        return False

    @property
    def adopt(self) -> bool:
        return False

    @property
    def link_only(self) -> bool:
        return False

    @property
    def survive(self) -> bool:
        return False

    @property
    def survive_seconds(self) -> float:
        return 0

    def check_link_name(self, most: int = LINK_NAME_MAX) -> None:
        """Can its link be called so, in at most so many bytes? ItemError names the field."""
        if self.host_name is not None:
            check_host_name(self.host_name, most=most)
        elif len(self.name.encode(errors="surrogatepass")) > most:
            raise ItemError("host_name", f"is needed: {self.name[:48]!r} is longer than the {most} bytes of a link's name")
        else:
            check_host_name(self.name, "name", most)

    @property
    def addr_gen_mode(self) -> int | None:
        """`addrgenmode` as the kernel has it."""
        return None if self.addrgenmode is None else get_args(AddrGenMode).index(self.addrgenmode)

    def check(self) -> None:
        """What its fields have to be, and to be to each other. ItemError names the field."""


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


def check_altnames(item: Interface) -> None:
    """Names that the kernel takes as other ones of a link, each once and none its own."""
    seen = {item.link_name}
    for i, name in enumerate(item.altnames or ()):
        if check_host_name(name, f"altnames[{i}]", ALTNAME_MAX) in seen:
            raise ItemError(f"altnames[{i}]", f"{name!r} is a name of the link already")
        seen.add(name)


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


def check_birth(birth: Birth | None) -> None:
    try:
        check_namespace(birth_namespace(birth))
    except ItemError as error:
        raise ItemError(error.field.replace("namespace", "birth", 1), error.message) from None


def birth_namespace(birth: Birth | None) -> Namespace | None:
    """None is that of the agent here."""
    return None if isinstance(birth, str) else birth


def check_label(label: str, field: str) -> str:
    """A microservice's label: 1 to 255 bytes without control characters."""
    if not 1 <= len(label.encode(errors="surrogatepass")) <= MAX_LABEL or _CONTROL.search(label):
        raise ItemError(field, f"{label[:48]!r} is not a label of 1 to 255 bytes without control characters")
    return label


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

"""Tables of netlink attributes: what the fields of a Struct are to the kernel, in IFLA_INFO_DATA or IFLA_INFO_SLAVE_DATA.

A field's annotation says it, beside what the field is to the user:

    class Vlan(LinkItem, tag="vlan"):
        id: Annotated[int, Meta(ge=0, le=4094), Attr(IFLA_VLAN_ID, U16, REMAKE)]
        protocol: Annotated[Literal["802.1q", "802.1ad"], Attr(IFLA_VLAN_PROTOCOL, PROTOCOL, REMAKE)] = "802.1q"
        gvrp: Annotated[bool, Attr(IFLA_VLAN_FLAGS, MaskedBit(VLAN_FLAG_GVRP))] = False

`encode`, `decode` and `differences` go by `table_of(Vlan)`. Values are the item's words, numbers and texts. A field that is another
link (`IFINDEX`) has its logical name in the item and its ifindex here: `Table.links` lists these fields, and `Table.ports` those of
which the link itself is the master (`PORT_INDEX`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import Any, ClassVar, Final, get_args

import msgspec

from nsplane.kernel.codecs import NLA_F_NESTED, UNTOLD, Codec, Ifindex, Payloads, PortIndex, WrongValue, join, split


class Change(Enum):
    """What a field that differs asks for."""

    IN_PLACE = "changed in place"
    DOWN = "changed while it is down"
    ALONE = "changed while it is down and has no ports"
    REMAKE = "made anew"
    UNSUPPORTED = "not of this kernel"
    """The kernel does not tell of the attribute, and what is wanted is not what a new object has."""


KNOWN_MOST = 4096
IN_PLACE: Final = Change.IN_PLACE
DOWN: Final = Change.DOWN
ALONE: Final = Change.ALONE
REMAKE: Final = Change.REMAKE


def same_family(wanted: str, has: str | None) -> Change:
    """Of an address that can be changed in place for another one of its family only. None is of IPv4, as the kernel has it."""
    return IN_PLACE if (":" in wanted) == (":" in (has or "")) else REMAKE


def except_for(word: str) -> Callable[[Any, Any], Change]:
    """Of a field that can be changed in place, but neither to this value nor from it."""
    return lambda wanted, has: REMAKE if word in (wanted, has) else IN_PLACE


@dataclass(frozen=True, eq=False)
class Attr:
    """Where a field stands in a message: the attribute's type, how its value is written, and what the kernel does with another one
    (`change`, or a function that tells it of the value that is wanted and the one that is there).

    `initial` is what a new object has by itself, where that is not the field's default; `absent` the value of an attribute that the
    kernel leaves out, where the codec does not know. One that is not `told` the kernel takes without ever telling of it."""

    type: int
    codec: Codec[Any]
    change: Change | Callable[[Any, Any], Change] = IN_PLACE
    initial: object = UNTOLD
    absent: object = UNTOLD
    told: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A row of a table. `initial` is UNTOLD where the kernel has to be told in any case; `default` msgspec.NODEFAULT where the
    field has to be given."""

    name: str
    type: int
    codec: Codec[Any]
    change: Change | Callable[[Any, Any], Change]
    initial: object
    absent: object
    is_told: bool
    default: object

    def is_plain(self, value: object) -> bool:
        """Does the kernel tell this value as it is written, in the attribute alone?"""
        return self.codec.is_plain and value is not None and value is not UNTOLD


@dataclass(frozen=True, eq=False)
class Table:
    """The fields of a Struct that are attributes; `links` and `ports` name those whose values are ifindexes."""

    fields: tuple[Field, ...]
    links: tuple[str, ...]
    ports: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that have logical names in the item."""
        return (*self.links, *self.ports)

    @cached_property
    def as_new(self) -> dict[int, bytes]:
        """How a new object's attributes are told, where that can be said."""
        return {field.type: field.codec.pack(field.initial) for field in self.fields if field.is_plain(field.initial)}


@cache
def table_of(struct: type[msgspec.Struct]) -> Table:
    """The table that the annotations of a Struct's fields make."""
    fields = tuple(
        Field(
            about.name,
            attr.type,
            attr.codec,
            attr.change,
            about.default if attr.initial is UNTOLD and not about.required else attr.initial,
            attr.codec.absent if attr.absent is UNTOLD else attr.absent,
            attr.told,
            about.default,
        )
        for about in msgspec.structs.fields(struct)
        for attr in _attrs(about.type)
    )
    links, ports = (tuple(field.name for field in fields if isinstance(field.codec, codec)) for codec in (Ifindex, PortIndex))
    return Table(fields, links, ports)


def _attrs(annotation: Any) -> Iterator[Attr]:
    """The Attr of a field: of its annotation, or of that of a type of its union."""
    for part in (annotation, *get_args(annotation)):
        yield from (extra for extra in getattr(part, "__metadata__", ()) if isinstance(extra, Attr))


def encode(table: Table, values: Mapping[str, Any], only: Collection[str] | None = None) -> bytes:
    """What a new object has to be told of these values, which leaves out what it has by itself; or `only` these fields, to change
    one: of an attribute that the kernel takes as a whole, the fields beside them too. WrongValue names a field whose value has no
    room."""
    meant = _given(table, values) if only is None else [field for field in table.fields if field.name in only]
    return _encode(table, values, meant)


def _encode(table: Table, values: Mapping[str, Any], meant: list[Field]) -> bytes:
    whole = {field.type for field in meant if field.codec.whole}
    if whole:
        meant = [field for field in table.fields if field in meant or field.type in whole]
    into: Payloads = {}
    for field in meant:
        _write(field, values.get(field.name, field.initial), into)
    return join(into.items())


def check(table: Table, values: Mapping[str, Any]) -> None:
    """WrongValue where an attribute has no room for a value. Fields that are links are not looked at, nor is what is at its
    default."""
    given = [field.name for field in table.fields if values.get(field.name, field.default) != field.default]
    encode(table, values, [name for name in given if name not in table.names])


def decode(table: Table, data: bytes) -> dict[str, Any]:
    """The fields that these attributes tell of. ValueError where the bytes are no attributes."""
    return _decode(table.fields, dict(split(data)))


def _decode(fields: Iterable[Field], payloads: Payloads) -> dict[str, Any]:
    found = {}
    for field in fields:
        try:
            value = field.codec.read(field.type, payloads)
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}") from None
        if value is UNTOLD and field.is_told:
            value = field.absent
        if value is not UNTOLD:
            found[field.name] = value
    return found


def merge(data: bytes, change: bytes) -> bytes:
    """What the kernel has when these attributes have been changed."""
    return join((dict(split(data)) | dict(split(change))).items())


def differences(table: Table, wanted: Mapping[str, Any], has: Mapping[str, Any]) -> dict[str, Change]:
    """The fields in which an object, as `decode` tells of it, is not as wanted, and what each asks for. Another spelling of a value
    is no difference; a field that `wanted` does not have is to be what it is in a new object. None is a wish only where the kernel
    can tell of it (no address, no link): an object is made anew for it, where it is no value that can be told."""
    return _differences(table.fields, wanted, has)


class Wanted:
    """What an object is to be, for comparing the kernel's with it again and again.

    Most attributes are told as they are written, and need no decoding. How the others were told where they were right is known, and
    is as right of another object that wants the same of them."""

    _known: ClassVar[set[tuple[object, ...]]] = set()

    def __init__(self, table: Table, values: Mapping[str, Any]) -> None:
        self.values = values
        self._table = table
        self._given = _given(table, values)
        plain = [field for field in self._given if field.is_plain(values[field.name])]
        others = [field for field in self._given if field not in plain]
        self._told = table.as_new | {field.type: field.codec.pack(values[field.name]) for field in plain}
        for field in others:
            self._told.pop(field.type, None)
        self._of_others = (table, *((field, values[field.name]) for field in others))
        self._right: bytes | None = None

    def of_new(self) -> bytes:
        """What a new object has to be told."""
        return _encode(self._table, self.values, self._given)

    def differences(self, data: bytes, running: Collection[int] = ()) -> dict[str, Change]:
        """As `differences`, of an object of which the kernel tells these attributes; `running` are those that differ by
        themselves."""
        if data == self._right:
            return {}
        payloads = dict(split(data))
        for number in running:
            payloads.pop(number, None)
        there, told = payloads.items(), self._told.items()
        unlike = *self._of_others, frozenset(told - there), frozenset(there - told)
        if unlike not in self._known:
            found = _differences(self._table.fields, self.values, _decode(self._table.fields, payloads))
            if found:
                return found
            if len(self._known) >= KNOWN_MOST:
                self._known.clear()
            self._known.add(unlike)
        self._right = data
        return {}


def _given(table: Table, values: Mapping[str, Any]) -> list[Field]:
    """The fields that are not as in a new object."""
    return [field for field in table.fields if values.get(field.name, field.initial) != field.initial]


def _differences(fields: Iterable[Field], wanted: Mapping[str, Any], has: Mapping[str, Any]) -> dict[str, Change]:
    found: dict[str, Change] = {}
    for field in fields:
        value = wanted.get(field.name, field.initial)
        if field.name not in has:
            if value != field.initial and field.is_told:
                found[field.name] = Change.UNSUPPORTED
            continue
        there = has[field.name]
        if value == there:
            continue
        if value is None and not field.codec.takes_none:
            if field.absent is None:
                found[field.name] = REMAKE
        elif not field.codec.is_same(value, there):
            found[field.name] = field.change if isinstance(field.change, Change) else field.change(value, there)
    return found


def leaves_out(now: msgspec.Struct, new: msgspec.Struct) -> bool:
    """Does the new one leave a field out that the kernel cannot be told to have as in a new object, or change one that the kernel
    never tells of?"""
    for field in table_of(type(now)).fields:
        has, wanted = getattr(now, field.name), getattr(new, field.name)
        if has != wanted and (not field.is_told or (wanted is None and not field.codec.takes_none)):
            return True
    return False


def _write(field: Field, value: Any, into: Payloads) -> None:
    if value is None and not field.codec.takes_none:
        return
    try:
        field.codec.write(field.type, value, into)
    except WrongValue as error:
        raise WrongValue(str(error), f"{field.name}.{error.field}" if error.field else field.name) from None


@dataclass(frozen=True, eq=False)
class Nested(Codec[Mapping[str, Any]]):
    """A nested attribute with a table of its own. The value is a Struct or a map, and a map when it is read."""

    struct: type[msgspec.Struct]

    def pack(self, value: Mapping[str, Any] | msgspec.Struct) -> bytes:
        values = msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value
        return encode(table_of(self.struct), values, values)

    def unpack(self, payload: bytes) -> Mapping[str, Any]:
        return decode(table_of(self.struct), payload)

    def write(self, attribute: int, value: Mapping[str, Any] | msgspec.Struct, into: Payloads) -> None:
        into[attribute | NLA_F_NESTED] = self.pack(value)

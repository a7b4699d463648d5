"""Addresses as the columns of a block have them: bytes in the network's order, one value behind the other.

Whoever has them as text, as objects of `ipaddress` or as `bytes` each gives any iterable. A buffer (`bytes`, a memoryview, an
array, one of NumPy's) is taken as it is: the values of all, packed.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import chain, islice
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Literal

Family = Literal[4, 6]
Buffer = bytes | bytearray | memoryview
Address = str | bytes | IPv4Address | IPv6Address
Addresses = Buffer | Iterable[Address]
Networks = Buffer | Iterable[Address | IPv4Network | IPv6Network]
Macs = Buffer | Iterable[str | bytes]
Numbers = Buffer | Iterable[int]

WIDTH = {4: 4, 6: 16}
_TEXT = {4: partial(inet_pton, AF_INET), 6: partial(inet_pton, AF_INET6)}


class NotPacked(ValueError):
    """A value that cannot be one of its column; `offset` is its place in the part that was taken."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


class Column:
    """The values of one field, which are taken in parts."""

    def __init__(self, values: Any, width: int, pack: Callable[[list[Any]], bytes]) -> None:
        self.width = width
        self._pack = pack
        self._data = packed(values)
        self._next = 0
        self._values: Iterator[Any] = iter(()) if self._data is not None else iter(values)
        if self._data is not None and len(self._data) % width:
            raise ValueError(f"{len(self._data)} bytes are no multiple of {width}")

    def take(self, count: int) -> tuple[int, bytes]:
        """The next of them, `count` at most: how many there are, and they. NotPacked."""
        if self._data is None:
            values = list(islice(self._values, count))
            return len(values), self._pack(values)
        begin, self._next = self._next, self._next + count * self.width
        part = bytes(self._data[begin : self._next])
        return len(part) // self.width, part


class NetworkColumn(Column):
    """Networks; `lens` has the lengths of those taken last: one of all of them, or one byte each. Where they are not given, the
    networks themselves have them."""

    def __init__(self, values: Any, family: Family, lens: int | Numbers | None = None) -> None:
        self.lens: int | bytes = lens if isinstance(lens, int) else WIDTH[family] * 8
        self._lens = None if lens is None or isinstance(lens, int) else Column(lens, 1, bytes)
        in_text = partial(self._pack_networks, family)
        super().__init__(values, WIDTH[family], in_text if lens is None else partial(pack_addresses, family=family))

    def take(self, count: int) -> tuple[int, bytes]:
        taken, data = super().take(count)
        if self._lens is not None:
            lengths, self.lens = self._lens.take(count)
            if lengths != taken:
                raise ValueError(f"there are not as many lengths as networks ({lengths} and {taken} in the last {count})")
        return taken, data

    def _pack_networks(self, family: Family, values: list[Any]) -> bytes:
        data, self.lens = pack_networks(values, family)
        return data


def packed(values: object) -> memoryview | None:
    """The bytes of a buffer, or None where it is none. TypeError where it has numbers in the machine's order."""
    try:
        view = memoryview(values)  # type: ignore[arg-type]
    except TypeError:
        return None
    if view.itemsize > 1 and view.format[0] not in ">!" and not view.format.endswith("s"):
        raise TypeError(
            f"has numbers of format {view.format!r}, which are not in the network's order: NumPy's astype('>u4') has them so"
        )
    return view if view.format == "B" and view.ndim == 1 and view.contiguous else memoryview(view.tobytes())


def split_family(values: Any, family: Family | None) -> tuple[Any, Family]:
    """The same values, and of which family they are: as is said, as the first is, or 4."""
    if family is not None or packed(values) is not None:
        return values, family or 4
    rest = iter(values)
    first = list(islice(rest, 1))
    return chain(first, rest), family_of(first[0]) if first else 4


def family_of(value: Any) -> Family:
    if isinstance(value, str):
        return 6 if ":" in value else 4
    if isinstance(value, bytes | bytearray | memoryview):
        return 6 if len(value) == 16 else 4
    return 6 if value.version == 6 else 4


def addresses(values: Any, family: Family) -> Column:
    return Column(values, WIDTH[family], partial(pack_addresses, family=family))


def macs(values: Any, family: Family = 4) -> Column:
    """Of any family."""
    return Column(values, 6, pack_macs)


def pack_addresses(values: list[Any], family: Family) -> bytes:
    try:
        return b"".join(map(_TEXT[family], values))
    except (OSError, TypeError):
        return _each(values, partial(_pack_address, family=family))


def pack_networks(values: list[Any], family: Family) -> tuple[bytes, int | bytes]:
    """And their lengths: one of all, or a byte each."""
    most = WIDTH[family] * 8
    try:
        text = ",".join(values)
        if "/" not in text:
            return b"".join(map(_TEXT[family], values)), most
        length = values[0][values[0].index("/") :]
        alike = text.count("/") == len(values) == text.count(length + ",") + text.endswith(length)
        if alike and length[1:].isdecimal():
            return b"".join(map(_TEXT[family], text.replace(length, "").split(","))), int(length[1:])
    except (OSError, TypeError, ValueError):
        pass
    lens = bytearray()
    return _each(values, partial(_pack_network, family=family, lens=lens)), bytes(lens)


def pack_macs(values: list[Any]) -> bytes:
    try:
        if set(map(len, values)) <= {17}:
            data = bytes.fromhex("".join(values).replace(":", "").replace("-", ""))
            if len(data) == 6 * len(values):
                return data
    except (TypeError, ValueError):
        pass
    return _each(values, _pack_mac)


def _each(values: list[Any], pack: Callable[[Any], bytes]) -> bytes:
    """One by one: it takes longer, and says which it was."""
    parts = []
    for offset, value in enumerate(values):
        try:
            parts.append(pack(value))
        except (ValueError, AttributeError, TypeError) as error:
            raise NotPacked(offset, str(error)) from None
    return b"".join(parts)


def _pack_address(value: Any, family: Family) -> bytes:
    data = ip_address(value).packed if isinstance(value, str) else bytes(value) if _is_bytes(value) else bytes(value.packed)
    if len(data) != WIDTH[family]:
        raise ValueError(f"'{value}' is not an IPv{family} address, as the first is")
    return data


def _pack_network(value: Any, family: Family, lens: bytearray) -> bytes:
    if isinstance(value, str):
        address, slash, length = value.partition("/")
        most = WIDTH[family] * 8
        bits = most if not slash else int(length) if length.isdecimal() else most + 1
        if bits > 255:
            raise ValueError(f"'{value}' wants a prefix length of 0 to {most}")
        data = _pack_address(address, family)
        lens.append(bits)
        return data
    if isinstance(value, IPv4Network | IPv6Network):
        data = _pack_address(value.network_address, family)
        lens.append(value.prefixlen)
        return data
    lens.append(WIDTH[family] * 8)
    return _pack_address(value, family)


def _pack_mac(value: Any) -> bytes:
    data = (
        bytes(value) if _is_bytes(value) else bytes.fromhex(value.replace("-", ":").replace(":", "")) if len(value) == 17 else b""
    )
    if len(data) != 6:
        raise ValueError(f"'{value}' is not a MAC of six bytes such as 02:00:00:00:00:01")
    return data


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)

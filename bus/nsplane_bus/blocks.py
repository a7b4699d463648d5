"""Routes and ARP entries by the hundred thousand: in blocks, several requests in flight, and one answer.

Columns are any iterables, or buffers of packed values (packed.py); what is given as one value holds for all, and so do other
`fields` (`table`, `metric`, `override`, ...). All addresses of a call are of one family: the one that is said, or that of the
first; in buffers 4.

They are sent in parts as they come, so an iterable may be as long as it likes. Where a part is refused (InvalidItems, BusError),
those before it were sent. `offset` in the entries of the answer and in InvalidItems counts from the first item of the call. A key
that is there twice in different parts is put twice.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import packed
from .errors import InvalidItems
from .operations import Await, Requester, Steps, Submit, decode_result
from .packed import Address, Addresses, Column, Family, Macs, NetworkColumn, Networks, NotPacked, Numbers
from .result import Result, sum_up

PART = 2048
"""Items in one request."""
AHEAD = 16
"""Requests in flight."""
DELETED_AHEAD = 48
"""The same of deletions: of IPv4 routes the agent deletes every eighth of those that wait, then those behind them, and the more
there are, the less each takes the kernel. (More than the agent lets wait is no use: BACKLOG_LIMIT in router.py.)"""

Progress = Callable[[int], object]
"""Called with how many items have their verdict, after each request."""


def put_routes(
    self: Requester,
    /,
    interface: str | None,
    dst: Networks,
    *,
    gateway: Address | Addresses | None = None,
    dst_len: int | Numbers | None = None,
    namespace: Mapping[str, Any] | None = None,
    family: Family | None = None,
    generation: int | None = None,
    check: bool | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Steps[Result]:
    """Each becomes exactly this. `dst` has networks (an address alone is a host route) or, with `dst_len`, addresses; `gateway`
    is one for all, or one for each. Without an interface (None) they are the namespace's: `type` is `blackhole`, say."""
    columns, shared, family = _routes(interface, dst, dst_len, namespace, family)
    _place("gateway", gateway, packed.addresses, family, columns, shared)
    return (
        yield from _send_parts(self, "put", shared | fields, columns, family, progress, self.checks(check), generation=generation)
    )


def put_arps(
    self: Requester,
    /,
    interface: str,
    ip: Addresses,
    mac: str | Macs,
    *,
    namespace: Mapping[str, Any] | None = None,
    family: Family | None = None,
    generation: int | None = None,
    check: bool | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Steps[Result]:
    """Each becomes exactly this. `mac` is one for all, or one for each."""
    ip, family = packed.split_family(ip, family)
    columns = {"ip": packed.addresses(ip, family)}
    shared = {"kind": "arp", "interface": interface, "namespace": namespace, **fields}
    _place("mac", mac, packed.macs, family, columns, shared)
    return (yield from _send_parts(self, "put", shared, columns, family, progress, self.checks(check), generation=generation))


def put_fdb(
    self: Requester,
    /,
    interface: str,
    mac: Macs,
    *,
    dst: Address | Addresses | None = None,
    namespace: Mapping[str, Any] | None = None,
    family: Family | None = None,
    generation: int | None = None,
    check: bool | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Steps[Result]:
    """Each becomes exactly this. `dst`, of a vxlan interface, is one for all, or one for each."""
    columns, shared, family = _entries(interface, mac, dst, namespace, family)
    return (
        yield from _send_parts(self, "put", shared | fields, columns, family, progress, self.checks(check), generation=generation)
    )


def delete_routes(
    self: Requester,
    /,
    interface: str | None,
    dst: Networks,
    *,
    dst_len: int | Numbers | None = None,
    namespace: Mapping[str, Any] | None = None,
    family: Family | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **fields: Any,
) -> Steps[Result]:
    """Removes these; `fields` are those of the key, `metric` and `table`."""
    columns, shared, family = _routes(interface, dst, dst_len, namespace, family)
    return (yield from _send_parts(self, "delete", shared | fields, columns, family, progress, False, force=force or None))


def delete_arps(
    self: Requester,
    /,
    interface: str,
    ip: Addresses,
    *,
    namespace: Mapping[str, Any] | None = None,
    family: Family | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Steps[Result]:
    """Removes these."""
    ip, family = packed.split_family(ip, family)
    shared = {"kind": "arp", "interface": interface, "namespace": namespace}
    return (
        yield from _send_parts(
            self, "delete", shared, {"ip": packed.addresses(ip, family)}, family, progress, False, force=force or None
        )
    )


def delete_fdb(
    self: Requester,
    /,
    interface: str,
    mac: Macs,
    *,
    dst: Address | Addresses | None = None,
    namespace: Mapping[str, Any] | None = None,
    family: Family | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **fields: Any,
) -> Steps[Result]:
    """Removes these, with `dst` those of a vxlan interface. Other `fields` are `vlan` and `src_vni`, and of a group's MAC
    `port` and `vni`."""
    columns, shared, family = _entries(interface, mac, dst, namespace, family)
    return (yield from _send_parts(self, "delete", shared | fields, columns, family, progress, False, force=force or None))


def _send_parts(
    self: Requester,
    op: str,
    shared: dict[str, Any],
    columns: dict[str, Column],
    family: Family,
    progress: Progress | None,
    check: bool,
    **more: Any,
) -> Steps[Result]:
    in_flight: deque[tuple[int, int, Any]] = deque()
    results: list[Result] = []
    begin = 0
    what, ahead = ("keys", DELETED_AHEAD) if op == "delete" else ("items", AHEAD)

    def first() -> Steps[None]:
        start, end, ticket = in_flight.popleft()
        result = decode_result((yield Await(ticket)))
        for entry in result.items:
            _move(entry, start)
        results.append(result)
        if progress is not None:
            progress(end)

    for count, block in _parts(columns, family):
        while len(in_flight) >= ahead:
            yield from first()
        try:
            ticket = yield Submit(self.request(op, **more, **{what: [shared | {"block": block}]}), check=check)
        except InvalidItems as error:
            for fault in error.faults:
                _move(fault, begin)
            raise InvalidItems(error.faults) from None
        in_flight.append((begin, begin + count, ticket))
        begin += count
    while in_flight:
        yield from first()
    return sum_up(results)


def _move(entry: Any, begin: int) -> None:
    if "offset" in entry:
        entry["offset"] += begin


def _place(
    name: str,
    value: Any,
    column: Callable[[Any, Family], Column],
    family: Family,
    columns: dict[str, Column],
    shared: dict[str, Any],
) -> None:
    """Text or an object of `ipaddress` holds for all; others are a column."""
    if isinstance(value, str) or hasattr(value, "packed"):
        shared[name] = str(value)
    elif value is not None:
        columns[name] = column(value, family)


def _routes(
    interface: str | None, dst: Networks, dst_len: int | Numbers | None, namespace: Mapping[str, Any] | None, family: Family | None
) -> tuple[dict[str, Column], dict[str, Any], Family]:
    dst, family = packed.split_family(dst, family)
    return {"dst": NetworkColumn(dst, family, dst_len)}, {"kind": "route", "interface": interface, "namespace": namespace}, family


def _entries(
    interface: str, mac: Macs, dst: Any, namespace: Mapping[str, Any] | None, family: Family | None
) -> tuple[dict[str, Column], dict[str, Any], Family]:
    """Columns of fdb, what holds for all, and the family of `dst`."""
    if dst is not None and not isinstance(dst, str) and not hasattr(dst, "packed"):
        dst, family = packed.split_family(dst, family)
    columns = {"mac": packed.macs(mac)}
    shared = {"kind": "fdb", "interface": interface, "namespace": namespace}
    _place("dst", dst, packed.addresses, family or 4, columns, shared)
    return columns, shared, family or 4


def _parts(columns: dict[str, Column], family: Family) -> Iterator[tuple[int, dict[str, Any]]]:
    """Blocks, and how many items each has. InvalidItems, ValueError where one column has fewer values than another."""
    begin = 0
    while True:
        counts: dict[str, int] = {}
        block: dict[str, Any] = {} if family == 4 else {"family": 6}
        for name, column in columns.items():
            try:
                counts[name], block[name] = column.take(PART)
            except NotPacked as error:
                fault = {"index": 0, "offset": begin + error.offset, "field": name, "key": None, "message": f"{name}: {error}"}
                raise InvalidItems([fault]) from None
            if isinstance(column, NetworkColumn):
                block[f"{name}_len"] = column.lens
        (name, count), *others = counts.items()
        for other, different in others:
            if different != count:
                raise ValueError(f"{other} has {begin + different} values, {name} {begin + count} or more")
        if count:
            yield count, block
        if count < PART:
            return
        begin += count

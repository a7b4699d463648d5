"""What the publishers of a soak want: requests made up at random, of things that no two publishers share."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from ..bus.wishing import Item, Request, Wishes, key_of
from ..engine.wishes import arp, bridge, by_label, by_name, existing, route, veth

PAIRS = 6
SURVIVES = 3
"""Seconds for which an end that is to survive does so."""


@dataclass(frozen=True)
class Ask:
    """A request, and what it comes to where that is written otherwise (blocks)."""

    sent: Request
    meant: Request
    lapses: bool = False
    """It is not confirmed, and so taken back."""


class Author:
    """One source: two namespaces, labels of containers and of processes, a bridge, cables and what is on them."""

    def __init__(self, source: str, prefix: str, dice: random.Random) -> None:
        self.source = source
        self.near, self.far = f"{prefix}{source}a", f"{prefix}{source}b"
        self.containers = [f"{source}-c{number}" for number in range(2)]
        self.processes = [f"{source}-p{number}" for number in range(2)]
        self._dice = dice
        self._generation = 0

    @property
    def namespaces(self) -> list[str]:
        return [self.near, self.far]

    # ---- items ----

    def bridge(self) -> Item:
        """It is always wanted."""
        return bridge(f"{self.source}-br", by_name(self.near)) | self._some({"mtu": 1400, "addresses": ["10.99.0.1/24"]})

    def pair(self, number: int) -> list[Item]:
        """A cable from the bridge's namespace to another one, a container or a process."""
        dice = self._dice
        near = veth(f"{self.source}-{number}a", f"{self.source}-{number}b", by_name(self.near))
        far = veth(f"{self.source}-{number}b", f"{self.source}-{number}a", self._place())
        near |= self._some({"master": f"{self.source}-br", "host_name": f"port{number}"})
        far |= self._some({"host_name": f"eth{number}"})
        if dice.random() < 0.3:
            near |= {"survive": True, "survive_seconds": SURVIVES}
        for host, end in enumerate((near, far), 1):
            mine = [f"10.{number + 1}.0.{host}/24", f"10.{number + 1}.1.{host}/24"]
            # Docker turns IPv6 off, and an address turns it on again.
            end["addresses"] = [f"fd10:{number + 1}::{host}/64", *dice.sample(mine, dice.randint(0, 2))]
            end |= self._some({"mac": self._mac(), "mtu": dice.choice((1400, 1300))})
            if dice.random() < 0.1:
                end["enabled"] = False
        return [near, far]

    def row(self) -> Item:
        """A route or ARP entry. Each interface has destinations of its own."""
        dice = self._dice
        number, end = dice.randrange(PAIRS), dice.choice("ab")
        interface, own = f"{self.source}-{number}{end}", 2 * number + (end == "b")
        sort = dice.random()
        if sort < 0.25:
            address = dice.choice((f"10.{number + 1}.0.{dice.randrange(10, 90)}", f"fd10:{number + 1}::{dice.randrange(10, 90)}"))
            return arp(interface, address, self._mac())
        if sort < 0.5:
            return route(interface, f"fd20:{own}:{dice.randrange(1, 40)}::/64") | self._some({"metric": 7})
        some = self._some({"metric": 7, "gateway": f"10.{number + 1}.0.9"})
        return route(interface, f"20.{own}.{dice.randrange(60)}.0/24") | some

    def _place(self) -> Item:
        dice = self._dice
        if dice.random() < 0.3:
            return by_name(self.far)
        return by_label(dice.choice(self.containers + self.processes))

    def _some(self, fields: Item) -> Item:
        return {name: value for name, value in fields.items() if self._dice.random() < 0.4}

    def _mac(self) -> str:
        return f"02:00:00:00:{self._dice.randrange(256):02x}:{self._dice.randrange(256):02x}"

    def _rows(self, count: int) -> list[Item]:
        return list({key_of(row): row for row in (self.row() for _ in range(count))}.values())

    # ---- requests ----

    def asks(self) -> Iterator[Ask]:
        """What is asked, one after the other, for ever."""
        dice = self._dice
        yield self._plain("put", items=[self.bridge(), *(end for number in range(PAIRS) for end in self.pair(number))])
        while True:
            often = [self._pairs] * 4 + [self._put_rows] * 5 + [self._delete] * 4 + [self._block] * 2
            yield from dice.choice([*often, self._replace, self._sweep])()

    def _plain(self, op: str, lapses: bool = False, **fields: object) -> Ask:
        request = {"op": op, "source": self.source, **fields}
        return Ask(request, request, lapses)

    def _pairs(self) -> Iterator[Ask]:
        dice = self._dice
        ends = [end for number in dice.sample(range(PAIRS), dice.randint(1, 3)) for end in self.pair(number)]
        how = dice.random()
        if how < 0.1:
            yield self._plain("put", lapses=True, items=ends, confirm=dice.choice((1, 3)))
        elif how < 0.3:
            yield self._plain("put", items=ends, atomic=True)
        else:
            yield self._plain("put", items=[*ends, self.bridge()])

    def _put_rows(self) -> Iterator[Ask]:
        yield self._plain("put", items=self._rows(self._dice.choice((1, 5, 20, 60))))

    def _delete(self) -> Iterator[Ask]:
        dice = self._dice
        ends = [f"interface/{self.source}-{dice.randrange(PAIRS)}{dice.choice('ab')}" for _ in range(dice.randint(0, 2))]
        keys = {*ends, *(key_of(row) for row in self._rows(dice.choice((1, 20))))}
        yield self._plain("delete", keys=sorted(keys))

    def _replace(self) -> Iterator[Ask]:
        dice = self._dice
        pairs = [end for number in dice.sample(range(PAIRS), dice.randint(0, PAIRS)) for end in self.pair(number)]
        yield self._plain("replace", items=[self.bridge(), *pairs, *self._rows(dice.choice((0, 40)))])

    def _sweep(self) -> Iterator[Ask]:
        self._generation += 1
        pairs = [end for number in self._dice.sample(range(PAIRS), 3) for end in self.pair(number)]
        for items in ([self.bridge(), *pairs], self._rows(30)):
            yield self._plain("put", items=items, generation=self._generation)
        yield self._plain("sweep", generation=self._generation)

    def _block(self) -> Iterator[Ask]:
        """Routes by the hundred, in a block."""
        dice = self._dice
        number = dice.randrange(PAIRS)
        interface = f"{self.source}-{number}a"
        dsts = [f"30.{number}.{third}.0" for third in dice.sample(range(256), dice.choice((50, 200)))]
        plain = [route(interface, f"{dst}/24") for dst in dsts]
        packed = b"".join(ipaddress.ip_address(dst).packed for dst in dsts)
        block = {"kind": "route", "interface": interface, "block": {"dst": packed, "dst_len": 24}}
        meant: Request = {"op": "put", "source": self.source, "items": plain}
        yield Ask(meant | {"items": [block]}, meant)
        if dice.random() < 0.7:
            gone: Request = {"op": "delete", "source": self.source, "keys": [key_of(one) for one in plain]}
            yield Ask(gone | {"keys": [block]}, gone)


class Borrower:
    """Adopts links of others and gives them back."""

    def __init__(self, source: str, links: list[str], dice: random.Random) -> None:
        self.source = source
        self._links = links
        self._dice = dice

    def asks(self) -> Iterator[Ask]:
        """What is asked, one after the other, for ever."""
        dice = self._dice
        while True:
            link = dice.choice(self._links)
            dst = beyond(self._links.index(link))
            if dice.random() < 0.5:
                fields: Item = {"mtu": 1400, "addresses": ["10.66.0.1/24"], "mac": "02:00:00:00:66:01"}
                items = [existing(link) | {name: value for name, value in fields.items() if dice.random() < 0.6}]
                request: Request = {"op": "put", "source": self.source, "items": [*items, route(link, dst)]}
            else:
                keys = [f"interface/{link}"] + ([f"route/{link}/{dst}"] if dice.random() < 0.8 else [])
                request = {"op": "delete", "source": self.source, "keys": keys}
            yield Ask(request, request)


def beyond(number: int) -> str:
    """The network behind a lent link: each its own, for they are in one namespace."""
    return f"10.67.{number}.0/24"


def placed(wishes: Wishes, running: Set[str]) -> Wishes:
    """As if every namespace had a name: without what is meant for a label under which nothing runs."""
    found = {}
    for key, wish in wishes.items():
        label = wish.item.get("namespace", {}).get("microservice")
        if label is None:
            found[key] = wish
        elif label in running:
            found[key] = replace(wish, item=wish.item | {"namespace": by_name(place_of(label))})
    return found


def place_of(label: str) -> str:
    """What a microservice's namespace is called there."""
    return f"microservice:{label}"

"""A publisher that keeps changing what it wants, with several sources on one connection, and knows what was acknowledged."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import zmq
from msgspec import msgpack

from .wishing import Item, Request, Wishes, after, key_of

PAIRS = 24
MANY_PAIRS = 100
MANY_NAMESPACES = 30


class Publisher:
    """One connection: requests go out in their order, and a reply says that its request is recorded, and all before it."""

    def __init__(self, bus: str, wishes: Wishes) -> None:
        self._wishes = wishes
        self._sent: list[Request] = []
        self._answered = 0
        self._acknowledged = 0
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(bus)

    def send(self, request: Request) -> None:
        self._sent.append(request)
        self._socket.send(msgpack.encode({"id": len(self._sent), **request}))

    @property
    def in_flight(self) -> int:
        return len(self._sent) - self._answered

    def receive(self, seconds: float) -> None:
        """Takes in what comes within so long."""
        end = time.monotonic() + seconds
        while self.in_flight and self._socket.poll(max(0, int(1000 * (end - time.monotonic())))):
            reply = msgpack.decode(self._socket.recv())
            assert reply["ok"] or reply["error"]["code"] in ("refused", "undone"), reply
            self._acknowledged = max(self._acknowledged, reply["id"])
            self._answered += 1

    def close(self) -> None:
        self._socket.close()

    def possible(self) -> list[Wishes]:
        """What may be wanted when the agent ends: what all requests that were acknowledged make, and so many of the others as came
        first. An atomic one that was not acknowledged may not have come to its end; those behind it waited for it."""
        wishes = self._wishes
        for request in self._sent[: self._acknowledged]:
            wishes = after(wishes, request)
        found = [wishes]
        unfinished: list[Wishes] = []
        for request in self._sent[self._acknowledged :]:
            if request.get("atomic"):
                unfinished.append(wishes)
            else:
                unfinished = [after(one, request) for one in unfinished]
            wishes = after(wishes, request)
            found += [wishes, *unfinished]
        return found


class Author:
    """Makes requests up. `name` begins the names of everything that is not in a namespace of its own."""

    def __init__(self, name: str, dice: random.Random) -> None:
        self.name = name
        self.namespaces = [f"{name}red", f"{name}blue", f"{name}green"]
        self._dice = dice
        self._generation = 0
        self._once = 0

    # ---- items ----

    def bridge(self, number: int) -> Item:
        item = {"kind": "bridge", "name": f"br{number}", "namespace": self._in(self.namespaces[number])}
        return item | self._some({"mac": self._mac(), "mtu": 1400, "enabled": False, "addresses": [f"10.{100 + number}.0.1/24"]})

    def pair(self, number: int, prefix: str = "p") -> list[Item]:
        return [self._end(number, prefix, end, other) for end, other in ("ab", "ba")]

    def _end(self, number: int, prefix: str, end: str, other: str) -> Item:
        dice = self._dice
        item: Item = {"kind": "veth", "name": f"{prefix}{number}{end}", "peer": f"{prefix}{number}{other}"}
        if item["name"] == "p0a":  # the only link in the agent's own namespace, where others are too
            return item | {"host_name": f"{self.name}p0"}
        where = dice.randrange(3)
        item["namespace"] = self._in(self.namespaces[where])
        subnet, host = number + 1, 1 if end == "a" else 2
        addresses = [f"10.{subnet}.0.{host}/24", f"10.{subnet}.1.{host}/24", f"fd10:{subnet}::{host}/64"]
        item |= self._some({"mac": self._mac(), "mtu": dice.choice((1400, 1300)), "host_name": f"h{item['name']}"})
        item |= self._some({"addresses": dice.sample(addresses, dice.randint(1, 3))})
        if end == "ab"[number % 2]:  # of both ends it would be a loop, and a storm of broadcasts in it
            item |= self._some({"master": f"br{where}"})
        return item if dice.random() < 0.9 else item | {"enabled": False}

    def row(self) -> Item:
        """A route or ARP entry. Each interface has destinations of its own."""
        dice = self._dice
        number, end = dice.randrange(1, PAIRS), dice.choice("ab")
        interface, subnet, middle = f"p{number}{end}", number + 1, 2 * number + (end == "b")
        sort = dice.random()
        if sort < 0.25:
            address = dice.choice((f"10.{subnet}.0.{dice.randrange(10, 90)}", f"fd10:{subnet}::{dice.randrange(10, 90)}"))
            return {"kind": "arp", "interface": interface, "ip": address, "mac": self._mac()}
        if sort < 0.5:
            item = {"kind": "route", "interface": interface, "dst": f"fd20:{middle}:{dice.randrange(1, 90)}::/64"}
            return item | self._some({"metric": 7})
        item = {"kind": "route", "interface": interface, "dst": f"20.{middle}.{dice.randrange(250)}.0/24"}
        return item | self._some({"metric": 7, "gateway": f"10.{subnet}.0.9"})

    def _rows(self, count: int) -> list[Item]:
        """So many at most: a request has each key once."""
        return list({key_of(row): row for row in (self.row() for _ in range(count))}.values())

    def _in(self, name: str) -> Item:
        return {"type": "name", "name": name}

    def _some(self, fields: Item) -> Item:
        return {name: value for name, value in fields.items() if self._dice.random() < 0.4}

    def _mac(self) -> str:
        return f"02:00:00:00:{self._dice.randrange(256):02x}:{self._dice.randrange(256):02x}"

    # ---- requests ----

    def begin(self) -> Request:
        """Has all three namespaces made."""
        bridges = [{"kind": "bridge", "name": f"br{n}", "namespace": self._in(name)} for n, name in enumerate(self.namespaces)]
        return {"op": "put", "source": "bridges", "items": bridges}

    def load(self) -> Iterator[Request]:
        """One after the other, each of some sort."""
        often = [self._structure, self._structure, self._put_rows, self._put_rows, self._delete, self._delete, self._replace]
        while True:
            yield from self._dice.choice([*often, self._anothers, self._generations, self._atomic])()

    def burst(self) -> Iterator[Request]:
        """Many pairs in one request: each has its alias some moment after it was made."""
        numbers = self._dice.sample(range(MANY_PAIRS), self._dice.randint(20, MANY_PAIRS))
        yield {"op": "replace", "source": "many", "items": [end for n in numbers for end in self.pair(n, "q")]}
        yield from self.load()

    def namespaces_come(self) -> Iterator[Request]:
        """Many namespaces in one request, each with a bridge."""
        numbers = self._dice.sample(range(MANY_NAMESPACES), self._dice.randint(0, MANY_NAMESPACES))
        items = [{"kind": "bridge", "name": f"m{n}", "namespace": self._in(f"{self.name}m{n}")} for n in numbers]
        yield {"op": "replace", "source": "many", "items": items}
        yield from self.load()

    def all_goes(self) -> Iterator[Request]:
        yield {"op": "clear", "source": "admin"}
        yield from self.load()

    def _structure(self) -> Iterator[Request]:
        numbers = self._dice.sample(range(PAIRS), self._dice.randint(1, 4))
        yield {"op": "put", "source": "pairs", "items": [end for n in numbers for end in self.pair(n)]}
        if self._dice.random() < 0.3:
            yield {"op": "put", "source": "bridges", "items": [self.bridge(self._dice.randrange(3))]}

    def _put_rows(self) -> Iterator[Request]:
        yield {"op": "put", "source": "rows", "items": self._rows(self._dice.choice((1, 10, 50, 200)))}

    def _delete(self) -> Iterator[Request]:
        dice, sort = self._dice, self._dice.random()
        if sort < 0.5:
            keys = [f"interface/p{n}{dice.choice('ab')}" for n in dice.sample(range(PAIRS), 3)]
            yield {"op": "delete", "source": "pairs", "keys": keys}
        elif sort < 0.9:
            yield {"op": "delete", "source": "rows", "keys": [key_of(row) for row in self._rows(dice.choice((1, 20, 200)))]}
        else:
            yield {"op": "delete", "source": "bridges", "keys": [f"interface/br{dice.randrange(3)}"]}

    def _replace(self) -> Iterator[Request]:
        dice = self._dice
        if dice.random() < 0.5:
            yield {"op": "replace", "source": "rows", "items": self._rows(dice.choice((0, 30, 200)))}
        else:
            numbers = dice.sample(range(PAIRS), dice.choice((0, 6, 12)))
            yield {"op": "replace", "source": "pairs", "items": [end for n in numbers for end in self.pair(n)]}

    def _anothers(self) -> Iterator[Request]:
        """What belongs to another source, in part at least."""
        items = [self.bridge(self._dice.randrange(3)), *self.pair(self._dice.randrange(PAIRS))]
        yield {"op": self._dice.choice(("put", "replace")), "source": "intruder", "items": items}
        yield {"op": "delete", "source": "intruder", "keys": ["interface/p1a", "interface/br1"]}

    def _generations(self) -> Iterator[Request]:
        """A replacement in two parts. Something is new in each, so that it can be seen whether it was recorded."""
        self._generation += 1
        for _ in range(2):
            self._once += 1
            items = [{"kind": "route", "interface": "p1a", "dst": f"30.{n}.0.0/16"} for n in self._dice.sample(range(100), 20)]
            once = {"kind": "arp", "interface": "p1a", "ip": f"10.2.{self._once >> 8}.{self._once & 255}", "mac": self._mac()}
            yield {"op": "put", "source": "generations", "generation": self._generation, "items": [*items, once]}
        yield {"op": "sweep", "source": "generations", "generation": self._generation}

    def _atomic(self) -> Iterator[Request]:
        """All or nothing; nothing, where a bridge is among the items, which is another source's."""
        numbers = self._dice.sample(range(PAIRS), 2)
        items = [end for n in numbers for end in self.pair(n)]
        if self._dice.random() < 0.2:
            items.append(self.bridge(self._dice.randrange(3)))
        yield {"op": "put", "source": "pairs", "atomic": True, "items": items}

"""Others alter what the agent has made: how soon it is as it was, as the kernel itself says.

The clock runs from just before the damaging call until a look at both namespaces finds everything as it was: links, addresses,
permanent neighbours and routes, what the kernel had dropped along with it among them. A look is taken when the kernel tells of a
change, and every few milliseconds, for it does not tell of all. The agent is not asked before the clock has stopped; then it is
waited for, so that no damage meets the repair of another.

Damage goes round the sorts and the pairs, so that nothing looks like somebody who fights back: that is what repairs slow down for.
"""

import os
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..failures import Incomplete
from ..lives import Lives, lives, wanted
from ..network import NETNS
from .damage import LINK, NAMESPACE_DELETED, SORTS, Messages, Pair, delete_namespace
from .report import DriftReport
from .rtnetlink import State, View

PAIRS = 25
PATIENCE_SECONDS = 10
LOOK_SECONDS = 0.002
REST_SECONDS = 0.02
"""What the agent knows when all is repaired the kernel may still have to tell others."""


class NotRepaired(Incomplete):
    """It did not become as it was in time."""


class Watched:
    """A pair and how it is to be."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.near, self.far = View(NETNS / pair.near), View(NETNS / pair.far)
        self.states = self.near.state(), self.far.state()

    def close(self) -> None:
        self.near.close()
        self.far.close()

    def await_repair(self, end: float) -> None:
        """Returns when everything is as it was. NotRepaired after `end`."""
        views = self.near, self.far
        while not all(view.is_in(state) for view, state in zip(views, self.states, strict=True)):
            if time.perf_counter() > end:
                raise NotRepaired("; ".join(filter(None, map(differences, views, self.states))))
            for changes in select.select([view.changes for view in views], [], [], LOOK_SECONDS)[0]:
                changes.drain()

    def await_namespace(self, former: int, end: float) -> None:
        """Returns when the name leads to another namespace."""
        path = NETNS / self.pair.near
        while not is_another(path, former):
            if time.perf_counter() > end:
                raise NotRepaired("the namespace is not there")
            time.sleep(LOOK_SECONDS / 4)
        self.near.close()
        self.near = View(path)


def is_another(path: Path, former: int) -> bool:
    """Is a namespace bound on the path, and another than that one?"""
    own = os.stat("/proc/self/ns/net")
    return path.exists() and path.stat().st_dev == own.st_dev and path.stat().st_ino != former


def differences(view: View, state: State) -> str:
    lacks = [one for was, now in zip(state, view.state(), strict=True) for one in was - now]
    has = [one for was, now in zip(state, view.state(), strict=True) for one in now - was]
    return f"{len(lacks)} objects are missing ({lacks[:3]}), {len(has)} are there that were not ({has[:3]})" if lacks or has else ""


def measure(damages: int, routes: int) -> DriftReport:
    """Does so many damages of every sort, to links with so many routes."""
    prefix = f"nsp-bench-{os.getpid()}"
    pairs = [Pair(f"{prefix}-near{number}", f"{prefix}-far{number}", number, routes) for number in range(min(PAIRS, damages))]
    items = [item for pair in pairs for item in pair.items()]
    times: dict[str, list[float]] = {sort: [] for sort in (*SORTS, NAMESPACE_DELETED)}
    with lives() as agent, wanted(agent.bus, prefix, items):
        settle(agent, pairs)
        with watched(pairs) as all_:
            for number in range(damages):
                for at, sort in enumerate(times):
                    one = all_[(number + at) % len(pairs)]
                    try:
                        seconds = damage(one, SORTS.get(sort), number)
                    except NotRepaired as error:
                        raise NotRepaired(f"{sort}: not repaired within {PATIENCE_SECONDS} s: {error}") from None
                    times[sort].append(1e3 * seconds)
                    settle(agent, pairs)
    return DriftReport(scenario="drift", damages=damages, routes=routes, times=times)


@contextmanager
def watched(pairs: Sequence[Pair]) -> Iterator[list[Watched]]:
    with ExitStack() as stack:
        all_ = [Watched(pair) for pair in pairs]
        for one in all_:
            stack.callback(one.close)
        yield all_


def damage(one: Watched, sort: Messages | None, number: int) -> float:
    """Does the damage (None: the namespace is deleted), and returns how many seconds it was there."""
    one.near.changes.drain()
    one.far.changes.drain()
    if sort is None:
        former = (NETNS / one.pair.near).stat().st_ino
        began = time.perf_counter()
        delete_namespace(one.pair)
        one.await_namespace(former, began + PATIENCE_SECONDS)
    else:
        messages = sort(one.near.index(LINK), one.pair, number)
        began = time.perf_counter()
        one.near.netlink.ask(messages)
    one.await_repair(began + PATIENCE_SECONDS)
    return time.perf_counter() - began


def settle(agent: Lives, pairs: Sequence[Pair]) -> None:
    """Waits until the agent, too, has everything as it is to be."""
    each = {"interface": 2, "route": pairs[0].routes, "arp": pairs[0].neighbours}
    agent.sync({kind: count * len(pairs) for kind, count in each.items()})
    time.sleep(REST_SECONDS)
    agent.check()

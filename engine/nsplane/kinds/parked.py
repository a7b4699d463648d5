"""Ends of pairs whose namespace has ended: they are kept for the next one, while the other end stays as it is.

A container that is started again has another namespace. Its end of a pair is taken out of the one that ends, which is held open for
that, and put into one of the agent's own, up, so that the other end keeps its carrier. That one has a name: what is parked there
outlives the agent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from nsplane.kernel import Link, LinkChange
from nsplane.kinds.created import clear_name
from nsplane.kinds.link import HeldLink, LinkKind, LinkNode
from nsplane.model.items import ByName
from nsplane.plan.displaced import temporary_name
from nsplane.plan.needs import Loss
from nsplane.plan.node import GIVING_BACK_TRIES, Scope
from nsplane.world.netns import Netns
from nsplane.world.processes import boot_id
from nsplane.world.saved_state import save_now
from nsplane.world.timers import Appointment, boot_time

KIND = "parked"
"""How they are called in the saved state."""


@dataclass(slots=True, eq=False, kw_only=True)
class ParkedLink(HeldLink):
    """An end in the parking namespace, `until` a time in seconds since the boot; then there is an `appointment`."""

    until: float
    appointment: Appointment

    @property
    def is_over(self) -> bool:
        return self.until <= boot_time()


def parking_place(scope: Scope) -> ByName:
    return ByName(f"nsplane-parked-{scope.ownership.agent_id}")


def parking_fact(scope: Scope) -> str:
    return f"namespace/{parking_place(scope).name}"


def remark(node: LinkNode) -> str:
    """What is said of both ends while this one is parked."""
    held = node.held
    if not isinstance(held, ParkedLink):
        return ""
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + held.until - boot_time()))
    return f"{node.item.name} is parked until {until}"


def keeps(node: LinkNode, peer: LinkNode) -> bool:
    """Does this end stay as it is, though the other one may have no namespace?"""
    held, other = node.held, peer.held
    if not node.item.survive or held is None or other is None or held.ends is not other.ends:
        return False
    is_over = isinstance(other, ParkedLink) and other.is_over
    return not is_over and not node.scope.references.is_over(peer.namespace_fact)


def relocate(kind: LinkKind, node: LinkNode, held: HeldLink, seconds: float) -> bool:
    """Has an end wait for its next namespace, or moves it there: shows how it stands, or starts an operation. False where that
    cannot be, or was tried too often: then the pair goes."""
    netns = node.netns
    if node.retries.tries >= GIVING_BACK_TRIES:
        return False
    if netns is not None:
        if clear_name(node, netns):
            _move(kind, node, held, netns, node.wanted_name, lambda link: HeldLink(netns, link.index, kind, held.ends))
        elif node.failure is not None:
            node.show("failed")
        return True
    if isinstance(held, ParkedLink):
        node.show("pending", node.lacks(Loss.REMAKE), remark(node))
        return True
    parking = node.scope.netns_of(parking_fact(node.scope))
    if parking is None:
        return False
    until = boot_time() + seconds
    save_now(node.scope.saved_state, KIND, node.key, {"until": until, "boot": boot_id()})
    node.release_claims()
    name = temporary_name(node.key)
    _move(kind, node, held, parking, name, lambda link: parked(kind, node, parking, link, held.ends, until))
    return True


def _move(kind: LinkKind, node: LinkNode, held: HeldLink, netns: Netns, name: str, as_held: Callable[[Link], HeldLink]) -> None:
    """Up in one message, so that the other end is without a carrier for no longer than has to be."""

    def take(link: Link) -> None:
        if node.bears_mark(link):
            node.follow(as_held(link))

    assert held.link is not None
    op = node.scope.operation(node)
    op.stage_in(held.netns)
    op.keep_open(netns)
    op.change(LinkChange(index=held.index, name=name, netns=netns.fd, up=node.item.enabled))
    for one in dict.fromkeys((name, held.link.name)):  # the latter where the kernel has moved it, and refused the name
        op.makes(netns, one, take)
    node.scope.submit(op)


def parked(kind: LinkKind, node: LinkNode, parking: Netns, link: Link, ends: tuple[LinkNode, ...], until: float) -> ParkedLink:
    """An end that is parked, and is looked at when its time is over."""

    def look() -> None:
        if node.scope.nodes.get(node.key) is node:
            node.scope.touch(node)

    appointment = node.scope.timers.later(max(until - boot_time(), 0), look)
    return ParkedLink(parking, link.index, kind, ends, until=until, appointment=appointment)


def known_until(node: LinkNode, seconds: float) -> float:
    """Until when an end is parked that an earlier life has parked."""
    known = node.scope.saved_state.saved(KIND).get(node.key)
    return float(known["until"]) if known is not None and known["boot"] == boot_id() else boot_time() + seconds


def unpark(node: LinkNode, held: HeldLink) -> None:
    """It is parked no more, or gone."""
    if isinstance(held, ParkedLink):
        held.appointment.cancel()
    if isinstance(held, ParkedLink) or node.held is None:
        save_now(node.scope.saved_state, KIND, node.key, None)

"""What comes next for one item: a pure function of how it stands."""

from __future__ import annotations

from enum import Enum, auto

import msgspec


class Step(Enum):
    """What is done next."""

    AWAIT_NAMESPACE = auto()
    """Nothing, until it is known which namespaces there are."""
    GIVE_UP = auto()
    """What it holds is deleted, or given back."""
    LET_GO = auto()
    """What it holds is somebody else's and cannot be given back: nothing is gained by trying for ever."""
    STAY = auto()
    """Nothing: that was tried and has failed, and is tried again in its time or when something changes."""
    SHOW_FAILURE = auto()
    """Nothing: what was tried to have it as it is wanted has failed, and is tried again in the same way."""
    RESTORE = auto()
    """What had to make way gets its name again."""
    FORGET = auto()
    """Nothing is wanted, and nothing is left."""
    REFUSE = auto()
    """It fails, for its namespace cannot be had."""
    AWAIT_FACTS = auto()
    """It waits for what it cannot be without."""
    ACQUIRE = auto()
    """What is wanted is made or adopted."""
    MAINTAIN = auto()
    """What it holds is compared with what is wanted, and changed in place."""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """How an item stands, with nothing under way for it."""

    wanted: bool = True
    holds: bool = False
    """Has it an object of the kernel?"""
    is_adopted: bool = False
    """Was that object made by somebody else?"""
    is_misplaced: bool = False
    """Is that object in another namespace than it is to be, or one that cannot become what is wanted?"""
    lacks: bool = False
    """Is a fact not true without which the object cannot be?"""
    namespace_is_coming: bool = False
    """Is it not known yet which namespaces there are?"""
    is_refused: bool = False
    """Can its namespace not be had?"""
    is_ending: bool = False
    """Was the last thing that was tried to delete the object, or to give it back?"""
    failed: bool = False
    """Did the last thing that was tried fail, and has nothing changed since?"""
    is_tried_again: bool = False
    """Will what failed be tried again, for it may go another time?"""
    can_restore: bool = False
    """Is the name of what had to make way free again?"""


def decide(now: Situation) -> Step:
    """The one next step."""
    if now.holds and now.lacks and now.namespace_is_coming:
        return Step.AWAIT_NAMESPACE
    if now.holds and (not now.wanted or now.lacks or now.is_refused or now.is_misplaced):
        if not (now.is_ending and now.failed):
            return Step.GIVE_UP
        return Step.LET_GO if not now.wanted and now.is_adopted and not now.is_tried_again else Step.STAY
    if now.can_restore:
        return Step.RESTORE
    if not now.wanted:
        return Step.FORGET
    if now.is_refused:
        return Step.REFUSE
    if now.lacks:
        return Step.AWAIT_FACTS
    if now.failed:
        return Step.SHOW_FAILURE
    return Step.MAINTAIN if now.holds else Step.ACQUIRE

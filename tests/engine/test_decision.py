"""What comes next for one item, as a table; no kernel is needed for it."""

from __future__ import annotations

from itertools import product

import pytest
from msgspec.structs import fields, replace

from nsplane.plan.decision import Situation, Step, decide

WANTED = Situation()
HELD = Situation(holds=True)
UNWANTED = Situation(wanted=False)
LEAVING = Situation(wanted=False, holds=True)

TABLE = [
    # Nothing is there yet.
    (WANTED, Step.ACQUIRE),
    (replace(WANTED, lacks=True), Step.AWAIT_FACTS),
    (replace(WANTED, is_refused=True), Step.REFUSE),
    (replace(WANTED, is_refused=True, lacks=True), Step.REFUSE),
    (replace(WANTED, failed=True), Step.SHOW_FAILURE),
    (replace(WANTED, failed=True, lacks=True), Step.AWAIT_FACTS),
    # Its object is there.
    (HELD, Step.MAINTAIN),
    (replace(HELD, failed=True), Step.SHOW_FAILURE),
    (replace(HELD, is_misplaced=True), Step.GIVE_UP),
    (replace(HELD, lacks=True), Step.GIVE_UP),
    (replace(HELD, is_refused=True), Step.GIVE_UP),
    # What failed was something else than to give it up.
    (replace(HELD, is_misplaced=True, failed=True), Step.GIVE_UP),
    (replace(HELD, is_misplaced=True, failed=True, is_ending=True), Step.STAY),
    # The namespace that is missing may be the one that the object is in, called otherwise.
    (replace(HELD, lacks=True, namespace_is_coming=True), Step.AWAIT_NAMESPACE),
    (replace(HELD, namespace_is_coming=True), Step.MAINTAIN),
    # Nobody wants it any more.
    (UNWANTED, Step.FORGET),
    (replace(UNWANTED, failed=True), Step.FORGET),
    (LEAVING, Step.GIVE_UP),
    (replace(LEAVING, is_ending=True), Step.GIVE_UP),
    (replace(LEAVING, is_ending=True, failed=True), Step.STAY),
    (replace(LEAVING, is_ending=True, failed=True, is_adopted=True), Step.LET_GO),
    (replace(LEAVING, is_ending=True, failed=True, is_adopted=True, is_tried_again=True), Step.STAY),
    (replace(HELD, is_misplaced=True, is_ending=True, failed=True, is_adopted=True), Step.STAY),
    # What had to make way gets its name again, before its item is forgotten, but not before its own link has gone.
    (replace(UNWANTED, can_restore=True), Step.RESTORE),
    (replace(WANTED, lacks=True, can_restore=True), Step.RESTORE),
    (replace(LEAVING, can_restore=True), Step.GIVE_UP),
]


@pytest.mark.parametrize(("situation", "step"), TABLE)
def test_the_next_step(situation: Situation, step: Step) -> None:
    assert decide(situation) is step


def situations() -> list[Situation]:
    names = [one.name for one in fields(Situation)]
    return [Situation(**dict(zip(names, values, strict=True))) for values in product((False, True), repeat=len(names))]


def test_what_is_not_held_is_never_given_up_and_what_is_held_never_made_again() -> None:
    for one in situations():
        step = decide(one)
        if one.holds:
            assert step not in (Step.ACQUIRE, Step.FORGET)
        else:
            assert step not in (Step.GIVE_UP, Step.LET_GO, Step.MAINTAIN, Step.STAY)


def test_what_others_made_is_deleted_by_nobody_and_what_was_made_here_never_left_behind() -> None:
    assert all(one.is_adopted for one in situations() if decide(one) is Step.LET_GO)


def test_an_item_without_what_it_needs_is_neither_made_nor_changed() -> None:
    for one in situations():
        if not one.wanted or one.lacks or one.is_refused:
            assert decide(one) not in (Step.ACQUIRE, Step.MAINTAIN)

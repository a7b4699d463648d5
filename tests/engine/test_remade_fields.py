"""A link is made anew for another value of a field only where the kernel does not change that in place: of every field of every
kind that this kernel has. (That a link stays the same where it is changed in place, test_every_field.py asks.)"""

from __future__ import annotations

import pytest

from nsplane import Engine
from nsplane.kernel.attributes import Change, table_of

from .conftest import Lab, quiet
from .field_values import is_older
from .test_every_field import HERE, IMPOSSIBLE, MADE, Subject, plan

REMADE = [
    (kind, field.name)
    for kind in HERE
    for field in table_of(MADE[kind].item).fields
    if field.change is not Change.IN_PLACE and (kind, field.name) not in IMPOSSIBLE
]
TAKEN = {
    ("bond", "fail_over_mac"): "as long as there are no slaves",
    ("vxlan", "group"): "Linux 6.1 takes another one, and does not join it",
    ("vxlan", "parent"): "its entry of the forwarding database that leads to `remote` keeps the link that it had",
    ("macvlan", "nopromisc"): "with the link down the lower link's promiscuity is counted below nothing",
    ("macvtap", "nopromisc"): "the same",
    ("netkit", "policy"): "of the end that was made first alone",
}
"""What the kernel takes, and wrongly."""


@pytest.mark.parametrize(("kind", "field"), REMADE)
def test_what_is_made_anew_the_kernel_does_not_change_in_place(engine: Engine, lab: Lab, kind: str, field: str) -> None:
    subject = Subject(lab, kind, field)
    first, second = subject.values()
    if is_older(field) or engine.put([*subject.others(), subject.item(first)], timeout=10)["counts"].keys() != {"configured"}:
        return  # this kernel has no such field
    quiet(engine)
    if plan(engine, [subject.item(second)]) == "change" or (kind, field) in TAKEN:
        return
    try:
        subject.damage(second)
    except OSError:
        return
    assert not subject.is_so(second)

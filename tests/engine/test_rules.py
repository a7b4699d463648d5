"""What a field wants of others is checked by the engine and said in the schema, alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from jsonschema import Draft202012Validator

from nsplane.errors import ItemError
from nsplane.model.rules import GIVEN, check_wants, schema_rules, wants


class Tunnel(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[int, wants(external=False)] | None = None
    remote: str | None = None
    parent: str | None = None
    group: Annotated[str | None, wants(parent=GIVEN, remote=None)] = None
    external: bool = False
    learning: bool = True
    gpe: Annotated[bool, wants(external=True, learning=False)] = False
    mode: Literal["vepa", "source"] = "vepa"
    sources: Annotated[tuple[str, ...], wants(mode="source")] = ()


RULES = Draft202012Validator({"allOf": schema_rules(Tunnel)})


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"id": 7},
        {"id": None, "external": True},
        {"group": "239.1.1.1", "parent": "eth0"},
        {"group": "239.1.1.1", "parent": "eth0", "remote": None},
        {"gpe": True, "external": True, "learning": False},
        {"gpe": False},
        {"sources": []},
        {"sources": ["a"], "mode": "source"},
    ],
    ids=str,
)
def test_what_goes_together(item: dict[str, Any]) -> None:
    check_wants(msgspec.convert(item, Tunnel))
    RULES.validate(item)


@pytest.mark.parametrize(
    ("item", "field", "says"),
    [
        ({"id": 7, "external": True}, "id", "cannot be given together with external"),
        ({"group": "239.1.1.1"}, "group", "wants parent"),
        ({"group": "239.1.1.1", "parent": None}, "group", "wants parent"),
        ({"group": "239.1.1.1", "parent": "eth0", "remote": "10.0.0.1"}, "group", "cannot be given together with remote"),
        ({"gpe": True}, "gpe", "wants external"),
        ({"gpe": True, "external": True}, "gpe", "cannot be given together with learning"),
        ({"sources": ["a"]}, "sources", "wants mode to be source"),
    ],
    ids=str,
)
def test_what_does_not(item: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(ItemError) as wrong:
        check_wants(msgspec.convert(item, Tunnel))
    assert (wrong.value.field, str(wrong.value)) == (field, f"{field}: {says}")
    assert not RULES.is_valid(item)

"""Intermediate functional blocks: links to which `tc` hands what it is to shape."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.model.links import LinkItem


class Ifb(LinkItem, frozen=True, kw_only=True, tag="ifb"):
    """An intermediate functional block."""


KIND = CreatedKind(Ifb, "ifb")

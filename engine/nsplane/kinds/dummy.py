"""dummy: links that take every packet and send none."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.model.links import LinkItem


class Dummy(LinkItem, frozen=True, kw_only=True, tag="dummy"):
    """A link that takes every packet and sends none: a place for addresses."""


KIND = CreatedKind(Dummy, "dummy")

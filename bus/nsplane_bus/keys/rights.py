"""What a key may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nsplane.intake import Asked

READ, GATE, ADMIN, PUBLISH = "read", "gate", "admin", "publish="
READS = frozenset(("get", "info", "plan", "history"))
CHANGES = frozenset(("put", "replace", "delete", "sweep", "confirm"))
"""What is done as a source. `confirm` is done as the source of what it confirms."""


class NoRight(ValueError):
    """A word that is no right."""


@dataclass(frozen=True)
class Rights:
    """What a key may do; `sources` are those as which it may publish: each a name, or with `*` at its end what names begin with."""

    read: bool = False
    gate: bool = False
    admin: bool = False
    sources: tuple[str, ...] = ()

    @property
    def may_read(self) -> bool:
        return self.read or self.admin

    def words(self) -> list[str]:
        """As they stand in the list."""
        plain = [word for word, has in ((READ, self.read), (GATE, self.gate), (ADMIN, self.admin)) if has]
        return [*plain, *(PUBLISH + source for source in self.sources)]

    def refusal(self, asked: Asked) -> tuple[str, str] | None:
        """What of it is not permitted, as words that follow on `may not`, and the field that says so; None where it is permitted.
        What nobody has thought of here is for who may do everything."""
        op, source = asked.op, asked.source
        if self.admin:
            return None
        if op in READS:
            return None if self.read else (f"{op} (the right {READ})", "op")
        if op == "microservice":
            return None if self.gate else (f"say what runs (the right {GATE})", "op")
        if op not in CHANGES:
            return f"{op} (the right {ADMIN})", "op"
        if asked.force:
            return f"{op} across sources (the right {ADMIN})", "force"
        if op == "confirm" and source is None:
            return "confirm what is not known to wait", "revision"
        if source is None or not self.publishes_as(source):
            return f"{op} as source {source!r} (the right {PUBLISH}{source})", "revision" if op == "confirm" else "source"
        return None

    def publishes_as(self, source: str) -> bool:
        return any(source.startswith(one[:-1]) if one.endswith("*") else source == one for one in self.sources)


def rights_of(words: Sequence[str] | Iterable[str]) -> Rights:
    """What words say. NoRight names one that says nothing."""
    plain: set[str] = set()
    sources: dict[str, None] = {}
    for word in words:
        source = word.removeprefix(PUBLISH)
        if word in (READ, GATE, ADMIN):
            plain.add(word)
        elif source != word and source and "*" not in source[:-1] and len(source.encode(errors="surrogateescape")) <= 255:
            sources[source] = None
        else:
            raise NoRight(f"{word!r} is none of {READ}, {GATE}, {ADMIN}, {PUBLISH}SOURCE (a * may end it)")
    if not plain and not sources:
        raise NoRight(f"it has no right: {READ}, {GATE}, {ADMIN}, {PUBLISH}SOURCE")
    return Rights(READ in plain, GATE in plain, ADMIN in plain, tuple(sources))

"""What a forwarder asks and is answered: strings, each ended by a NUL, and an empty one at the end of a question.

nsplane-gate/1, what is asked, then fields NAME=VALUE. The answer is a word and a reason, which is empty or one line. Each
connection has one question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ..printable import printable

PROTOCOL = b"nsplane-gate/1"
END = b"\0\0"
"""No string but the last is empty."""
REQUEST_LIMIT = 256 << 10
"""Bytes of a question."""
REASON_LIMIT = 1_000
"""Bytes of a reason."""
LONGEST = 3_600.0
"""Seconds that a start may be held."""

Verb = Literal["start", "create", "add", "check", "del", "gc", "status"]
VERBS: tuple[Verb, ...] = get_args(Verb)
Word = Literal["ok", "refused", "ignored", "late"]
FIELDS: Mapping[str, frozenset[str]] = {
    "start": frozenset(("id", "bundle", "pid", "deadline_ms")),
    "create": frozenset(("state", "deadline_ms")),
    **dict.fromkeys(("add", "check", "del", "gc", "status"), frozenset(("id", "netns", "ifname", "args", "config", "deadline_ms"))),
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "start": ("id", "bundle", "pid"),
    "create": ("state",),
    "add": ("id", "netns"),
    "check": ("id",),
    "del": ("id",),
}


class NotAsked(ValueError):
    """This is no question."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a forwarder asks. An answer is wanted within `seconds`."""

    verb: Verb
    fields: Mapping[str, str]
    seconds: float

    def get(self, name: str) -> str:
        """A field; empty where it was left out."""
        return self.fields.get(name, "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of it. `late`: it cannot be said, and the forwarder decides by its policy."""

    word: Word
    reason: str = ""

    def encode(self) -> bytes:
        reason = printable(self.reason).encode(errors="replace")[:REASON_LIMIT].decode(errors="ignore")
        return f"{self.word}\0{reason}\0".encode()


def decode(data: bytes, longest: float) -> Question:
    """A question, with what ends it; one that names no deadline gets the longest. NotAsked."""
    if not data.endswith(END):
        raise NotAsked("the question has no end")
    first, *rest = data[: -len(END)].split(b"\0")
    if first != PROTOCOL:
        raise NotAsked(f"it begins with {first[:32]!r} and not with {PROTOCOL.decode()}")
    said = rest.pop(0).decode(errors="replace") if rest else ""
    verb = next((verb for verb in VERBS if verb == said), None)
    if verb is None:
        raise NotAsked(f"{said[:32]!r} is none of {', '.join(VERBS)}")
    fields: dict[str, str] = {}
    for one in rest:
        name, equals, value = one.decode(errors="surrogateescape").partition("=")
        if not equals or name not in FIELDS[verb] or name in fields:
            raise NotAsked(f"{verb}: {name[:32]!r} is no field, or there twice")
        fields[name] = value
    missing = [name for name in NEEDED.get(verb, ()) if not fields.get(name)]
    if missing:
        raise NotAsked(f"{verb}: {', '.join(missing)} is missing")
    return Question(verb, fields, _seconds(fields.get("deadline_ms"), longest))


def _seconds(text: str | None, longest: float) -> float:
    if text is None:
        return longest
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise NotAsked(f"deadline_ms: {text[:32]!r} is no number of milliseconds")
    return min(int(text) / 1000, LONGEST)

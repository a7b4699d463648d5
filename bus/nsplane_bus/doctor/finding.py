"""What a look at the machine has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["ok", "note", "warning", "problem"]


@dataclass(slots=True, frozen=True)
class Finding:
    """`topic` is what was looked at, `text` what is so, `mend` the command that changes it (empty: none does, or none has to).

    `ok`: as it is to be. `note`: good to know. `warning`: something may go wrong by it. `problem`: something does not work.
    """

    topic: str
    state: State
    text: str
    mend: str = ""


@dataclass(slots=True, frozen=True)
class Agent:
    """The agent that was found: what it says of itself (nothing where none answers), its id and where its state would be."""

    info: Mapping[str, Any]
    agent_id: str
    state_directory: Path | None
    why: str = ""
    """Why none answers."""

    @property
    def process(self) -> Path:
        """The agent's process under /proc or, without an agent, this one."""
        here = Path(f"/proc/{self.info['pid']}") if self.info else Path("/proc/self")
        return here if here.exists() else Path("/proc/self")

    def told(self, *path: str) -> Any:
        """What it says under these names; None where it does not."""
        found: Any = self.info
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


@dataclass(slots=True)
class Findings:
    """All that was found, in the order in which it was looked for."""

    all: list[Finding] = field(default_factory=list)

    def add(self, topic: str, state: State, text: str, mend: str = "") -> None:
        self.all.append(Finding(topic, state, text, mend))

"""All looks, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from .docker_engine import look_at_docker
from .finding import Agent, Finding, Findings
from .gate import look_at_gate
from .machine import look_at_kernel, look_at_kinds, look_at_networkd, look_at_settings
from .running import (
    look_at_agent,
    look_at_descriptors,
    look_at_journal,
    look_at_leftovers,
    look_at_mounts,
    look_at_privileges,
)

LOOKS: tuple[Callable[[Agent, Findings], None], ...] = (
    look_at_agent,
    look_at_kernel,
    look_at_kinds,
    look_at_privileges,
    look_at_mounts,
    look_at_descriptors,
    look_at_settings,
    look_at_networkd,
    look_at_docker,
    look_at_gate,
    look_at_journal,
    look_at_leftovers,
)


def look(agent: Agent) -> list[Finding]:
    """What is so on this machine, with this agent or without one."""
    found = Findings()
    for one in LOOKS:
        one(agent, found)
    return found.all

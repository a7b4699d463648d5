"""Whose the links are: an id that stays the same over restarts."""

from __future__ import annotations

import hashlib
import platform


def machine_id(salt: str = "") -> str:
    """Eight hexadecimal digits of this machine and, for one of several agents on it, of what tells it from the others."""
    try:
        with open("/etc/machine-id", "rb") as file:
            machine = file.read().strip()
    except OSError:
        machine = platform.node().encode()
    return hashlib.sha256(b"nsplane " + machine + salt.encode()).hexdigest()[:8]


def mark(agent_id: str, key: str) -> str:
    """The alias of a link that an agent made: whose it is, and what for. One that it made for a name bears it on `lo`."""
    return f"nsplane:{agent_id}:{_hash(key)}"


def lent_mark(agent_id: str, key: str) -> str:
    """What the alias of a link begins with that somebody else made and an agent moved: behind it stands the name that it had."""
    return f"nsplane-lent:{agent_id}:{_hash(key)}:"


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:16]

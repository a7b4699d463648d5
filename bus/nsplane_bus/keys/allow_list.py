"""The list of the keys that are allowed: a line for each, of a name, the public key, and rights.

    # name  public key                                rights
    lab     Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID  read publish=lab publish=lab-*

A line that is faulty allows nobody; two lines of one name or one key allow neither.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import BadKey
from .rights import NoRight, Rights, rights_of
from .text import is_key

FILE = "allowed"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")
LIMIT = 8 << 20
HEAD = "# Who may use the bus by TCP. Name, public key, rights: read, gate, admin, publish=SOURCE (a * may end it).\n"


class Allowed(NamedTuple):
    """Whose key it is, and what that may do."""

    name: str
    public: str
    rights: Rights


class Fault(NamedTuple):
    """A line that allows nobody."""

    line: int
    why: str


@dataclass(frozen=True)
class Contents:
    """What a list says. `stamp` changes with the file."""

    allowed: tuple[Allowed, ...] = ()
    faults: tuple[Fault, ...] = ()
    stamp: str = ""


def read_list(path: Path) -> Contents:
    """What the list says; of one that is not there, nothing. BadKey where it cannot be read, or others could write it."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BadKey(f"{path}: is no file")
            if found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o022:
                raise BadKey(f"{path}: others can write it (user {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o})")
            text = file.read(LIMIT + 1)
    except FileNotFoundError:
        return Contents()
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}") from None
    if len(text) > LIMIT:
        raise BadKey(f"{path}: is longer than {LIMIT >> 20} MiB")
    return parsed(text.decode(errors="surrogateescape"), stamp_of(found))


def stamp_of(found: os.stat_result) -> str:
    return f"{found.st_ino}.{found.st_mtime_ns}.{found.st_ctime_ns}.{found.st_size}"


def parsed(text: str, stamp: str = "") -> Contents:
    found: list[tuple[int, Allowed]] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            found.append((number, _line(words)))
        except (NoRight, BadKey) as error:
            faults.append(Fault(number, error.message if isinstance(error, BadKey) else str(error)))
    names, keys = Counter(one.name for _, one in found), Counter(one.public for _, one in found)
    for number, one in found:
        if names[one.name] > 1 or keys[one.public] > 1:
            faults.append(Fault(number, f"{one.name}: its {'name' if names[one.name] > 1 else 'key'} is there twice"))
    allowed = (one for _, one in found if names[one.name] == keys[one.public] == 1)
    return Contents(tuple(allowed), tuple(sorted(faults)), stamp)


def _line(words: list[str]) -> Allowed:
    name, public, *rights = [*words, ""][:2] + words[2:]
    if not NAME.fullmatch(name):
        raise BadKey(f"{name!r} is no name: 1 to 64 letters, digits, '_', '.', '@' and '-'")
    if not is_key(public):
        raise BadKey(f"{name}: its key is none (40 characters)")
    return Allowed(name, public, rights_of(rights))


class ListFile:
    """The list of a directory, for who changes it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / FILE

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes it meanwhile by this way."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def put(self, one: Allowed) -> None:
        """Its line is this one. BadKey where the name is another key's, or the key another name's."""
        for other in read_list(self.path).allowed:
            if (other.name == one.name) != (other.public == one.public):
                what = f"{one.name} has another key" if other.name == one.name else f"this key is that of {other.name}"
                raise BadKey(f"{what}: revoke it first")
        lines = self._lines_without(one.name)
        self._write([*lines, f"{one.name}  {one.public}  {' '.join(one.rights.words())}\n"])

    def take(self, name: str) -> None:
        """All of its lines, also faulty ones. BadKey where it has none."""
        lines = self._lines()
        left = self._lines_without(name)
        if len(left) == len(lines):
            raise BadKey(f"{name} is not in {self.path}")
        self._write(left)

    def _lines(self) -> list[str]:
        read_list(self.path)  # is it one that may be gone by?
        if not self.path.exists():
            return [HEAD]
        text = self.path.read_text(errors="surrogateescape")
        return [line + "\n" for line in text.removesuffix("\n").split("\n")] if text else []

    def _lines_without(self, name: str) -> list[str]:
        return [line for line in self._lines() if line.split()[:1] != [name]]

    def _write(self, lines: list[str]) -> None:
        """In one step, so that no reader sees half of it, and none is left after a crash."""
        made = self.path.with_name(f".{FILE}.{os.getpid()}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", errors="surrogateescape") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        made.rename(self.path)

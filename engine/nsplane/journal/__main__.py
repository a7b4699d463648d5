"""What an engine has done by a process beside it: see reader_process.py."""

import os
import sqlite3
import sys
from pathlib import Path

import msgspec

from nsplane.errors import Lost
from nsplane.journal import inverse, snapshot
from nsplane.journal.reader_process import NICE


def main(what: str, directory: Path, seq: int) -> None:
    os.nice(NICE)
    try:
        if what == "snapshot":
            snapshot.make(directory, seq)
        else:
            sys.stdout.buffer.write(msgspec.msgpack.encode(inverse.changes(directory, seq)))
    except (Lost, sqlite3.Error) as error:
        sys.exit(str(error))


main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))

"""What a recorded request has changed, found by carrying out again what came before it.

    python -m nsplane.journal.inverse DIRECTORY SEQ

is what an engine runs beside itself to take a request back. It prints the changes, as msgpack.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from nsplane.changes import Change, Changes
from nsplane.journal.offline import Offline
from nsplane.journal.store import Journal, open_reader, read_frame, read_frames
from nsplane.kernel import Frame
from nsplane.requests import Changing, decode_envelope


class Inversion:
    """The changes of a request, being found."""

    def __init__(self, journal: Journal, seq: int) -> None:
        self._found = os.memfd_create("changes")
        command = [sys.executable, "-m", "nsplane.journal.inverse", str(journal.directory), str(seq)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._found)
        self.pidfd = os.pidfd_open(self._process.pid)

    def finish(self) -> list[Change] | None:
        """Its process has ended: the changes, or None where they cannot be found."""
        os.close(self.pidfd)
        failed = self._process.wait() != 0
        os.lseek(self._found, 0, os.SEEK_SET)
        with open(self._found, "rb") as file:
            data = file.read()
        return None if failed else msgspec.msgpack.decode(data, type=list[Change])


def changes(directory: Path, seq: int) -> list[Change]:
    """What the request has changed."""
    with contextlib.closing(open_reader(directory)) as db:
        offline = Offline.after(read_frames(db, directory, seq))
        data = read_frame(db, seq)
    frame = Frame()
    frame.read(data)
    envelope = decode_envelope(frame.envelope)
    assert isinstance(envelope, Changing)
    return Changes(offline.core, offline.planner).of(envelope, frame)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.msgpack.encode(changes(Path(sys.argv[1]), int(sys.argv[2]))))

"""What other users meet who connect to an agent."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .conftest import NSPLANE, RunningAgent

NOBODY, MEMBER, GROUP = 23451, 23452, 23459
"""Numbers of users and of a group that no machine's list has."""


def greeting(path: Path, user: int, group: int, more: Sequence[int] = ()) -> bytes | int:
    """The first byte that comes over a socket to a user with these groups: none where the connection is ended at once. An errno
    where there is no connection."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        try:
            os.setgroups(list(more))
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(60)
                try:
                    connection.connect(str(path))
                    theirs.send(b"+" + connection.recv(1))
                except ConnectionResetError:
                    theirs.send(b"+")
                except OSError as error:
                    theirs.send(b"-%d" % (error.errno or 0))
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        came = ours.recv(16)
    os.waitpid(child, 0)
    return came[1:] if came.startswith(b"+") else int(came[1:])


def nsplane(agent: RunningAgent, user: int, group: int, *command: str, has: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `nsplane COMMAND...` as such a user, to its end; it may have a capability."""
    capabilities = (f"--inh-caps=+{has}", f"--ambient-caps=+{has}") if has else ()
    as_user = ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *capabilities)
    environment = os.environ | {"NSPLANE_RUNTIME_DIR": str(agent.directory)}
    return subprocess.run([*as_user, *NSPLANE, *command], capture_output=True, text=True, timeout=60, env=environment, cwd="/")

"""What is secret of a key, and where it may stand: in a file that nobody else can read, or in the environment; never in an
argument, which everybody on the machine can read.

A file has lines of a name and a value, `public`, `secret` and (a client's) `server`, the server's public key: by that the client
knows that it talks to the agent that it means.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from ..errors import BadKey
from .text import is_key

FILE, SECRET, SERVER = "NSPLANE_KEY_FILE", "NSPLANE_KEY", "NSPLANE_SERVER_KEY"
FILE_LIMIT = 4_096
NAMES = ("public", "secret", "server")


@dataclass(frozen=True)
class Key:
    """A client's key, and the public key of the server that it goes to."""

    secret: str = field(repr=False)
    server: str

    @property
    def public(self) -> str:
        return public_of(self.secret)

    def secure(self, socket: zmq.Socket[bytes]) -> None:
        """What this socket connects to from now on is that server, or is not reached."""
        socket.curve_secretkey = self.secret.encode()
        socket.curve_publickey = self.public.encode()
        socket.curve_serverkey = self.server.encode()


def key_for(endpoint: str, given: Key | str | Path | None) -> Key | None:
    """The key that an endpoint wants: the one given, or of the file given, else that of the environment; None where it wants none.
    BadKey where there is none, or none that is right."""
    if not endpoint.startswith("tcp://"):
        return None
    if isinstance(given, Key):
        return given
    server = os.environ.get(SERVER) or None
    secret = os.environ.get(SECRET)
    if given is None and secret:
        return made_of({"secret": secret} | ({"server": server} if server else {}), f"${SECRET}")
    path = given or os.environ.get(FILE)
    if not path:
        raise BadKey(f"{endpoint} wants a key: name its file by --key-file or {FILE}, or put it into {SECRET}")
    found = read_private(Path(path))
    if server:
        found["server"] = server
    return made_of(found, str(path))


def made_of(found: dict[str, str], where: str) -> Key:
    """The client's key that was found somewhere. BadKey."""
    for name, value in found.items():
        if not is_key(value):
            raise BadKey(f"{where}: {name} is no key (40 characters)")
    if "secret" not in found:
        raise BadKey(f"{where}: there is no secret in it")
    if "server" not in found:
        raise BadKey(f"{where}: it has no `server`, the agent's public key (`nsplane keys server` prints it), nor has {SERVER}")
    if found.get("public", public_of(found["secret"])) != public_of(found["secret"]):
        raise BadKey(f"{where}: its public key is not that of its secret")
    return Key(found["secret"], found["server"])


def public_of(secret: str) -> str:
    return zmq.curve_public(secret.encode()).decode()


def read_private(path: Path) -> dict[str, str]:
    """What a file says that only its owner, who is this user or root, can read. BadKey says what is wrong with it."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BadKey(f"{path}: is no file")
            if found.st_uid not in (os.geteuid(), 0):
                raise BadKey(f"{path}: belongs to user {found.st_uid}")
            if found.st_mode & 0o077:
                raise BadKey(f"{path}: is open to others (mode {stat.S_IMODE(found.st_mode):04o}): chmod 600 {path}")
            data = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}") from None
    fields: dict[str, str] = {}
    try:
        lines = data.decode("ascii").splitlines() if len(data) <= FILE_LIMIT else ["?"]
    except UnicodeDecodeError:
        lines = ["?"]
    for number, line in enumerate(lines, 1):
        name, *values = line.split()[:3] or ["#"]
        if name.startswith("#"):
            continue
        if name not in NAMES or name in fields or len(values) != 1:
            raise BadKey(f"{path}: line {number} is none of `public KEY`, `secret KEY`, `server KEY`, each once")
        fields[name] = values[0]
    return fields


def write_private(path: Path, fields: dict[str, str], title: str) -> None:
    """Makes a file that only this user can read. BadKey where there is one already."""
    text = "".join([f"# {title}\n", *(f"{name} {value}\n" for name, value in fields.items())])
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except FileExistsError:
        raise BadKey(f"{path}: is there already, and is left as it is") from None
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}") from None


def refuse_shared(directory: Path) -> None:
    """BadKey where others could put something into a directory."""
    found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (os.geteuid(), 0) or mode & 0o022:
        raise BadKey(f"{directory}: others can write there (user {found.st_uid}, mode {mode:04o}): chmod 700 {directory}")


def new_pair() -> tuple[str, str]:
    """A public key and its secret."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


class ServerPair:
    """The agent's own pair, in the file server.key of its directory of keys."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "server.key"

    def read(self) -> tuple[str, str]:
        """Its public key and its secret. BadKey."""
        found = read_private(self.path)
        secret = found.get("secret", "")
        if not is_key(secret) or found.get("public") != public_of(secret):
            raise BadKey(f"{self.path}: it has no secret with the public key that belongs to it")
        return found["public"], secret

    def made(self) -> str:
        """Its public key; there is one from now on. BadKey."""
        if not self.path.exists():
            public, secret = new_pair()
            write_private(
                self.path, {"public": public, "secret": secret}, "nsplane: the key of the agent. Whoever has it is the agent."
            )
        return self.read()[0]

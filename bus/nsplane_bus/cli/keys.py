"""nsplane keys: who may use the bus by TCP."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ..client import Client
from ..errors import BadKey, BusError
from ..keys.allow_list import NAME, Allowed, ListFile, read_list
from ..keys.pair import ServerPair, new_pair, public_of, read_private, refuse_shared, write_private
from ..keys.rights import NoRight, rights_of
from ..keys.text import is_key
from ..protocol import is_ipc
from .key_options import keys_dir, keys_directory
from .output import print_json, print_table, say
from .settings import Settings, pass_settings, where

SECONDS = 20.0
"""How long the agent may take to do what follows from a change of the list."""
AGAIN_SECONDS = 0.02


@click.group()
def keys() -> None:
    """Say who may use the bus by TCP, and what each may do.

    The agent (`nsplane agent --tcp`) hears of it at once, and who is not allowed any more loses its connections.
    """


@keys.command()
@keys_dir
def server(keys: Path | None) -> None:
    """Print the agent's public key, which clients know it by; make its key where there is none."""
    directory = keys_directory(keys)
    made_private(directory)
    click.echo(ServerPair(directory).made())


@keys.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--server", "public_of_server", metavar="KEY", help="The agent's public key [default: of the agent of this machine].")
@keys_dir
def new(file: Path, public_of_server: str | None, keys: Path | None) -> None:
    """Make a client's key: FILE, which only its owner can read. Prints its public key, which `nsplane keys allow` takes.

    The secret stays in FILE: make it where it is used, with --server, or carry the file there.
    """
    if public_of_server is not None and not is_key(public_of_server):
        raise click.UsageError(f"{public_of_server!r} is no key: 40 characters, as `nsplane keys server` prints it.")
    of_server = public_of_server or ServerPair(keys_directory(keys)).read()[0]
    public, secret = new_pair()
    write_private(
        file, {"public": public, "secret": secret, "server": of_server}, "nsplane: a client's key. Whoever has it is that client."
    )
    click.echo(public)


@keys.command()
@click.argument("name")
@click.argument("key")
@click.argument("rights", nargs=-1, required=True)
@keys_dir
@where(key=False)
@pass_settings
def allow(settings: Settings, name: str, key: str, rights: tuple[str, ...], keys: Path | None) -> None:
    """Let a key in, or give the key of that name other rights.

    KEY is public, or the file that `nsplane keys new` made. RIGHTS are words: `read` (what is wanted and there, history, events),
    `publish=SOURCE` (items of this source; `publish=web-*` of all that begin so), `gate` (what runs), `admin` (everything).
    """
    if not NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} is no name: 1 to 64 letters, digits, '_', '.', '@' and '-'.")
    try:
        one = Allowed(name, public_key(key), rights_of(rights))
    except NoRight as error:
        raise click.UsageError(f"{error}.") from None
    listed = ListFile(keys_directory(keys))
    with listed.alone():
        listed.put(one)
    taken_in(settings, listed)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@keys_dir
def list_command(as_json: bool, keys: Path | None) -> None:
    """Print the keys that are allowed, and on standard error the lines that are faulty, which allow nobody."""
    path = ListFile(keys_directory(keys)).path
    found = read_list(path)
    if as_json:
        print_json([{"name": one.name, "key": one.public, "rights": one.rights.words()} for one in found.allowed])
    else:
        print_table(("NAME", "KEY", "RIGHTS"), [(one.name, one.public, " ".join(one.rights.words())) for one in found.allowed])
    for fault in found.faults:
        say(f"nsplane: {path}, line {fault.line}: {fault.why}", err=True)
    if found.faults:
        raise SystemExit(1)


@keys.command()
@click.argument("name")
@keys_dir
@where(key=False)
@pass_settings
def revoke(settings: Settings, name: str, keys: Path | None) -> None:
    """Let a key in no more. Its connections have ended when the command ends."""
    listed = ListFile(keys_directory(keys))
    with listed.alone():
        listed.take(name)
    taken_in(settings, listed)


def public_key(text: str) -> str:
    """The public key that an argument says, or the file that it names has. BadKey."""
    if is_key(text) and not Path(text).exists():
        return text
    secret = read_private(Path(text)).get("secret", "")
    if not is_key(secret):
        raise BadKey(f"{text}: there is no secret in it")
    return public_of(secret)


def made_private(directory: Path) -> None:
    """A directory for secrets, where there is none yet. BadKey where others could put something there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_shared(directory)


def taken_in(settings: Settings, listed: ListFile) -> None:
    """Waits until the agent has done what follows from the list as it is now, if there is one that goes by it. BusError."""
    bus = settings.endpoints.bus
    stamp = read_list(listed.path).stamp
    if not is_ipc(bus):
        return
    try:
        client = Client(bus, timeout=SECONDS)
    except BusError:
        say("nsplane: no agent was reached: one that starts goes by the list", err=True)
        return
    with client:
        end = time.monotonic() + SECONDS
        while True:
            tcp = client.info()["bus"].get("tcp")
            if tcp is None or tcp["directory"] != str(listed.directory):
                say("nsplane: the agent here listens to no keys of this directory", err=True)
                return
            if tcp["list"] == stamp:
                return
            if time.monotonic() > end:
                raise BusError("timeout", f"the agent has not taken in the list within {SECONDS:g} s")
            time.sleep(AGAIN_SECONDS)

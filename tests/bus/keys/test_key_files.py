"""Keys as files and commands: nothing listens without them, and no secret is where others can read it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import zmq
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from nsplane_bus import BadKey, Client
from nsplane_bus.cli import nsplane
from nsplane_bus.door import Reserve
from nsplane_bus.keys.allow_list import Allowed, ListFile, parsed, read_list
from nsplane_bus.keys.keyring import Keyring
from nsplane_bus.keys.pair import Key, ServerPair, key_for, new_pair, write_private
from nsplane_bus.keys.rights import rights_of
from nsplane_bus.keys.text import is_key
from nsplane_bus.protocol import Tcp

from ..conftest import NSPLANE, eventually
from .conftest import Keyed

TCP = "tcp://127.0.0.1:7600"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NSPLANE, *command], capture_output=True, text=True, timeout=60, env=os.environ | environment)


def refused(directory: Path, keys: Path, *options: str) -> str:
    """What an agent says that does not start."""
    done = run("agent", "--no-docker", "--state-dir", "none", "--runtime-dir", str(directory), "--keys-dir", str(keys), *options)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_nothing_listens_without_a_key_of_the_agents_own(directory: Path, tmp_path: Path, two_ports: Callable[[], int]) -> None:
    assert "`nsplane keys server` makes" in refused(directory, tmp_path, "--tcp", str(two_ports()))
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda keys: (keys / "server.key").chmod(0o640), r"server.key: is open to others \(mode 0640\): chmod 600"),
        (lambda keys: (keys / "server.key").write_text("# no secret\n"), "it has no secret with the public key"),
        (lambda keys: (keys / "allowed").write_text("# nobody\nlab nokey read\n"), r"allowed, line 2: lab: its key is none \(40"),
        (lambda keys: keys.chmod(0o770), r"others can write there \(user 0, mode 0770\): chmod 700"),
        (lambda keys: (keys / "allowed").chmod(0o622), "allowed: others can write it"),
        (lambda keys: (keys / "allowed").write_bytes(bytes((8 << 20) + 1)), "allowed: is longer than 8 MiB"),
    ],
)
def test_what_is_not_right_is_named_before_anything_listens(change: Callable[[Path], object], why: str, tmp_path: Path) -> None:
    ServerPair(tmp_path).made()
    (tmp_path / "allowed").touch(0o600)
    change(tmp_path)
    with zmq.Context() as context, pytest.raises(BadKey, match=why):
        Keyring(context, Tcp(TCP, tmp_path), Reserve())


def test_the_commands_from_the_first_key_to_its_end(keyed: Keyed, tmp_path: Path) -> None:
    where = {"NSPLANE_KEYS_DIR": str(keyed.listed.directory), "NSPLANE_RUNTIME_DIR": str(keyed.agent.directory)}
    file = tmp_path / "lab.key"
    assert run("keys", "server", **where).stdout.strip() == keyed.server
    public = run("keys", "new", str(file), **where).stdout.strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("keys", "allow", "lab", str(file), "read", "publish=lab", **where).returncode == 0
    assert re.search(rf"^lab +{re.escape(public)} +read publish=lab$", run("keys", "list", **where).stdout, re.MULTILINE)
    client = {"NSPLANE_BUS": keyed.bus}
    secret = next(line.split()[1] for line in file.read_text().splitlines() if line.startswith("secret "))
    assert run("--key-file", str(file), "info", **client).returncode == 0
    assert run("info", **client, NSPLANE_KEY=secret, NSPLANE_SERVER_KEY=keyed.server).returncode == 0
    assert run("keys", "revoke", "lab", **where).returncode == 0
    done = run("info", "--key-file", str(file), **client)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it does not let this key in" in done.stderr
    assert secret not in keyed.agent.log


def test_a_name_has_one_key_and_a_key_one_name(tmp_path: Path) -> None:
    one, other = new_pair()[0], new_pair()[0]
    listed = ListFile(tmp_path)
    listed.put(Allowed("a", one, rights_of(["read"])))
    with pytest.raises(BadKey, match="a has another key: revoke it first"):
        listed.put(Allowed("a", other, rights_of(["read"])))
    with pytest.raises(BadKey, match="this key is that of a: revoke it first"):
        listed.put(Allowed("b", one, rights_of(["read"])))
    listed.put(Allowed("a", one, rights_of(["gate"])))
    (found,) = read_list(listed.path).allowed
    assert found.rights.words() == ["gate"]
    assert listed.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadKey, match="b is not in"):
        listed.take("b")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("c", new_pair()[0], "write"), "'write' is none of read, gate, admin"),
        (("c", new_pair()[0]), "RIGHTS"),
        (("a b", new_pair()[0], "read"), "'a b' is no name"),
        (("c", "nokey", "read"), "nokey: No such file"),
    ],
)
def test_what_cannot_be_allowed_is_named(arguments: tuple[str, ...], why: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(nsplane, ["keys", "allow", *arguments, "--keys-dir", str(tmp_path), "--runtime-dir", str(tmp_path)])
    assert done.exit_code in (1, 2)
    assert why in done.output + str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_comments_and_what_others_wrote_stay(tmp_path: Path) -> None:
    public, other = new_pair()[0], new_pair()[0]
    listed = ListFile(tmp_path)
    listed.path.write_text(f"# ours\n\na  {public} read   gate\nb {other} read\n# end")
    listed.take("b")
    assert listed.path.read_text() == f"# ours\n\na  {public} read   gate\n# end\n"


def options_of(command: click.Command) -> list[str]:
    if isinstance(command, click.Group):
        within = click.Context(command)
        names = command.list_commands(within)
        below = [name for one in names if (found := command.get_command(within, one)) for name in options_of(found)]
    else:
        below = []
    return [name for one in command.params for name in (*one.opts, *one.secondary_opts)] + below


def test_no_secret_is_an_argument() -> None:
    assert {name for name in options_of(nsplane) if "key" in name or "secret" in name} == {
        "--key-file",
        "--keys-dir",
        "--environment-key",  # of docker's
        "--label-key",
        "key",  # of an item, and the public one of `keys allow`
        "keys",
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    public, secret = new_pair()
    path = tmp_path / "a.key"
    write_private(path, {"public": public, "secret": secret, "server": new_pair()[0]}, "a key")
    return path


def test_a_key_comes_from_its_file(file: Path) -> None:
    key = key_for(TCP, file)
    assert key is not None
    assert key.secret in file.read_text()
    assert key.secret not in repr(key)
    assert key_for("ipc:///run/nsplane/bus.sock", None) is None


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.chmod(0o644), r"is open to others \(mode 0644\): chmod 600"),
        (lambda path: path.chmod(0o620), "is open to others"),
        (lambda path: os.chown(path, 12345, 0), "belongs to user 12345"),
        (lambda path: path.unlink(), "No such file"),
        (to_pipe, "is no file"),
        (lambda path: path.write_text(path.read_text().replace("server", "servers")), "line 4 is none of"),
        (lambda path: path.write_text(path.read_text() + path.read_text()), "each once"),
        (lambda path: path.write_bytes(b"\xff"), "line 1 is none of"),
        (lambda path: path.write_text("#" * 5000), "line 1 is none of"),
        (lambda path: path.write_text("secret x\n"), "secret is no key"),
        (lambda path: path.write_text("\n".join(path.read_text().splitlines()[:3])), "it has no `server`"),
        (lambda path: path.write_text(path.read_text().replace("public ", "#")), None),
        (lambda path: path.write_text(path.read_text().replace("secret ", "# ")), "there is no secret"),
    ],
)
def test_a_key_file_that_is_not_right_is_refused(change: Callable[[Path], object], why: str | None, file: Path) -> None:
    secret = file.read_text().splitlines()[2].split()[1]
    change(file)
    if why is None:
        assert key_for(TCP, file)
        return
    with pytest.raises(BadKey, match=why) as error:
        Client(TCP, key=file)
    assert secret not in str(error.value)


def test_a_pair_that_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    write_private(path, {"public": new_pair()[0], "secret": new_pair()[1], "server": new_pair()[0]}, "a key")
    with pytest.raises(BadKey, match="its public key is not that of its secret"):
        key_for(TCP, path)


def test_a_key_of_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadKey, match="wants a key"):
        key_for(TCP, None)
    found = key_for(TCP, file)
    assert found is not None
    monkeypatch.setenv("NSPLANE_KEY_FILE", str(file))
    assert key_for(TCP, None) == found
    monkeypatch.setenv("NSPLANE_KEY", found.secret)
    with pytest.raises(BadKey, match="has no `server`"):
        key_for(TCP, None)
    monkeypatch.setenv("NSPLANE_SERVER_KEY", other := new_pair()[0])
    assert key_for(TCP, None) == Key(found.secret, other)
    monkeypatch.setenv("NSPLANE_KEY", "x")
    with pytest.raises(BadKey, match="secret is no key"):
        key_for(TCP, None)


KEYS = st.sampled_from([new_pair()[0] for _ in range(4)])
WORDS = st.one_of(
    KEYS,
    st.sampled_from(["a", "b", "read", "admin", "gate", "publish=x", "publish=x*", "publish=*", "#", "", "-", "é", "\0"]),
    st.text(),
)


@given(st.lists(st.lists(WORDS, max_size=5).map(" ".join), max_size=8).map("\n".join))
def test_whatever_a_list_says_nobody_is_allowed_by_accident(text: str) -> None:
    found = parsed(text)
    lines = [line.split() for line in text.split("\n")]
    assert len({one.name for one in found.allowed}) == len({one.public for one in found.allowed}) == len(found.allowed)
    for one in found.allowed:
        assert is_key(one.public)
        (line,) = [words for words in lines if words[:2] == [one.name, one.public]]
        assert set(one.rights.words()) == set(line[2:])
    meant = [words for words in lines if words and not words[0].startswith("#")]
    assert len(found.allowed) + len(found.faults) == len(meant)


def test_the_agents_list_is_what_the_commands_write(keyed: Keyed) -> None:
    assert keyed.info["keys"] == len(read_list(keyed.listed.path).allowed)
    eventually(lambda: keyed.info["faults"] == 0)

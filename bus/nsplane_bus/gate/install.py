"""What docker, podman and CNI have to be told so that they ask the gate: printed, or added to what their files have."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..docker.containers import ENVIRONMENT_KEY
from ..protocol import RUNTIME_DIR
from . import SOCKET
from .containers import POD_ANNOTATIONS

RUNTIME = "nsplane-runc"
HOOK = "nsplane-hook"
DOCKERS_NAME = "nsplane"
"""As which docker knows the runtime: `docker run --runtime nsplane`."""
SECONDS = 10.0
"""For so long a forwarder waits where it is not told."""
MORE_SECONDS = 5
"""A hook that has said nothing for so long beyond its deadline is ended."""
Json = dict[str, Any]
Policy = Literal["open", "closed"]


class CannotInstall(Exception):
    """A file cannot be read or written as it would have to be; says which, and why."""


@dataclass(frozen=True)
class Wish:
    """What forwarders are told: where the gate is, for how many seconds they wait, what they do without an answer, and which
    variable of the environment has a label. Nothing where it is what they do by themselves."""

    socket: Path
    policy: Policy = "open"
    seconds: float = SECONDS
    environment_key: str = ENVIRONMENT_KEY

    def settings(self) -> dict[str, str]:
        """Those that are to be told, by their names."""
        given = {}
        if self.socket != RUNTIME_DIR / SOCKET:
            given["gate"] = str(self.socket)
        if self.policy != "open":
            given["policy"] = self.policy
        if self.seconds != SECONDS:
            given["deadline"] = f"{self.seconds:g}"
        if self.environment_key != ENVIRONMENT_KEY:
            given["environment-key"] = self.environment_key
        return given


@dataclass(frozen=True)
class Engine:
    """A container engine, or what makes networks. `file` is what it reads (of a folder the first file that fits); `program` says
    whether it is on this machine; `entry` is what it is to be told; `add` puts that into what the file has, and says whether that
    was new; `find` is what of ours a file has; `then` is what makes it known."""

    name: str
    file: Path
    program: str
    entry: Callable[[Wish], Json]
    add: Callable[[Json, Json], bool]
    find: Callable[[Json], Json | None]
    then: str

    def written_to(self, place: Path | None) -> Path:
        """The file that is to have it. CannotInstall where a folder has none."""
        chosen = place or self.file
        if not chosen.is_dir():
            return chosen
        if self.name == "podman":
            return chosen / "nsplane.json"
        found = sorted(chosen.glob("*.conflist"))
        if not found:
            raise CannotInstall(f"{chosen} has no *.conflist, to the end of whose plugins it could be added")
        return found[0]


def _docker(wish: Wish) -> Json:
    arguments = [f"--nsplane-{name}={value}" for name, value in wish.settings().items()]
    runtime: Json = {"path": program(RUNTIME)} | ({"runtimeArgs": arguments} if arguments else {})
    return {"runtimes": {DOCKERS_NAME: runtime}}


def _add_to_docker(config: Json, entry: Json) -> bool:
    runtimes = config.setdefault("runtimes", {})
    if not isinstance(runtimes, dict):
        raise CannotInstall("runtimes is no object")
    before = runtimes.get(DOCKERS_NAME)
    runtimes.update(entry["runtimes"])
    return bool(before != runtimes[DOCKERS_NAME])


def _find_in_docker(config: Json) -> Json | None:
    runtimes = config.get("runtimes")
    entries = runtimes.values() if isinstance(runtimes, dict) else ()
    return next((one for one in entries if isinstance(one, dict) and Path(str(one.get("path", ""))).name == RUNTIME), None)


def _podman(wish: Wish) -> Json:
    names = {"gate": "NSPLANE_GATE", "policy": "NSPLANE_GATE_POLICY", "deadline": "NSPLANE_GATE_DEADLINE"}
    names["environment-key"] = "NSPLANE_GATE_ENVIRONMENT_KEY"
    environment = [f"{names[name]}={value}" for name, value in wish.settings().items()]
    hook: Json = {"path": program(HOOK), "timeout": int(wish.seconds) + MORE_SECONDS}
    hook |= {"env": environment} if environment else {}
    return {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": ["createRuntime"]}


def _add_to_podman(config: Json, entry: Json) -> bool:
    before = dict(config)
    config.update(entry)
    return before != config


def _find_in_podman(config: Json) -> Json | None:
    hook = config.get("hook")
    return hook if isinstance(hook, dict) and Path(str(hook.get("path", ""))).name == HOOK else None


def _cni(wish: Wish) -> Json:
    settings: Json = {"environmentKey" if name == "environment-key" else name: value for name, value in wish.settings().items()}
    if "deadline" in settings:
        settings["deadline"] = int(wish.seconds) if wish.seconds.is_integer() else wish.seconds
    return {"type": HOOK, "capabilities": {POD_ANNOTATIONS: True}, **settings}


def _add_to_cni(config: Json, entry: Json) -> bool:
    plugins = config.get("plugins")
    if not isinstance(plugins, list):
        raise CannotInstall("plugins is no list")
    before = _find_in_cni(config)
    if before is None:
        plugins.append(entry)
    else:
        plugins[plugins.index(before)] = {**before, **entry}
    return _find_in_cni(config) != before


def _find_in_cni(config: Json) -> Json | None:
    plugins = config.get("plugins")
    listed = plugins if isinstance(plugins, list) else []
    return next((one for one in listed if isinstance(one, dict) and one.get("type") == HOOK), None)


ENGINES = {
    "docker": Engine(
        "docker",
        Path("/etc/docker/daemon.json"),
        "dockerd",
        _docker,
        _add_to_docker,
        _find_in_docker,
        "systemctl reload docker",
    ),
    "podman": Engine(
        "podman",
        Path("/usr/share/containers/oci/hooks.d/nsplane.json"),
        "podman",
        _podman,
        _add_to_podman,
        _find_in_podman,
        "",
    ),
    "cni": Engine("cni", Path("/etc/cni/net.d"), "", _cni, _add_to_cni, _find_in_cni, ""),
}


def program(name: str) -> str:
    """Where a program of ours is: beside `nsplane`, or else where PATH leads to."""
    beside = Path(sysconfig.get_path("scripts"), name)
    return str(beside) if beside.exists() else shutil.which(name) or str(beside)


def write(engine: Engine, wish: Wish, place: Path | None = None) -> tuple[Path, bool]:
    """Adds what an engine is to be told to its file, of which all else stays. Returns the file, and whether it is another than
    before. CannotInstall."""
    file = engine.written_to(place).resolve()
    config = read(file) if file.exists() else {}
    try:
        is_new = engine.add(config, engine.entry(wish))
    except CannotInstall as error:
        raise CannotInstall(f"{file}: {error}") from None
    if is_new:
        _replace(file, config)
    return file, is_new


def read(file: Path) -> Json:
    """CannotInstall."""
    try:
        text = file.read_text()
        found = json.loads(text) if text.strip() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise CannotInstall(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(found, dict):
        raise CannotInstall(f"{file} is no JSON object")
    return found


def _replace(file: Path, config: Json) -> None:
    """Whole or not at all: an engine that reads it meanwhile has one or the other."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
        handle, path = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with open(handle, "w") as made:
                made.write(f"{json.dumps(config, indent=2)}\n")
                os.fchmod(made.fileno(), mode)
            os.rename(path, file)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise
    except OSError as error:
        raise CannotInstall(f"{file}: {error.strerror}") from None


def installed(engine: Engine) -> tuple[Path, Json] | None:
    """The file in which an engine is told of us, and what; None where it is not. CannotInstall where a file cannot be read."""
    files = sorted(engine.file.glob("*.conflist")) if engine.file.is_dir() else [engine.file]
    for file in files:
        found = engine.find(read(file)) if file.exists() else None
        if found is not None:
            return file, found
    return None

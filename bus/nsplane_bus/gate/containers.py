"""Which microservice a container is, and what it waits for, as its runtime or network plugin knows it.

config.json and the state of a hook: https://github.com/opencontainers/runtime-spec. CNI's fields:
https://github.com/containernetworking/cni/blob/main/SPEC.md and, of pods, CNI_ARGS as kubelet's runtimes give them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nsplane import ItemError, KernelError
from nsplane.model.items import check_label
from nsplane.world.processes import process_start_time

from ..docker.containers import ENVIRONMENT_KEY

LABEL_ANNOTATION = "io.nsplane.label"
WAIT_ANNOTATION = "io.nsplane.wait"
WAIT_KEY = "NSPLANE_WAIT"
POD_ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
"""A capability of CNI's: pods' annotations, in `runtimeConfig` of the configuration."""
POD_LABEL = "{namespace}/{pod}"
CONFIG_LIMIT = 8 << 20
"""Bytes of a config.json."""
KEYS_MOST = 256


class CannotRead(Exception):
    """What a container is cannot be told; says why."""


class BadWish(Exception):
    """A container wishes what cannot be; says what."""


@dataclass(frozen=True)
class Container:
    """A container that is about to start: its process, or the path of its namespace. `wait_for`: the keys that it waits for, where
    it names some."""

    id: str
    label: str | None
    pid: int | None = None
    netns: str | None = None
    start_time: int | None = None
    wait_for: tuple[str, ...] | None = None
    name: str | None = None

    def announced(self) -> dict[str, Any]:
        """As the bus has it."""
        about = {"label": self.label, "pid": self.pid, "netns": self.netns, "start_time": self.start_time}
        return about | {"container": self.id, "name": self.name}


@dataclass(frozen=True)
class Settings:
    """What names a microservice: an environment variable, or an annotation."""

    environment_key: str = ENVIRONMENT_KEY
    annotation: str = LABEL_ANNOTATION


def of_bundle(container_id: str, bundle: str, pid: str, settings: Settings) -> Container:
    """A container of runc's. CannotRead, BadWish."""
    config = _json(_read(Path(bundle) / "config.json"), f"{bundle}/config.json")
    return _of_config(container_id, config, _number(pid, "pid"), {}, settings)


def of_state(state: str, settings: Settings) -> Container:
    """A container of which a hook was told. CannotRead, BadWish."""
    told = _json(state.encode(errors="surrogateescape"), "the state of the container")
    if not isinstance(told.get("id"), str) or not isinstance(told.get("bundle"), str) or not isinstance(told.get("pid"), int):
        raise CannotRead("the state of the container lacks id, bundle or pid")
    config = _json(_read(Path(told["bundle"]) / "config.json"), f"{told['bundle']}/config.json")
    return _of_config(told["id"], config, told["pid"], _texts(told.get("annotations")), settings)


def of_pod(container_id: str, netns: str, args: str, config: str, settings: Settings) -> Container:
    """What a network plugin is called for. CannotRead, BadWish."""
    given = _json(config.encode(errors="surrogateescape"), "the plugin's configuration") if config else {}
    pairs = dict(pair.partition("=")[::2] for pair in args.split(";") if pair)
    runtime = given.get("runtimeConfig")
    annotations = _texts(runtime.get(POD_ANNOTATIONS) if isinstance(runtime, dict) else None)
    fields = {"namespace": pairs.get("K8S_POD_NAMESPACE", ""), "pod": pairs.get("K8S_POD_NAME", ""), "container": container_id}
    template = given.get("label", POD_LABEL)
    if not isinstance(template, str):
        raise BadWish("label of the plugin's configuration is no text")
    label = annotations.get(settings.annotation) or pairs.get(settings.environment_key) or filled(template, fields)
    return Container(
        container_id,
        _checked(label),
        netns=netns or None,
        wait_for=_keys(annotations.get(WAIT_ANNOTATION), WAIT_ANNOTATION),
        name=filled(POD_LABEL, fields),
    )


def filled(template: str, fields: Mapping[str, str]) -> str | None:
    """A label of a template such as {namespace}/{pod}; None where it names what is not known of this container. BadWish."""
    names = re.findall(r"\{(.*?)\}", template)
    unknown = [name for name in names if name not in fields]
    if unknown:
        raise BadWish(f"label: {{{unknown[0]}}} is none of {', '.join(f'{{{name}}}' for name in fields)}")
    if any(not fields[name] for name in names):
        return None
    return re.sub(r"\{(.*?)\}", lambda found: fields[found[1]], template)


def _of_config(
    container_id: str, config: Mapping[str, Any], pid: int, annotations: Mapping[str, str], settings: Settings
) -> Container:
    process = config.get("process")
    listed = process.get("env") if isinstance(process, dict) else None
    values = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    environment = dict(entry.partition("=")[::2] for entry in values)
    annotations = {**_texts(config.get("annotations")), **annotations}
    label = environment.get(settings.environment_key) or annotations.get(settings.annotation)
    name = WAIT_KEY if WAIT_KEY in environment else WAIT_ANNOTATION
    wait_for = _keys(environment.get(WAIT_KEY, annotations.get(WAIT_ANNOTATION)), name)
    try:
        start_time = process_start_time(pid)
    except KernelError as error:
        raise CannotRead(f"process {pid} of the container: {error.strerror}") from None
    return Container(container_id, _checked(label), pid, start_time=start_time, wait_for=wait_for)


def _checked(label: str | None) -> str | None:
    try:
        return check_label(label, "label") if label else None
    except ItemError as error:
        raise BadWish(str(error)) from None


def _keys(text: str | None, name: str) -> tuple[str, ...] | None:
    """Keys with commas between them."""
    keys = tuple(key.strip() for key in (text or "").split(",") if key.strip())
    if len(keys) > KEYS_MOST:
        raise BadWish(f"{name} has more than {KEYS_MOST} keys")
    return keys or None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(CONFIG_LIMIT + 1)
    except FileNotFoundError:  # in the kernel's words podman would take it for the container's command that is missing
        raise CannotRead(f"{file} is not to be seen from here") from None
    except OSError as error:
        raise CannotRead(f"{file}: {error.strerror}") from None
    if len(data) > CONFIG_LIMIT:
        raise CannotRead(f"{file} has more than {CONFIG_LIMIT} bytes")
    return data


def _json(data: bytes, what: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CannotRead(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise CannotRead(f"{what} is no object")
    return found


def _texts(value: object) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 2**31:
        raise CannotRead(f"{name}: {text[:32]!r} is no number of a process")
    return int(text)

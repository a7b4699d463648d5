"""Runs the plugins of a conflist as a container runtime does (the CNI specification 1.1.0, sections 2 and 3)."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..docker.dockerd import STUCK

Json = dict[str, Any]
DEBIANS = Path("/usr/lib/cni")


class PluginError(Exception):
    """What a plugin printed where it failed: `code` and `msg` of it as the specification has them, and whose it was."""

    def __init__(self, plugin: str, printed: Json) -> None:
        super().__init__(f"{plugin}: {printed}")
        self.plugin = plugin
        self.printed = printed
        self.code: int = printed["code"]
        self.msg: str = printed["msg"]


@dataclass
class Attachment:
    """A container's interface in a network. `args` is CNI_ARGS, `capabilities` what the runtime offers of these, `result` what the
    last ADD has returned."""

    container: str
    netns: str
    ifname: str = "eth0"
    args: str = ""
    capabilities: Json = field(default_factory=dict)
    result: Json | None = None

    @property
    def parameters(self) -> dict[str, str]:
        return {
            "CNI_CONTAINERID": self.container,
            "CNI_NETNS": self.netns,
            "CNI_IFNAME": self.ifname,
            "CNI_ARGS": self.args,
        }


class Network:
    """A conflist, whose plugins are looked for in `path` and run in the named namespace `host`, the host's part of the network."""

    def __init__(self, conflist: Json, path: Sequence[Path], host: str) -> None:
        self.name: str = conflist["name"]
        self.version: str = conflist["cniVersion"]
        self.plugins: list[Json] = conflist["plugins"]
        self._path = ":".join(map(str, path))
        self._programs = path
        self._host = host

    def add(self, to: Attachment) -> Json:
        """Adds the container, and returns what the last plugin printed. Raises PluginError of the first that fails."""
        result: Json | None = None
        for plugin in self.plugins:
            result = json.loads(self.call("ADD", plugin, to, result))
        assert result is not None
        to.result = result
        return result

    def check(self, to: Attachment) -> None:
        for plugin in self.plugins:
            assert self.call("CHECK", plugin, to, to.result) == ""

    def delete(self, to: Attachment) -> None:
        for plugin in reversed(self.plugins):
            assert self.call("DEL", plugin, to, to.result) == ""

    def gc(self, valid: Sequence[Attachment]) -> None:
        """Tells every plugin which attachments there are; all others are gone."""
        there = [{"containerID": one.container, "ifname": one.ifname} for one in valid]
        for plugin in self.plugins:
            assert self.call("GC", {**plugin, "cni.dev/valid-attachments": there}) == ""

    def status(self) -> None:
        for plugin in self.plugins:
            assert self.call("STATUS", plugin) == ""

    def call(self, command: str, plugin: Json, to: Attachment | None = None, result: Json | None = None) -> str:
        """What one plugin prints. Raises PluginError where it fails."""
        done = self.called(command, plugin["type"], json.dumps(self._configuration(plugin, to, result)), to)
        if done.returncode:
            raise PluginError(plugin["type"], json.loads(done.stdout))
        return done.stdout

    def called(
        self, command: str, program: str, stdin: str, to: Attachment | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a plugin with this on its standard input, to its end. `more` is added to its environment."""
        found = next(folder / program for folder in self._programs if (folder / program).exists())
        environment = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_PATH": self._path}
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self._host}", found],
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=STUCK,
            env=environment | (to.parameters if to else {}) | more,
        )

    def _configuration(self, plugin: Json, to: Attachment | None, result: Json | None) -> Json:
        """What the plugin is given: its own part, and what is true of the list, the container and its former result."""
        made = copy.deepcopy(plugin) | {"cniVersion": self.version, "name": self.name}
        wanted = made.pop("capabilities", {})
        offered = to.capabilities if to else {}
        if given := {name: value for name, value in offered.items() if wanted.get(name)}:
            made["runtimeConfig"] = given
        if result is not None:
            made["prevResult"] = result
        return made

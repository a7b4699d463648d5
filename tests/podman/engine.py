"""A real podman with storage, settings and networks of its own, in network and mount namespaces of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..bus.conftest import eventually
from ..docker.dockerd import CGROUPS, IMAGE, PATIENCE, STUCK, install_busybox, printed, program, run

PLUGINS = Path("/usr/lib/cni")
"""Debian's CNI plugins."""
KEPT = ("/var/lib/cni", "/var/lib/containers")
"""Where plugins keep which addresses are taken, and podman which images it has seen, whatever it is told."""
NETWORK = "podman"
"""The one that podman makes by itself."""

# As it is beside no system service: no systemd, no journal; its locks are files of its own.
SETTINGS = """\
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
hooks_dir = ["{0}/hooks"]
infra_image = "{2}"
lock_type = "file"
tmp_dir = "{0}/tmp"
[network]
cni_plugin_dirs = [{1}]
network_backend = "cni"
network_config_dir = "{0}/networks"
"""
STORAGE = """\
[storage]
driver = "vfs"
graphroot = "{0}/root"
runroot = "{0}/runroot"
"""


class Podman:
    """One podman; close() takes all of it away. `runtime` is who starts containers where nothing else is said.

    It looks for hooks in `hooks`, for conflists in `networks` and for CNI plugins in `plugins`, and then in Debian's.
    """

    def __init__(self, runtime: str = "runc") -> None:
        self.runtime = runtime
        self.directory = Path(tempfile.mkdtemp(prefix="nspp-"))
        self.name = self.directory.name
        self._program = program("podman")
        self.hooks, self.networks, self.plugins = (self.directory / name for name in ("hooks", "networks", "plugins"))
        for folder in (self.hooks, self.networks, self.plugins):
            folder.mkdir()
        found = ", ".join(json.dumps(str(path)) for path in (self.plugins, PLUGINS))
        (self.directory / "containers.conf").write_text(SETTINGS.format(self.directory, found, IMAGE))
        (self.directory / "storage.conf").write_text(STORAGE.format(self.directory))
        self.environment = {
            "CONTAINERS_CONF": f"{self.directory}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.directory}/storage.conf",
        }
        self._pods: list[str] = []
        self._service: subprocess.Popen[bytes] | None = None
        self._make_namespaces()
        self._write_command()
        self._import_image()

    def podman(self, *arguments: str, check: bool = True) -> str:
        """What podman prints."""
        return printed(self.asked(*arguments), check)

    def asked(self, *arguments: str, runtime: str | None = None) -> subprocess.CompletedProcess[str]:
        """What podman says, whether it succeeded or not. TimeoutExpired where it is stuck."""
        command = self.command(*arguments, runtime=runtime)
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=STUCK, env=os.environ | self.environment
        )

    def command(self, *arguments: str, runtime: str | None = None) -> list[str]:
        """How podman is called, in the environment that `environment` adds to."""
        return [*self._enter, self._program, "--runtime", runtime or self.runtime, *arguments]

    def run(
        self, label: str | None, *options: str, command: Sequence[str] = ("sleep", "600"), runtime: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`podman run`, with the label in its environment; in no network unless the options say otherwise."""
        given = [f"--cgroup-parent=/{self.name}", "--stop-timeout=1", *options]
        if not any(option.startswith(("--network", "--pod=")) for option in options):
            given.append("--network=none")
        if label is not None:
            given.append(f"--env=MICROSERVICE_LABEL={label}")
        return self.asked("run", *given, IMAGE, *command, runtime=runtime)

    def started(self, label: str | None, *options: str, runtime: str | None = None) -> str:
        """Starts a container that sleeps, and returns its id."""
        return printed(self.run(label, "--detach", *options, runtime=runtime), check=True)

    def inspect(self, container: str) -> dict[str, Any]:
        """What podman knows of a container, in its own words."""
        found: list[dict[str, Any]] = json.loads(self.podman("container", "inspect", container))
        return found[0]

    def containers(self) -> list[str]:
        """The ids of all there are, infra containers left out."""
        return self.podman("ps", "--all", "--quiet", "--no-trunc").split()

    def remove_all(self) -> None:
        """`podman rm -f` of every pod and container."""
        self._pods += self.podman("pod", "ps", "--quiet", "--no-trunc").split()
        self.podman("pod", "rm", "--all", "--force", "--time=0")
        self.podman("rm", "--all", "--force", "--time=0", "--volumes")

    def serve(self) -> str:
        """Starts podman's service; where DOCKER_HOST leads to it."""
        socket = self.directory / "podman.sock"
        command = self.command("system", "service", "--time=0", f"unix://{socket}")
        self._service = subprocess.Popen(command, env=os.environ | self.environment, stdin=subprocess.DEVNULL)
        eventually(socket.exists, PATIENCE)
        return f"unix://{socket}"

    def end_service(self) -> None:
        if self._service is not None:
            self._service.send_signal(signal.SIGTERM)
            self._service.wait(PATIENCE)
            self._service = None
            (self.directory / "podman.sock").unlink(missing_ok=True)

    def close(self) -> None:
        """Takes everything of it away; says so where something is left that should not be."""
        self.end_service()
        self.remove_all()
        eventually(lambda: not self.processes(), PATIENCE)
        self._holder.kill()
        self._holder.wait()
        for hierarchy in (CGROUPS, *CGROUPS.iterdir()):
            for group in sorted((hierarchy / self.name).glob("**/"), reverse=True):
                with suppress(FileNotFoundError):  # It has gone already, by the hierarchy's other name.
                    group.rmdir()
            # Of what cannot be told where to be. What stands around it may be another podman's too.
            for left in (*self._pods, "conmon", ""):
                run("rmdir", str(hierarchy / "libpod_parent" / left), check=False)
        shutil.rmtree(self.directory)

    def processes(self) -> dict[int, str]:
        """What runs of it and how it was called, monitors and containers included."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                called, group = (process / "cmdline").read_text(), (process / "cgroup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # It has ended meanwhile.
            if str(self.directory) in called or self.name in group:
                found[int(process.name)] = called
        return found

    def _write_command(self) -> None:
        """For who calls it by its name: `podman` in the folder `bin`."""
        command = self.directory / "bin/podman"
        command.parent.mkdir()
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        # It would want a file of docker's where that is set.
        command.write_text(f'#!/bin/sh\nexec env -u DOCKER_CONFIG {" ".join(settings)} {" ".join(self.command())} "$@"\n')
        command.chmod(0o755)

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._holder.pid}", "--net", "--mount"]

    def _make_namespaces(self) -> None:
        """What is mounted below /run/netns is seen inside and outside: whoever else looks for a container's namespace finds it."""
        run("ip", "netns", "add", self.name)  # makes it a mount that is shared
        run("ip", "netns", "delete", self.name)
        command = ["unshare", "--net", "--mount", "--propagation", "unchanged", "sleep", "infinity"]
        self._holder = subprocess.Popen(command)
        inside = Path(f"/proc/{self._holder.pid}")
        eventually(lambda: (inside / "comm").read_text() == "sleep\n")
        run(*self._enter, "ip", "link", "set", "lo", "up")
        run(*self._enter, "mount", "--make-private", "/")
        for folder in KEPT:
            run(*self._enter, "mkdir", "--parents", folder)
            run(*self._enter, "mount", "-t", "tmpfs", "tmpfs", folder)
        # crun wants no control group of version 2 that has controllers beside those of version 1.
        if (CGROUPS / "unified/cgroup.controllers").exists():
            run(*self._enter, "mount", "--make-rprivate", "/sys")
            run(*self._enter, "umount", str(CGROUPS / "unified"))

    def _import_image(self) -> None:
        """Makes the image of busybox alone: nothing can be pulled where there is no registry."""
        tree = self.directory / "image"
        install_busybox(tree)
        run("tar", "--directory", str(tree), "--create", "--file", f"{tree}.tar", ".")
        self.podman("import", "--change=CMD sleep 600", "--change=ENV PATH=/bin", f"{tree}.tar", IMAGE)

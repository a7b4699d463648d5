"""A real docker engine in a network namespace and a directory of its own, with a containerd of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bus.conftest import eventually

IMAGE = "nsplane-test"
CGROUPS = Path("/sys/fs/cgroup")
SHIM_SOCKETS = Path("/run/containerd/s")
"""Where every containerd has them, whatever its own directories are."""
PATIENCE = 60
STUCK = 120
"""Seconds after which a command is taken to be stuck."""
_WAITS = re.compile(r"^goroutine \d+ \[.*minutes.*\]:\n(?:.+\n){1,8}", re.MULTILINE)
"""In a dump of a Go program's goroutines: one that has waited for minutes, and the innermost of its calls."""

CONTAINERD = """\
version = 2
root = "{0}/containerd/root"
state = "{0}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{0}/containerd/socket"
"""


def ended(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whether it succeeds or not. TimeoutExpired where it is stuck."""
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=STUCK)


def printed(done: subprocess.CompletedProcess[str], check: bool) -> str:
    assert done.returncode == 0 or not check, f"{' '.join(done.args)}: {done.stderr}"
    return done.stdout.strip()


def run(*command: str, check: bool = True) -> str:
    """Runs a command and returns what it printed; with `check` it has to succeed."""
    return printed(ended(*command), check)


def program(name: str, path: str | None = None) -> str:
    found = shutil.which(name, path=path)
    assert found is not None, f"there is no {name}: apt-get install docker.io busybox-static (`make packages` does)"
    return found


def runtimes(gate: Path) -> dict[str, object]:
    """nsplane-runc in front of Debian's runc, for each policy: with much patience, and with little (`-hasty`)."""
    made: dict[str, object] = {}
    for policy in ("open", "closed"):
        for name, deadline in ((policy, PATIENCE), (f"{policy}-hasty", 1)):
            arguments = [f"--nsplane-gate={gate}", f"--nsplane-policy={policy}", f"--nsplane-deadline={deadline}"]
            made[name] = {"path": str(Path(sysconfig.get_path("scripts"), "nsplane-runc")), "runtimeArgs": arguments}
    return made | {"nsplane": made["open"]}


def install_busybox(tree: Path) -> None:
    """Makes a folder that is a container's root: of busybox alone."""
    for folder in ("bin", "etc", "proc", "sys", "tmp"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(program("busybox"), tree / "bin/busybox")
    run("chroot", str(tree), "/bin/busybox", "--install", "-s", "/bin")


@dataclass(frozen=True)
class Container:
    """A container that was started; it may have ended since."""

    dockerd: Dockerd
    id: str
    name: str

    @property
    def state(self) -> dict[str, Any]:
        """Its `State` in docker's own words."""
        state: dict[str, Any] = json.loads(self.dockerd.docker("inspect", "--format", "{{json .State}}", self.id))
        return state

    @property
    def pid(self) -> int:
        """Its first process; 0 where it does not run."""
        return int(self.dockerd.docker("inspect", "--format", "{{.State.Pid}}", self.id))

    @property
    def netns(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def ip(self, *args: str) -> Any:
        """What `ip -j` shows in it."""
        return json.loads(run("nsenter", f"--net={self.netns}", "ip", "-j", *args) or "[]")


class Dockerd:
    """One engine. start() and stop() or kill() may be called again and again; close() takes all of it away.

    It is Debian's, or that of a folder of programs; `settings` are more of dockerd's configuration. Its runtimes `open`, `closed`
    and so on ask a gate at `gate`, where there need not be one.
    """

    def __init__(self, programs: Path | None = None, settings: Mapping[str, object] | None = None) -> None:
        self._path = os.environ["PATH"] if programs is None else f"{programs}:{os.environ['PATH']}"
        for needed in ("docker", "dockerd", "containerd", "busybox"):
            program(needed, self._path)
        self.directory = Path(tempfile.mkdtemp(prefix="nspd-"))
        self.name = self.directory.name
        self.socket = self.directory / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.gate = self.directory / "gate.sock"
        self.starts = 0
        self.running = False
        """Whether it answers: true from the end of start() to the beginning of stop() or kill()."""
        self._killed = False
        self._control = f"unix://{self.directory}/control.sock"
        self._processes: list[subprocess.Popen[bytes]] = []
        (self.directory / "containerd").mkdir()
        (self.directory / "containerd/config").write_text(CONTAINERD.format(self.directory))
        (self.directory / "config").write_text(json.dumps({"runtimes": runtimes(self.gate), **(settings or {})}))
        run("ip", "netns", "add", self.name)
        self._in_netns("ip", "link", "set", "lo", "up")

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def start(self) -> None:
        """Starts the engine; it answers when this returns."""
        assert not self._processes
        self._spawn("containerd", "--config", f"{self.directory}/containerd/config")
        eventually((self.directory / "containerd/socket").exists, PATIENCE)
        self._spawn(
            "dockerd",
            f"--host={self.host}",
            f"--host={self._control}",
            f"--containerd={self.directory}/containerd/socket",
            f"--config-file={self.directory}/config",
            f"--data-root={self.directory}/root",
            f"--exec-root={self.directory}/exec",
            f"--pidfile={self.directory}/pid",
            # The driver that needs no systemd, and a place of the engine's own: neither depends on the machine.
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self.name}",
        )
        eventually(self._answers, PATIENCE)
        if not self.docker("images", "--quiet", IMAGE):
            self._import_image()
        self.starts += 1
        self.running = True

    def stop(self) -> None:
        """Ends it as a service manager does: its containers end with it."""
        self.running = False
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        self._processes = []

    def kill(self) -> None:
        """SIGKILL to the engine and its containerd. The containers run on; the next start() ends them, as docker does."""
        self.running = False
        self._killed = True
        for process in reversed(self._processes):
            process.kill()
            process.wait(PATIENCE)
        self._processes = []
        # What the killed left would make the next ones believe that they run.
        for name in ("docker.sock", "control.sock", "pid", "containerd/socket"):
            (self.directory / name).unlink(missing_ok=True)

    def docker(self, *arguments: str, check: bool = True) -> str:
        """The docker CLI at this engine, by a socket that no test disturbs; what it printed."""
        return printed(self.asked(*arguments), check)

    def asked(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What the docker CLI says, whether it succeeded or not."""
        try:
            return ended(*self.cli, *arguments)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{error}\n{self._what_it_does()}") from None

    @property
    def cli(self) -> list[str]:
        return [program("docker", self._path), f"--config={self.directory}/cli", f"--host={self._control}"]

    def create(
        self,
        label: str | None,
        *options: str,
        name: str = "",
        command: Sequence[str] = ("sleep", "600"),
    ) -> Container:
        """`docker create`; in no network unless the options say otherwise."""
        # The first process of a container is deaf to SIGTERM: docker, too, need not wait ten seconds for it.
        given = ["--stop-timeout", "1", *options]
        if not any(option.startswith(("--network", "--net")) for option in options):
            given += ["--network", "none"]
        if label is not None:
            given += ["--env", f"MICROSERVICE_LABEL={label}"]
        if name:
            given += ["--name", name]
        made = self.docker("create", *given, IMAGE, *command)
        return Container(self, made, name or self.docker("inspect", "--format", "{{.Name}}", made).removeprefix("/"))

    def run(
        self,
        label: str | None,
        *options: str,
        name: str = "",
        command: Sequence[str] = ("sleep", "600"),
    ) -> Container:
        """Starts a container that was made so: `docker run -d`."""
        container = self.create(label, *options, name=name, command=command)
        self.docker("start", container.id)
        return container

    def containers(self, *options: str) -> list[str]:
        """The ids of those that run; with `--all`, of all."""
        return self.docker("ps", "--quiet", "--no-trunc", *options).split()

    def remove_all(self) -> None:
        """`docker rm -f` of every container."""
        there = self.containers("--all")
        if there:
            self.docker("rm", "--force", "--volumes", *there)

    def close(self) -> None:
        """Ends the engine and takes everything of it away; says so where something is left that should not be."""
        if not self.running:
            self.start()  # One that was killed left containers.
        self.remove_all()
        self.stop()
        if self._killed:
            self._end_orphans()
        eventually(lambda: not self.processes(), PATIENCE)
        for mount in reversed(self.mounts()):
            run("umount", mount)
        run("ip", "netns", "delete", self.name)
        for group in self.cgroups():
            if group.is_dir():  # Once removed, it is gone from the hierarchies that have another name for it, too.
                group.rmdir()
        shutil.rmtree(self.directory)
        assert not self.mounts()

    def processes(self) -> dict[int, list[str]]:
        """What runs of it and how it was called, shims and containers included: all bear the directory or the control group."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                called, group = (process / "cmdline").read_text(), (process / "cgroup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # It has ended meanwhile.
            if str(self.directory) in called or self.name in group:
                found[int(process.name)] = called.split("\0")
        return found

    def _end_orphans(self) -> None:
        """A containerd that is killed while it starts a container leaves a shim, perhaps the container, that none knows later."""
        for pid, called in self.processes().items():
            with suppress(ProcessLookupError):  # The end of its shim was its own.
                os.kill(pid, signal.SIGKILL)
            if "-id" in called:
                whose = f"{self.directory}/containerd/socket/moby/{called[called.index('-id') + 1]}"
                (SHIM_SOCKETS / hashlib.sha256(whose.encode()).hexdigest()).unlink(missing_ok=True)

    def cgroups(self) -> list[Path]:
        """Its control groups, in one hierarchy or in many; the innermost first."""
        tops = (CGROUPS / self.name, *(hierarchy / self.name for hierarchy in CGROUPS.iterdir()))
        return sorted((path for top in tops for path in top.glob("**/")), reverse=True)

    def mounts(self) -> list[str]:
        """The mount points below its directory, in the order in which they were mounted."""
        points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return [point for point in points if Path(point).is_relative_to(self.directory)]

    def _spawn(self, name: str, *arguments: str) -> None:
        # Not `ip netns exec`, which hides the cgroup mounts.
        command = ["nsenter", f"--net=/run/netns/{self.name}", program(name, self._path), *arguments]
        environment = os.environ | {"PATH": self._path}
        with (self.directory / "log").open("ab") as log:
            self._processes.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _what_it_does(self) -> str:
        """Where its processes are in the kernel, and for what the engine and its containerd have waited for minutes."""
        said = []
        for pid, called in self.processes().items():
            with suppress(FileNotFoundError, ProcessLookupError):  # It has ended meanwhile.
                said.append(f"{pid} {' '.join(called)}\n{Path(f'/proc/{pid}/stack').read_text()}")
        dumps = [Path(f"/tmp/containerd.{process.pid}.stacks.log") for process in self._processes]
        for process in self._processes:
            process.send_signal(signal.SIGUSR1)
        time.sleep(2)
        for dump in (*dumps, *(self.directory / "exec").glob("goroutine-stacks-*.log")):
            with suppress(FileNotFoundError):  # Another command that is stuck has reported it.
                said += [str(dump), *_WAITS.findall(dump.read_text())]
                dump.unlink()
        return "\n".join(said)

    def _answers(self) -> bool:
        for process in self._processes:
            assert process.poll() is None, f"it ended: {self.log}"
        return bool(self.socket.exists() and self.docker("version", "--format", "{{.Server.Version}}", check=False))

    def _import_image(self) -> None:
        """Makes the image of busybox alone: nothing can be pulled where there is no registry."""
        tree = self.directory / "image"
        install_busybox(tree)
        run("tar", "--directory", str(tree), "--create", "--file", f"{tree}.tar", ".")
        self.docker("import", f"{tree}.tar", IMAGE)

    def _in_netns(self, *command: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.name}", *command)

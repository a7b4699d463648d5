"""A docker engine for the time of a measurement: a dockerd in a network namespace and a directory of its own."""

import contextlib
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from nsplane_bus.gate.install import program

from ..agent import wait_until
from ..failures import EngineMissing
from ..network import NETNS, ip, remove_namespace

START_SECONDS = 60
STOP_SECONDS = 60
IMAGE = "nsplane-bench"
RUNTIME = "nsplane"
"""By it starts are held: it asks at `gate` of the engine."""
PT_INTERP = 3
NOTHING: Mapping[str, str] = {}


class Engine:
    """A running engine, as docker's SDK sees it."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "docker.sock"
        self.gate = directory / "gate.sock"
        self.host = f"unix://{self.socket}"
        self.client = docker.DockerClient(base_url=self.host)

    def create(self, name: str, environment: Mapping[str, str] = NOTHING, labels: Mapping[str, str] = NOTHING) -> Container:
        """A container that sleeps once it is started, in a network namespace with nothing but `lo`."""
        variables, named = dict(environment), dict(labels)
        return self.client.containers.create(
            IMAGE, ["sleep", "3600"], name=name, network_mode="none", environment=variables, labels=named
        )

    def run(self, command: Sequence[str], environment: Mapping[str, str], **more: Any) -> str:
        """What a container prints that runs this command and ends."""
        made = self.client.containers.create(IMAGE, [*command], network_mode="none", environment=dict(environment), **more)
        try:
            made.start()
            made.wait(timeout=STOP_SECONDS)
            return bytes(made.logs()).decode()
        finally:
            made.remove(force=True)

    def start_event(self, container: Container) -> int:
        """The time stamp of the event of its (first) start, in nanoseconds since the epoch."""
        filters = {"type": "container", "event": "start", "container": container.id}
        with contextlib.closing(self.client.events(since=1, filters=filters, decode=True)) as events:
            return int(next(events)["timeNano"])


@contextlib.contextmanager
def running_engine(name: str) -> Iterator[Engine]:
    """Runs dockerd in a new namespace `name` with an image of busybox; at the end nothing is left of it or of its containers.

    EngineMissing where that cannot be.
    """
    dockerd, busybox = needed("dockerd", "docker.io"), Path(needed("busybox", "busybox-static"))
    if is_dynamic(busybox.read_bytes()):
        raise EngineMissing(f"{busybox} wants libraries, which a container has not (Debian: busybox-static)")
    with tempfile.TemporaryDirectory(prefix="nspb-") as text:
        directory = Path(text)
        ip("netns", "add", name)
        try:
            ip("-n", name, "link", "set", "lo", "up")
            with running_daemon(dockerd, name, directory) as engine:
                engine.client.api.import_image_from_data(tree(busybox), repository=IMAGE)
                yield engine
        finally:
            unmount(directory)
            remove_cgroups(name)
            remove_namespace(name)


@contextlib.contextmanager
def running_daemon(dockerd: str, name: str, directory: Path) -> Iterator[Engine]:
    log, config = directory / "log", directory / "config.json"
    forwarder = {"path": program("nsplane-runc"), "runtimeArgs": [f"--nsplane-gate={directory}/gate.sock", "--nsplane-deadline=60"]}
    config.write_text(json.dumps({"runtimes": {RUNTIME: forwarder}}))
    # Not `ip netns exec`: that mounts a /sys of its own, without the cgroups.
    command = ["nsenter", f"--net={NETNS / name}", dockerd, f"--host=unix://{directory}/docker.sock"]
    command += [f"--config-file={config}"]
    command += [f"--data-root={directory}/root", f"--exec-root={directory}/exec", f"--pidfile={directory}/pid"]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false", f"--cgroup-parent=/{name}"]
    # Where the machine has a containerd of its own, dockerd uses that: it shall not meet anybody else's containers there.
    command += [f"--containerd-namespace={name}", f"--containerd-plugins-namespace={name}-plugins"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        engine = connected(process, directory)
        try:
            yield engine
        finally:
            for container in engine.client.containers.list(all=True):
                container.remove(force=True)
            engine.client.close()
    finally:
        stop(process, directory)


def connected(process: subprocess.Popen[bytes], directory: Path) -> Engine:
    """Waits until the engine answers."""
    found: list[Engine] = []

    def answers() -> bool:
        if process.poll() is not None:
            raise EngineMissing(f"dockerd does not run:\n{(directory / 'log').read_text()}")
        if not (directory / "docker.sock").exists():
            return False
        engine = Engine(directory)
        try:
            engine.client.ping()
        except (docker.errors.DockerException, OSError):
            engine.client.close()
            return False
        found.append(engine)
        return True

    wait_until(answers, START_SECONDS)
    return found[0]


def stop(process: subprocess.Popen[bytes], directory: Path) -> None:
    """Ends dockerd, and the containerd that it has started should it not do so itself."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        containerd = directory / "exec/containerd/containerd.pid"
        if containerd.exists():
            os.kill(int(containerd.read_text()), signal.SIGKILL)


def needed(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise EngineMissing(f"there is no {program} (Debian: {package})")
    return found


def is_dynamic(program: bytes) -> bool:
    """Does this ELF file (of 64 bits) name an interpreter, the dynamic linker?"""
    start, size, count = struct.unpack_from("<32xQ14xHH", program)
    return any(struct.unpack_from("<I", program, start + number * size)[0] == PT_INTERP for number in range(count))


def tree(busybox: Path) -> bytes:
    """What the image consists of, as a tar archive: busybox, and `sleep` and `cat`, which are links to it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for name in ("sleep", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive.getvalue()


def unmount(directory: Path) -> None:
    """What the engine has left mounted below its directory, the last first."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{directory}/"):
            subprocess.run(["umount", mount], check=True)


def remove_cgroups(name: str) -> None:
    """The engine's own cgroup, of each hierarchy where there are several; empty, for its containers are gone."""
    root = Path("/sys/fs/cgroup")
    for cgroup in (*root.glob(name), *root.glob(f"*/{name}")):
        cgroup.rmdir()

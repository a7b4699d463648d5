"""A containerd as a kubelet has it, in a network namespace of its own, and what a kubelet asks it for.

That is the container runtime interface (k8s.io/cri-api, runtime.v1), of which only those fields are written that are needed here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ..bus.conftest import eventually
from ..docker.dockerd import CGROUPS, PATIENCE, install_busybox, program, run
from .cnitool import DEBIANS

IMAGE = "docker.io/library/busybox:latest"
CONFIGURATION = """\
version = 2
root = "{0}/root"
state = "{0}/state"
[grpc]
address = "{0}/socket"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{1}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{0}/plugins"
conf_dir = "{0}/networks"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nsplane]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nsplane.options]
BinaryName = "{2}/nsplane-runc"
"""
"""Two runtime handlers, as a RuntimeClass names them: runc, and runc behind the gate."""

Fields = Sequence[tuple[int, "str | bytes | int"]]


@dataclass(frozen=True)
class Sandbox:
    """A pod that was made. `message` is the request's PodSandboxConfig."""

    id: str
    message: bytes
    logs: Path


class Containerd:
    """One containerd; close() takes all of it away. `ours` is the folder with nsplane's programs, `conflist` the pods' network."""

    def __init__(self, ours: Path, conflist: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="nspk-"))
        self.name = self.directory.name
        self._numbers = itertools.count(1)
        self._sandboxes: list[Sandbox] = []
        for folder in ("plugins", "networks", "logs"):
            (self.directory / folder).mkdir()
        for plugin in (*DEBIANS.iterdir(), ours / "nsplane-hook"):
            (self.directory / "plugins" / plugin.name).symlink_to(plugin)
        (self.directory / "networks/10-lab.conflist").write_text(json.dumps(conflist))
        (self.directory / "config").write_text(CONFIGURATION.format(self.directory, IMAGE, ours))
        run("ip", "netns", "add", self.name)
        run("nsenter", f"--net=/run/netns/{self.name}", "ip", "link", "set", "lo", "up")
        command = ["nsenter", f"--net=/run/netns/{self.name}", program("containerd"), "--config", f"{self.directory}/config"]
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self._channel = grpc.insecure_channel(f"unix://{self.directory}/socket")
        grpc.channel_ready_future(self._channel).result(PATIENCE)
        self._import_image()

    @property
    def sandboxes(self) -> list[Sandbox]:
        """Those that were made, and not removed."""
        return [*self._sandboxes]

    def run_pod(self, name: str, annotations: Mapping[str, str], handler: str = "") -> Sandbox:
        """Makes the sandbox of a pod in the namespace `lab`; grpc.RpcError where it is refused."""
        logs = self.directory / "logs" / name
        logs.mkdir(exist_ok=True)
        linux = encoded([(1, f"/{self.name}")])
        metadata = encoded([(1, name), (2, f"uid-{name}"), (3, "lab")])
        told = [(7, encoded([(1, key), (2, text)])) for key, text in annotations.items()]
        message = encoded([(1, metadata), (3, str(logs)), *told, (8, linux)])
        sandbox = Sandbox(text_of(self.ask("RunPodSandbox", [(1, message), (2, handler)])), message, logs)
        self._sandboxes.append(sandbox)
        return sandbox

    def run_in(self, sandbox: Sandbox, command: Sequence[str], **environment: str) -> str:
        """Starts a container of a pod, and returns what it has printed when it has ended."""
        name = f"c{next(self._numbers)}"
        config = encoded([(1, encoded([(1, name)])), (2, encoded([(1, IMAGE)]))])
        config += encoded([(3, word) for word in command])
        config += encoded([(6, encoded([(1, variable), (2, value)])) for variable, value in environment.items()])
        config += encoded([(11, name)])
        container = text_of(self.ask("CreateContainer", [(1, sandbox.id), (2, config), (3, sandbox.message)]))
        self.ask("StartContainer", [(1, container)])
        # Its state is CONTAINER_EXITED, 2, when it has ended: the third field of the status, which is the first of the answer.
        eventually(lambda: b"\x18\x02" in self.ask("ContainerStatus", [(1, container)])[:400], PATIENCE)
        lines = (sandbox.logs / name).read_text().splitlines(keepends=True)
        return "".join(line.split(" ", 3)[3] for line in lines)

    def remove(self, sandbox: Sandbox) -> None:
        """Twice, as a kubelet does that was not sure."""
        for method in ("StopPodSandbox", "StopPodSandbox", "RemovePodSandbox", "RemovePodSandbox"):
            self.ask(method, [(1, sandbox.id)])
        self._sandboxes.remove(sandbox)

    def ask(self, method: str, fields: Fields) -> bytes:
        """The answer to a request. Raises grpc.RpcError."""
        call = self._channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", lambda data: data, lambda data: data)
        answer: bytes = call(encoded(fields), timeout=PATIENCE)
        return answer

    def close(self) -> None:
        for sandbox in self.sandboxes:
            self.remove(sandbox)
        self._channel.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([point for point in points if Path(point).is_relative_to(self.directory)]):
            run("umount", mount)
        run("ip", "netns", "delete", self.name)
        for hierarchy in (CGROUPS, *CGROUPS.iterdir()):
            for group in sorted((hierarchy / self.name).glob("**/"), reverse=True):
                with suppress(FileNotFoundError):  # It has gone already, by the hierarchy's other name.
                    group.rmdir()
        # Where it keeps what plugins have told, as long as there is a pod.
        run("rmdir", "--ignore-fail-on-non-empty", "/var/lib/cni/results")
        shutil.rmtree(self.directory)

    def _import_image(self) -> None:
        """Busybox alone, in docker's archive format; nothing can be pulled where there is no registry."""
        tree, image = self.directory / "tree", self.directory / "image"
        install_busybox(tree)
        image.mkdir()
        run("tar", "--directory", str(tree), "--create", "--file", str(image / "layer.tar"), ".")
        layer = hashlib.sha256((image / "layer.tar").read_bytes()).hexdigest()
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        config = {
            "architecture": machine,
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "600"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        }
        (image / "config.json").write_text(json.dumps(config))
        manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
        (image / "manifest.json").write_text(json.dumps(manifest))
        run("tar", "--directory", str(image), "--create", "--file", f"{image}.tar", "config.json", "layer.tar", "manifest.json")
        ctr = (program("ctr"), f"--address={self.directory}/socket", "--namespace=k8s.io")
        run(*ctr, "images", "import", "--snapshotter=native", f"{image}.tar")


def encoded(fields: Fields) -> bytes:
    """A message of protocol buffers: texts, other messages and whole numbers by their numbers. Empty ones are left out."""
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += _varint(number << 3) + _varint(value)
        elif value:
            data = value.encode() if isinstance(value, str) else value
            made += _varint(number << 3 | 2) + _varint(len(data)) + data
    return made


def text_of(answer: bytes) -> str:
    """The text of an answer that has one field."""
    assert answer[:2] == bytes((1 << 3 | 2, len(answer) - 2))
    return answer[2:].decode()


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*made, number))

"""nsplane in a minute: configuration that waits for two microservices and is there milliseconds after they start.

`make demo` runs it. The microservices are containers where a docker engine answers, and commands of `nsplane run` where none does.
It needs root, keeps to network namespaces, containers and a directory of its own, and leaves nothing behind.
"""

import contextlib
import io
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from rich.console import Console
from rich.table import Table

from nsplane_bus import BusError, Client, ItemChanged, Subscription
from nsplane_bus.docker.engine import LOST, described, find

NSPLANE = (sys.executable, "-m", "nsplane_bus")
NAME = "nsplane-demo"
NETNS = Path("/run/netns")
IN_NAMESPACE = {"type": "name", "name": NAME}
ROOT = [path for path in map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib64")) if path.exists()]
VOLUMES = [f"{path}:{path}:ro" for path in ROOT if not path.is_symlink()]
SECONDS = 15
HOSTS = {"demo-web": 2, "demo-db": 3}
STATES = {"configured": "green", "pending": "yellow"}

Item = dict[str, Any]
console = Console(highlight=False)


def items(label: str) -> dict[str, Item]:
    """What a microservice gets, by key: a veth into the bridge, neighbours, routes."""
    number = HOSTS[label]
    (other,) = {*HOSTS.values()} - {number}
    port = f"{label}-port"
    wanted: dict[str, Item] = {
        f"interface/{label}": {
            "kind": "veth",
            "name": label,
            "namespace": {"type": "microservice", "microservice": label},
            "peer": port,
            "host_name": "eth0",
            "addresses": [f"10.111.0.{number}/24", f"fd00:111::{number}/64"],
            "mac": f"02:00:00:00:6f:{number:02}",
        },
        f"interface/{port}": {
            "kind": "veth",
            "name": port,
            "namespace": IN_NAMESPACE,
            "peer": label,
            "master": "nspdemo-br",
        },
    }
    for ip in (f"10.111.0.{other}", f"fd00:111::{other}"):
        wanted[f"arp/{label}/{ip}"] = {"kind": "arp", "interface": label, "ip": ip, "mac": f"02:00:00:00:6f:{other:02}"}
    for dst, gateway in (("0.0.0.0/0", "10.111.0.1"), ("::/0", "fd00:111::1")):
        wanted[f"route/{label}/{dst}"] = {"kind": "route", "interface": label, "dst": dst, "gateway": gateway}
    return wanted


BRIDGE = {
    "interface/nspdemo-br": {
        "kind": "bridge",
        "name": "nspdemo-br",
        "namespace": IN_NAMESPACE,
        "addresses": ["10.111.0.1/24", "fd00:111::1/64"],
    }
}
WANTED: dict[str, dict[str, Item]] = {label: items(label) for label in HOSTS}
ALL = {**BRIDGE, **WANTED["demo-web"], **WANTED["demo-db"]}


class NotAsWanted(Exception):
    """The demo did not show what it should."""


def main() -> int:
    if os.geteuid() != 0:
        console.print("skipped: the demo needs root, for network namespaces")
        return 0
    before = surroundings()
    microservices = containers_or_processes()
    had_netns = NETNS.exists()
    directory = Path(tempfile.mkdtemp(prefix="nsplane-demo-"))
    os.environ["NSPLANE_RUNTIME_DIR"] = str(directory)
    code = 0
    try:
        with agent_on(directory):
            show(directory, microservices)
    except (NotAsWanted, BusError, *LOST) as error:
        console.print(f"[red]{error}")
        console.print((directory / "agent.log").read_text(), style="dim")
        code = 1
    finally:
        microservices.remove()
        shutil.rmtree(directory)
        remove_netns_mount(had_netns)
    patience = time.monotonic() + 2  # the kernel takes links away in its own time
    while (left := surroundings() - before | microservices.left()) and time.monotonic() < patience:
        time.sleep(0.1)
    if left:
        console.print("[red]left behind: " + ", ".join(sorted(left)))
        return 1
    console.print("Cleaned up: no container, image, namespace, link, process or file of the demo is left.", soft_wrap=True)
    return code


def show(directory: Path, microservices: "Containers | Processes") -> None:
    with Client(source="demo", timeout=SECONDS) as client, client.subscribe() as events:
        events.ready()
        microservices.expect(client)
        heading(f"An agent runs on {directory}. Publishing {len(ALL)} items, most of them for two microservices:")
        try:
            result = client.put(ALL.values())
            states(client.get())
            if result.counts != {"configured": len(BRIDGE), "pending": len(ALL) - len(BRIDGE)}:
                raise NotAsWanted(f"the microservices do not run, so all but the bridge should wait: {result.counts}")
            for label, wanted in WANTED.items():
                microservices.start(label)
                settled = wait_for(events, wanted, "configured")
                started = client.entry(f"microservice/{label}")
                if started is None:
                    raise NotAsWanted(f"{label} is not there")
                took = (settled - started["started_at"]) * 1000
                console.print(f"[green]{len(wanted)} items configured {took:.1f} ms after its start")
            states(client.get())
            for address in ("10.111.0.3", "fd00:111::3"):
                pinging = ping_command(address)
                heading(f"nsplane exec demo-web -- {' '.join(pinging)}")
                if subprocess.run([*NSPLANE, "exec", "demo-web", "--", *pinging]).returncode:
                    raise NotAsWanted(f"no answer from {address}")
            heading("demo-db stops:")
            stopped = time.time()
            microservices.stop("demo-db")
            settled = wait_for(events, WANTED["demo-db"], "pending")
            console.print(f"[yellow]its items are pending again {(settled - stopped) * 1000:.1f} ms later")
            states(entry for entry in client.get() if entry["key"] in WANTED["demo-db"])
        finally:
            heading("Deleting everything.")
            client.delete(ALL).expect()


@contextlib.contextmanager
def agent_on(directory: Path) -> Iterator[None]:
    """An agent runs meanwhile. It follows the docker engine by itself."""
    with (directory / "agent.log").open("wb") as log:
        command = [*NSPLANE, "agent", "--state-dir", str(directory)]
        agent = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        patience = time.monotonic() + SECONDS
        while not (directory / "bus.sock").exists():
            if agent.poll() is not None or time.monotonic() > patience:
                raise NotAsWanted("the agent did not start")
            time.sleep(0.01)
        yield
    finally:
        end(agent)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(events: Subscription, wanted: dict[str, Item], state: str) -> float:
    """Follows events until all wanted items are in a state; returns when the last of them was (seconds since the epoch)."""
    since: dict[str, float] = {}
    patience = time.monotonic() + SECONDS
    while since.keys() != wanted.keys():
        event = events.next(max(0.0, patience - time.monotonic()))
        if event is None:
            raise NotAsWanted(f"not {state} after {SECONDS} s: {', '.join(wanted.keys() - since.keys())}")
        if isinstance(event, ItemChanged) and event.key in wanted:
            since.pop(event.key, None)
            if event.state == state:
                since[event.key] = event.since
    return max(since.values())


def heading(text: str) -> None:
    console.print(f"\n{text}", style="bold", soft_wrap=True)


def states(entries: Iterator[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for entry in entries:
        state = entry["state"]
        why = "missing " + ", ".join(entry["missing"]) if entry["missing"] else entry["message"]
        table.add_row(entry["key"], f"[{STATES.get(state, 'red')}]{state}", why)
    console.print(table)


# Two ways to start a microservice


class Processes:
    """Microservices as commands of `nsplane run`, each in a namespace of its own."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def expect(self, client: Client) -> None:
        """Returns when the agent will see what is started: `nsplane run` tells it."""

    def start(self, label: str) -> None:
        command = ["run", "--label", label, "--", "sleep", "600"]
        heading(f"nsplane {' '.join(command)}")
        self._running[label] = subprocess.Popen([*NSPLANE, *command], start_new_session=True)

    def stop(self, label: str) -> None:
        self._running[label].terminate()

    def remove(self) -> None:
        for process in self._running.values():
            end(process)

    def left(self) -> set[str]:
        """What remains that surroundings() does not see."""
        return set()


class Containers:
    """Microservices as containers of a docker engine.

    Nothing is pulled: the image is a few links into /usr, and /usr is this machine's, so that its `sleep` runs in them.
    """

    def __init__(self, engine: docker.DockerClient) -> None:
        self._engine = engine

    def prepare(self) -> None:
        """Imports the image and tries it. NotAsWanted or one of LOST where this engine cannot run it, or not on this machine."""
        self.remove()  # what a demo that was killed has left
        self._engine.api.import_image_from_data(image(), repository=NAME)
        trial = self._run("trial")
        trial.reload()
        cgroup = Path(f"/proc/{trial.attrs['State']['Pid']}/cgroup")
        if not (cgroup.exists() and trial.attrs["Id"] in cgroup.read_text()):
            raise NotAsWanted("its containers end at once, or are on another machine")
        trial.remove(force=True)

    def expect(self, client: Client) -> None:
        """Returns when the agent will see what is started: it follows the engine."""
        patience = time.monotonic() + SECONDS
        while (seen := client.info()["microservice_sources"].get("docker", {})).get("state") != "following":
            if time.monotonic() > patience:
                raise NotAsWanted(f"the agent does not follow docker: {seen.get('message')}")
            time.sleep(0.01)

    def start(self, label: str) -> None:
        volumes = "".join(f"-v {volume} " for volume in VOLUMES)
        heading(f"docker run -d --network none -e MICROSERVICE_LABEL={label} {volumes}{NAME} sleep 600")
        self._run(label.removeprefix("demo-"), MICROSERVICE_LABEL=label)

    def stop(self, label: str) -> None:
        self._engine.containers.get(f"nsplane-{label}").kill()

    def remove(self) -> None:
        for container in self._all():
            container.remove(force=True)
        if self._engine.images.list(NAME):
            self._engine.images.remove(NAME, force=True)

    def left(self) -> set[str]:
        """What remains that surroundings() does not see."""
        return {f"container {one.name}" for one in self._all()} | {f"image {one.id}" for one in self._engine.images.list(NAME)}

    def _run(self, name: str, **environment: str) -> Container:
        return self._engine.containers.run(
            NAME,
            ["sleep", "600"],
            name=f"{NAME}-{name}",
            environment=environment,
            network_mode="none",
            volumes=VOLUMES,
            detach=True,
        )

    def _all(self) -> list[Container]:
        return self._engine.containers.list(all=True, filters={"name": f"^/?{NAME}-"})


def containers_or_processes() -> Containers | Processes:
    """Containers, if there is an engine that can run them."""
    try:
        engine = docker.DockerClient(**find(None), version="auto", timeout=SECONDS)
    except LOST as error:
        console.print(f"No docker engine answers ({described(error)}), so `nsplane run` is used.", soft_wrap=True)
        return Processes()
    containers = Containers(engine)
    try:
        containers.prepare()
    except (NotAsWanted, *LOST) as error:
        containers.remove()
        console.print(f"The docker engine cannot run the demo's image ({error}), so `nsplane run` is used.", soft_wrap=True)
        return Processes()
    return containers


def image() -> bytes:
    """A root directory as a tar file: links into /usr, as this machine's own has them, and where volumes are mounted."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in ROOT:
            entry = tarfile.TarInfo(path.name)
            entry.mode = 0o755
            entry.type = tarfile.SYMTYPE if path.is_symlink() else tarfile.DIRTYPE
            entry.linkname = str(path.readlink()) if path.is_symlink() else ""
            tar.addfile(entry)
    return packed.getvalue()


# A ping of one's own, for machines without one


def ping_command(address: str) -> Sequence[str]:
    if shutil.which("ping"):
        return ("ping", "-n", "-c", "3", "-i", "0.2", address)
    return (sys.executable, __file__, "ping", address)


def ping(address: str, count: int = 3) -> int:
    """ICMP echoes (RFC 792, RFC 4443); returns 0 where all are answered."""
    v6 = ":" in address
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if v6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    request, answer, at = (128, 129, 0) if v6 else (8, 0, 20)
    me = secrets.randbits(16)
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        for number in range(1, count + 1):
            checksum = 0xFFFF - sum_of_words(request << 8, me, number)  # of ICMPv6, the kernel's
            sent = time.monotonic()
            raw.sendto(struct.pack(">BBHHH", request, 0, 0 if v6 else checksum, me, number), (address, 0))
            while True:
                raw.settimeout(max(0.001, sent + 2 - time.monotonic()))
                try:
                    packet = raw.recv(2048)
                except TimeoutError:
                    print(f"no answer from {address}")
                    return 1
                kind, _, _, whose, which = struct.unpack_from(">BBHHH", packet, at)
                if (kind, whose, which) == (answer, me, number):
                    break
            print(f"answer from {address}: seq={number} time={(time.monotonic() - sent) * 1000:.3f} ms")
    return 0


def sum_of_words(*words: int) -> int:
    total = sum(words)
    return (total & 0xFFFF) + (total >> 16)


# What is there before and after


def surroundings() -> set[str]:
    """Namespaces, links and processes by name, as far as the demo could leave any; its directory among the files."""
    names = {f"namespace {path.name}" for path in NETNS.glob("*")} | {f"{NETNS}" for path in (NETNS,) if path.exists()}
    links = {f"link {name}" for _, name in socket.if_nameindex()}
    directory = os.environ.get("NSPLANE_RUNTIME_DIR")
    files = {directory} if directory and os.path.exists(directory) else set()
    return names | links | files | {f"process {pid}" for pid in own_processes()}


def own_processes() -> Iterator[str]:
    """Processes other than this one that have the demo's runtime directory in their environment."""
    mark = f"NSPLANE_RUNTIME_DIR={os.environ.get('NSPLANE_RUNTIME_DIR')}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.name != str(os.getpid()) and mark in (process / "environ").read_bytes().split(b"\0"):
                yield process.name


def remove_netns_mount(was_there: bool) -> None:
    """The first named namespace makes /run/netns a mount point, here as with `ip netns add`: takes it away again."""
    if not was_there and NETNS.exists() and not any(NETNS.iterdir()):
        subprocess.run(["umount", "-n", str(NETNS)], check=True)
        NETNS.rmdir()


if __name__ == "__main__":
    sys.exit(ping(sys.argv[2]) if sys.argv[1:2] == ["ping"] else main())

"""What `make deb` has made: what is in it, and its life on a machine that runs systemd."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nsplane_bus.privileges import KEPT, NUMBERS

from ..bus.conftest import eventually
from ..engine.conftest import pinging
from .hold import held
from .machine import SECONDS, Machine

ROOT = Path(__file__).parents[2]
LOWER = Path(os.environ.get("NSPLANE_LOWER", "/"))
"""What the machine's root looks like: this machine's, or a fresh one (`make test-deb`)."""
OTHERS = re.compile(
    r"var/(log|cache|lib/dpkg)(/|$)|etc/(passwd|shadow|group|gshadow|subuid|subgid)-?$|var/lib/systemd/random-seed$"
)
"""What comes of any package's installation, of a user's, or of systemd."""
LAB = """
- {kind: veth, name: port, namespace: {type: name, name: lab}, peer: web0, addresses: [10.0.0.1/24]}
- {kind: veth, name: web0, namespace: {type: microservice, microservice: web}, peer: port,
   host_name: eth0, addresses: [10.0.0.2/24]}
- {kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 10.0.0.1}
- {kind: arp, interface: web0, ip: 10.0.0.9, mac: "02:00:00:00:00:09"}
"""
"""No bridge: of one's ports the kernel tells something of its own accord, after its forward delay."""
ROUTE = "route/web0/0.0.0.0/0"
WEB = """
[Service]
ExecStart=/usr/bin/nsplane run --label web -- sleep infinity
"""


def run(*command: str | Path) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package() -> Path:
    found = list((ROOT / "build/deb").glob("nsplane_*.deb"))
    if not found and os.geteuid() != 0:
        pytest.skip("not root: there may be no debhelper to make it")
    assert len(found) == 1, "there is no package: `make deb` makes it"
    return found[0]


def test_it_is_whole_and_says_nowhere_where_it_was_made(package: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--raw-extract", package, tmp_path)
    version = "".join(re.findall(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(), re.MULTILINE))
    assert run("dpkg-deb", "--field", package, "Version").strip() == version
    assert (tmp_path / "DEBIAN/conffiles").read_text().split() == ["/etc/default/nsplane"]
    programs = {path.name: os.readlink(path) for path in (tmp_path / "usr/bin").iterdir()}
    there = {path.name for path in (tmp_path / "usr/lib/nsplane/bin").iterdir() if not path.name.startswith("python")}
    assert programs == {name: f"../lib/nsplane/bin/{name}" for name in there}
    assert "nsplane" in programs
    share = tmp_path / "usr/share"
    commands = {path.name for path in (share / "man/man1").iterdir()}
    assert {"nsplane.1.gz", "nsplane-agent.1.gz"} <= commands
    for completion in (
        "bash-completion/completions/nsplane",
        "zsh/vendor-completions/_nsplane",
        "fish/vendor_completions.d/nsplane.fish",
    ):
        assert "nsplane" in (share / completion).read_text()
    grep = subprocess.run(["grep", "-rlF", str(ROOT), tmp_path], check=False, capture_output=True, text=True, timeout=SECONDS)
    assert (grep.returncode, grep.stdout) == (1, "")


@pytest.fixture
def machine() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("not root: a machine needs namespaces of every kind")
    made = Machine(LOWER)
    yield made
    made.close()


def install(machine: Machine, package: Path) -> None:
    shutil.copy(package, machine.root / "tmp/nsplane.deb")
    machine("dpkg", "--install", "/tmp/nsplane.deb")


def newer(package: Path, folder: Path) -> Path:
    """The package once more, as a later version."""
    run("dpkg-deb", "--raw-extract", package, folder / "newer")
    control = folder / "newer/DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+1", control.read_text(), flags=re.MULTILINE))
    made = folder / "newer.deb"
    run("dpkg-deb", "-Znone", "--root-owner-group", "--build", folder / "newer", made)
    return made


class Heard:
    """What the kernel tells of links, addresses and routes in some namespaces, by whomever they are changed."""

    def __init__(self, *netns: Path) -> None:
        monitor = ("ip", "monitor", "link", "address", "route")
        self._of = [subprocess.Popen(["nsenter", f"--net={one}", *monitor], stdout=subprocess.PIPE, text=True) for one in netns]
        eventually(lambda: all(listens(one.pid) for one in self._of), SECONDS)

    def close(self) -> str:
        """All of it."""
        for one in self._of:
            one.terminate()
        return "".join(one.communicate()[0] for one in self._of)


def listens(pid: int) -> bool:
    """Whether it is `ip` by now, and a member of groups of rtnetlink (the fields are: address, protocol, PID, groups ...)."""
    if Path(f"/proc/{pid}/comm").read_text() != "ip\n":
        return False
    lines = Path(f"/proc/{pid}/net/netlink").read_text().splitlines()[1:]
    return any(fields[1] == "0" and fields[3] != "00000000" for fields in map(str.split, lines))


def is_quiet(*netns: Path) -> bool:
    """For as long as the kernel has something to tell of what is new there: that it is up, and that nobody has the same address."""
    heard = Heard(*netns)
    time.sleep(2)
    return heard.close() == ""


def it_is_confined(machine: Machine) -> None:
    """To what it needs, and yet in the mount namespace of all others: by that its names of namespaces are seen."""
    process = machine.root / "proc" / machine.shown("MainPID")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert int(status["CapBnd"], 16) == sum(1 << NUMBERS[name] for name in KEPT)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert (process / "ns/mnt").readlink() == (machine.root / "proc/1/ns/mnt").readlink()


@contextmanager
def with_setting(machine: Machine, setting: str) -> Iterator[None]:
    """Starts it anew with another setting of its unit. It keeps that until the next start."""
    file = machine.root / "run/systemd/system/nsplane.service.d/setting.conf"
    file.parent.mkdir()
    file.write_text(f"[Service]\n{setting}\n")
    machine("systemctl", "daemon-reload")
    machine("systemctl", "restart", "nsplane.service")
    yield
    shutil.rmtree(file.parent)
    machine("systemctl", "daemon-reload")


def it_is_started_anew_when_it_hangs(machine: Machine) -> None:
    """Its main thread does, and all others go on."""
    agent, *_ = machine.processes("nsplane.service")
    with held(agent) as ended:
        eventually(ended, SECONDS)
    eventually(lambda: machine.shown("NRestarts") != "0" and machine.shown("ActiveState") == "active", SECONDS)
    machine("journalctl", "--sync")
    log = machine("journalctl", "--unit=nsplane.service", "--output=cat")
    assert "Watchdog timeout" in log
    assert re.search(r'agent\.py", line \d+ in serve$', log, re.MULTILINE), f"it says where it hung: {log[-4000:]}"


def it_is_not_to_be_apart(machine: Machine) -> None:
    """What gives it a mount namespace of its own is noticed."""
    (said,) = (line for line in machine("nsplane", "doctor", check=False).splitlines() if line.startswith("warning: mounts:"))
    assert "names that it makes are not seen outside" in said


def test_its_life_on_a_machine(package: Path, machine: Machine, tmp_path: Path) -> None:
    before = machine.written()
    install(machine, package)
    assert machine.shown("ActiveState") == "active"
    assert machine("systemctl", "is-enabled", "nsplane.service") == "enabled"
    assert "docker.service" in machine.shown("Before").split()
    assert machine.shown("StatusText") == "no items; 1 namespaces, 0 microservices"
    it_is_confined(machine)
    assert "mounts:" not in machine("nsplane", "doctor", check=False)

    (machine.root / "run/systemd/system/web.service").write_text(WEB)
    machine("systemctl", "start", "web.service")
    (machine.root / "tmp/lab.yaml").write_text(LAB)
    # By somebody who is no more than a member of the group.
    machine("useradd", "--groups", "nsplane", "user")
    machine("runuser", "--user", "user", "--", "sh", "-c", "nsplane apply /tmp/lab.yaml || [ $? = 3 ]")
    machine("userdel", "user")
    machine("nsplane", "wait", ROUTE)
    lab = machine.root / "run/netns/lab"
    (web,) = json.loads(machine("nsplane", "get", "microservices", "--json"))
    inside = machine.root / "proc" / str(web["pid"]) / "ns/net"

    options = machine.root / "etc/default/nsplane"
    options.write_text("OPTIONS=--log-level debug\n")
    later = newer(package, tmp_path)
    eventually(lambda: is_quiet(lab, inside), SECONDS)
    heard = Heard(lab, inside)
    with pinging(str(lab), "10.0.0.2") as pings:
        pids = [machine.shown("MainPID")]
        install(machine, later)
        pids += [machine.shown("MainPID")]
        assert "--log-level\0debug" in (machine.root / "proc" / pids[1] / "cmdline").read_text()
        machine("nsplane", "wait", ROUTE)
        with with_setting(machine, "WatchdogSec=4s"):
            it_is_started_anew_when_it_hangs(machine)
        pids += [machine.shown("MainPID")]
        machine("nsplane", "wait", ROUTE)
    assert heard.close() == "", "nothing was to be written"
    sent, answered = pings
    assert sent == answered > 0
    assert len(set(pids)) == 3
    assert machine("dpkg-query", "--show", "--showformat=${Version}", "nsplane").endswith("+1")
    assert options.read_text() == "OPTIONS=--log-level debug\n"

    with with_setting(machine, "ProtectSystem=full"):
        it_is_not_to_be_apart(machine)
    machine("systemctl", "stop", "web.service")
    (machine.root / "run/systemd/system/web.service").unlink()
    machine("nsplane", "clear")
    machine("dpkg", "--purge", "nsplane")
    assert [path for path in machine.written() - before if not OTHERS.match(path) and not (LOWER / path).exists()] == []
    assert not (machine.root / "run/nsplane").exists()
    assert machine("getent", "group", "nsplane", check=False) == ""
    assert machine("systemctl", "list-units", "--all", "--no-legend", "nsplane*") == ""

"""A machine of its own whose process 1 is systemd: namespaces of every kind, a control group, and a root of which what is written
is thrown away."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from ..bus.conftest import eventually

SECONDS = 120
"""After so long a command is taken to be stuck, or the machine not to come up."""

BOOT = r"""
set -e
root=$1 lower=$2
echo $$ >"$root/cgroups/$3/cgroup.procs"
mount -t tmpfs tmpfs "$root/over"
mkdir "$root/over/upper" "$root/over/work"
mount -t overlay -o "lowerdir=$lower,upperdir=$root/over/upper,workdir=$root/over/work" overlay "$root/machine"
exec unshare --cgroup --pid --net --uts --ipc --fork --kill-child bash -c '
	set -e
	cd "$1"
	# As systemd has it where it is not in a container.
	mount --make-shared .
	ip link set lo up
	hostname machine
	mount -t proc proc proc
	# What is not of a network namespace is the real machine: systemd would set it.
	mount --bind proc/sys/net proc/sys/net
	mount --bind proc/sys proc/sys
	mount -o remount,bind,ro proc/sys
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs dev
	mkdir dev/net
	for device in null zero full random urandom tty net/tun; do
		[ ! -e "/dev/$device" ] || { touch "dev/$device" && mount --bind "/dev/$device" "dev/$device"; }
	done
	mkdir dev/shm dev/pts
	ln -s /proc/self/fd dev/fd
	mount -t tmpfs -o mode=755 tmpfs run
	mkdir -p run/lock
	mount -t tmpfs -o mode=1777 tmpfs tmp
	# Where it is Debian in a container, this says that no service may be started.
	rm -f usr/sbin/policy-rc.d
	# Nothing of what the root would mount and start by itself.
	: >etc/fstab
	printf "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\nAllowIsolate=yes\n" >etc/systemd/system/bare.target
	exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --system --unit=bare.target
' boot "$root/machine"
"""


class Machine:
    """One that runs from start to close(). `lower` is what its root looks like."""

    def __init__(self, lower: Path) -> None:
        self.lower = lower
        self.directory = Path(tempfile.mkdtemp(prefix="nspm-"))
        self.name = self.directory.name
        for folder in ("cgroups", "over", "machine"):
            (self.directory / folder).mkdir()
        subprocess.run(["mount", "-t", "cgroup2", "cgroup", self.directory / "cgroups"], check=True)
        self._cgroup = self.directory / "cgroups" / self.name
        self._cgroup.mkdir()
        self._log = (self.directory / "log").open("wb")
        boot = ("bash", "-c", BOOT, "boot", self.directory, lower, self.name)
        private = ("unshare", "--mount", "--propagation", "private")
        self._process = subprocess.Popen([*private, *boot], stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT)
        try:
            eventually(self._is_booting, SECONDS)
            (self.pid,) = self._children()
            eventually(lambda: self("systemctl", "is-system-running", check=False) in ("running", "degraded"), SECONDS)
        except BaseException:
            self.close()
            raise

    def _is_booting(self) -> bool:
        """Whether process 1 is systemd by now."""
        for pid in self._children():
            with suppress(FileNotFoundError, ProcessLookupError):  # It has ended meanwhile: it was a step on the way.
                return Path(f"/proc/{pid}/comm").read_text() == "systemd\n"
        return False

    def _children(self) -> list[int]:
        assert self._process.poll() is None, (self.directory / "log").read_text()
        return [int(pid) for pid in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()]

    @property
    def root(self) -> Path:
        """Its root, as seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    def written(self) -> set[str]:
        """What has been written of its root, folders in which something was included."""
        upper = Path(f"/proc/{self._process.pid}/root") / self.directory.relative_to("/") / "over/upper"
        return {str(path.relative_to(upper)) for path in upper.rglob("*")}

    def inside(self, *command: str) -> list[str]:
        """A command that is carried out in it, for Popen."""
        names = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
        environment = (
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
            "DEBIAN_FRONTEND=noninteractive",
        )
        return ["nsenter", f"--target={self.pid}", *names, *environment, *command]

    def __call__(self, *command: str, check: bool = True) -> str:
        """Carries a command out and returns what it printed; with `check` it has to succeed."""
        done = subprocess.run(self.inside(*command), check=False, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def shown(self, property: str, unit: str = "nsplane.service") -> str:
        """What systemd says of a unit."""
        return self("systemctl", "show", "--value", f"--property={property}", unit)

    def processes(self, unit: str) -> list[int]:
        """What runs of a unit, by the numbers that it has outside; the first is the oldest."""
        return [int(pid) for pid in (self._cgroup / "system.slice" / unit / "cgroup.procs").read_text().split()]

    def close(self) -> None:
        """Ends everything in it, and takes away what it was made of."""
        (self._cgroup / "cgroup.kill").write_text("1")
        self._process.wait()
        self._log.close()
        eventually(lambda: "populated 0" in (self._cgroup / "cgroup.events").read_text(), SECONDS)
        for group in sorted(self._cgroup.glob("**/"), reverse=True):
            group.rmdir()
        subprocess.run(["umount", self.directory / "cgroups"], check=True)
        for folder in ("cgroups", "over", "machine"):
            (self.directory / folder).rmdir()
        (self.directory / "log").unlink()
        self.directory.rmdir()

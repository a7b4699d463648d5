"""The agent as a unit of systemd (systemd.service(5), systemd.exec(5))."""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from .privileges import EVERYTHING, KEPT

OPTIONS_FILE = "/etc/default/nsplane"

UNIT = """\
[Unit]
Description=Network namespaces as they are wanted (nsplane)
Documentation=man:nsplane-agent(1)
# What starts containers finds the agent there, and stops them while it still is.
Before=docker.service podman-restart.service crio.service kubelet.service
# However often it fails: the network stays as it is meanwhile, and the next start may well work.
StartLimitIntervalSec=0

[Service]
Type=notify
Environment=OPTIONS=
EnvironmentFile=-{options_file}
ExecStart={command} $OPTIONS
Restart=always
RestartSec=1s
# Wrong usage: another start would not help.
RestartPreventExitStatus=2
# Ready is who has carried out the journal, which may be of millions of items.
TimeoutStartSec=10min
TimeoutStopSec=2min
# The signs of life come from the loop that does the work. Where that hangs, the log says in what.
WatchdogSec=30s
TimeoutAbortSec=10s
Environment=PYTHONFAULTHANDLER=1
# The agent ends its children by itself.
KillMode=mixed
{directories}{groups}UMask=0077

# Each namespace takes descriptors.
LimitNOFILE=1048576
OOMScoreAdjust=-500
OOMPolicy=continue

# What the agent itself does not give up.
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes
RestrictNamespaces=net
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
SystemCallArchitectures=native
SystemCallFilter=@system-service @mount
SystemCallErrorNumber=EPERM
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
KeyringMode=private
ProtectClock=yes
ProtectHostname=yes
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw

# Left out on purpose: whatever gives the unit a mount namespace of its own, for names of network namespaces (mounts in
# /run/netns) would not be seen outside then, nor those of others inside. That is ProtectSystem=, ProtectHome=, ProtectProc=,
# ProtectControlGroups=, ProtectKernelTunables= and the like, ReadOnlyPaths=, PrivateTmp=, PrivateDevices=, PrivateMounts= and
# MountFlags=. PrivateNetwork= and PrivateUsers= would take away what is to be configured.

[Install]
WantedBy=multi-user.target
"""


def unit(arguments: Sequence[str], runtime: Path, state: Path | None, group: int | None, keep: Sequence[str]) -> str:
    """A unit that runs this program with these arguments, on these directories (systemd makes those below /run and /var/lib),
    with privileges to `keep` beside those of privileges.KEPT, for a `group` to which the bus is open."""
    return UNIT.format(
        options_file=OPTIONS_FILE,
        command=" ".join(map(quoted, [*program(), *arguments])),
        directories="".join(directories(runtime, state)),
        groups="" if group is None else f"SupplementaryGroups={group}\n",
        capabilities="~" if EVERYTHING in keep else " ".join((*KEPT, *keep)),
    )


def directories(runtime: Path, state: Path | None) -> list[str]:
    """That of the sockets stays over a stop: containers may have it mounted."""
    lines = []
    if runtime.is_relative_to("/run"):
        lines += [
            f"RuntimeDirectory={runtime.relative_to('/run')}\n",
            "RuntimeDirectoryMode=0700\n",
            "RuntimeDirectoryPreserve=yes\n",
        ]
    if state is not None and state.is_relative_to("/var/lib"):
        lines += [f"StateDirectory={state.relative_to('/var/lib')}\n", "StateDirectoryMode=0700\n"]
    return lines


def program() -> list[str]:
    """How this program is called, by an absolute path."""
    called = shutil.which(sys.argv[0])
    if called is not None and Path(called).name == "nsplane":
        return [str(Path(called).absolute())]
    return [sys.executable, "-m", __package__ or ""]


def quoted(word: str) -> str:
    """A word as systemd takes it (systemd.service(5), "Command lines"), with nothing in it that stands for something else."""
    text = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

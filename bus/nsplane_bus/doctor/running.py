"""What the agent's process may do and see, what it has kept, and what others have left."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import nsplane
from nsplane.kernel import KernelError, Monitor, list_netns, open_netns_name

from ..privileges import KEPT, NEEDED, NUMBERS, effective
from .finding import Agent, Findings

NETNS = "/run/netns"
FEW_DESCRIPTORS = 4096
PER_NAMESPACE = 3
"""Descriptors, about, with the quarter that is for command sockets."""
LITTLE_ROOM = 256 << 20
MANY = 10
"""Names, and more, are no list that anybody reads."""


def look_at_agent(agent: Agent, found: Findings) -> None:
    if not agent.info:
        found.add("agent", "note", agent.why, "nsplane agent")
        return
    version = agent.told("version")
    if version != nsplane.kernel.library_version() and version is not None:
        text = (
            f"the agent (process {agent.told('pid')}) is of version {version}, this command of {nsplane.kernel.library_version()}"
        )
        found.add("agent", "warning", text, "systemctl restart nsplane")
    else:
        found.add("agent", "ok", f"process {agent.told('pid')}, version {version}, id {agent.agent_id}")
    for path, text in (
        (("writer", "dropped"), "changes were not fetched in time"),
        (("bus", "publisher", "events_dropped"), "times a subscriber was too slow, and lost events"),
        (("bus", "router", "replies_dropped"), "replies were lost, for their peers did not take them"),
    ):
        if agent.told(*path):
            found.add("agent", "note", f"{agent.told(*path)} {text} ({'.'.join(path)})")


def look_at_privileges(agent: Agent, found: Findings) -> None:
    """Those of the agent or, without one, of this command, which could be it."""
    has = effective(agent.process / "status")
    missing = [name for name in KEPT if not has >> NUMBERS[name] & 1]
    whose = "the agent" if agent.info else "this command"
    for name in missing:
        option = f"docker run --cap-add {name.removeprefix('CAP_')} ... (in a container), or AmbientCapabilities={name} (systemd)"
        mend = option if agent.info else f"sudo nsplane agent; {option}"
        found.add("privileges", "problem" if name in NEEDED else "note", f"{whose} has no {name}: {KEPT[name]}", mend)
    more = [name for name, number in NUMBERS.items() if has >> number & 1 and name not in KEPT]
    if agent.info and more:
        text = f"{whose} has more than it needs (--keep): {', '.join(more) if len(more) < MANY else 'all, or nearly all'}"
        found.add("privileges", "note", text, "systemctl restart nsplane (without --keep)")
    if not missing:
        found.add("privileges", "ok", f"{whose} has {', '.join(KEPT)}")


def look_at_mounts(agent: Agent, found: Findings) -> None:
    """Names are seen elsewhere where the mounts under /run/netns are passed on; from a mount namespace of the agent's own, where
    these have the peer group that they have in the machine's (mount_namespaces(7))."""
    place = _mount_of_names(agent.process)
    groups = _peer_groups(place)
    machine = _mount_namespace(Path("/proc/1"))
    is_apart = machine is not None and _mount_namespace(agent.process) != machine
    if is_apart:
        groups &= _peer_groups(_mount_of_names(Path("/proc/1")))
    mend = f"mkdir -p {NETNS} && mount --bind {NETNS} {NETNS} && mount --make-shared {NETNS}"
    if groups:
        found.add("mounts", "ok", f"names under {NETNS} are passed on to other mount namespaces")
    elif is_apart:
        text = (
            f"the agent is in a mount namespace of its own, and {NETNS} in it is private: names that it makes are not seen outside"
        )
        service = "no ProtectSystem=, PrivateTmp= and the like (in a service)"
        found.add("mounts", "warning", text, f"docker run -v {NETNS}:{NETNS}:shared ... (in a container), {service}, or: {mend}")
    else:
        text = f"{NETNS} is private: names that are made now are not seen in mount namespaces of containers and services"
        found.add("mounts", "note", text, mend)


def _mount_of_names(process: Path) -> list[str]:
    """The fields of what is mounted where a process has the names of namespaces (proc_pid_mountinfo(5))."""
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    covering = [mount for mount in mounts if mount[4] == "/" or f"{NETNS}/".startswith(f"{mount[4]}/")]
    return max(covering, key=lambda mount: len(mount[4]), default=[])


def _peer_groups(mount: list[str]) -> set[str]:
    return {option for option in mount[6:] if option.startswith("shared:")}


def _mount_namespace(process: Path) -> str | None:
    with contextlib.suppress(OSError):
        return os.readlink(process / "ns/mnt")
    return None


def look_at_descriptors(agent: Agent, found: Findings) -> None:
    limits = (agent.process / "limits").read_text()
    hard = re.search(r"^Max open files\s+\w+\s+(\w+)", limits, re.MULTILINE)
    limit = int(hard[1]) if hard is not None and hard[1].isdecimal() else 1 << 20
    have = agent.told("namespaces") or 0
    mend = f"prlimit --pid {agent.told('pid')} --nofile={limit * 8}" if agent.info else f"ulimit -Hn {limit * 8}"
    mend += " (for good: LimitNOFILE= in the service)"
    text = f"{limit} descriptors: for about {limit // PER_NAMESPACE} namespaces"
    if agent.told("bus", "descriptors", "short"):
        found.add("descriptors", "problem", f"{text}; they are used up, and who connects now waits", mend)
    elif limit < FEW_DESCRIPTORS or have * PER_NAMESPACE > limit * 3 // 4:
        found.add("descriptors", "warning", f"{text}; {have} are in use", mend)
    else:
        found.add("descriptors", "ok", text)


def look_at_journal(agent: Agent, found: Findings) -> None:
    if agent.state_directory is None or not agent.state_directory.exists():
        found.add("journal", "note", "there is no state: where the agent keeps it elsewhere, say --state-dir")
        return
    folder = agent.state_directory / agent.agent_id
    if not os.access(agent.state_directory, os.R_OK | os.X_OK):
        found.add("journal", "note", f"{agent.state_directory} is another user's: it is not looked at", "sudo nsplane doctor")
        return
    room = shutil.disk_usage(agent.state_directory).free
    if room < LITTLE_ROOM:
        text = f"{agent.state_directory} has {room >> 20} MiB left: where the journal finds no room, requests are refused"
        found.add("journal", "warning", text, f"df -h {agent.state_directory}")
    damaged = sorted(path.name for path in folder.glob("*.damaged*")) if folder.is_dir() else []
    if damaged:
        found.add(
            "journal",
            "note",
            f"what an earlier start found damaged is kept: {', '.join(damaged)} in {folder}",
            f"rm {folder}/*.damaged*",
        )
    file = folder / "journal.db"
    if not file.exists():
        found.add("journal", "note" if not agent.info else "ok", f"there is no journal in {folder}")
        return
    wrong = _wrong_with(file)
    if wrong:
        text = f"{file} is damaged: {wrong}"
        found.add("journal", "problem", text, f"nsplane agent --id {agent.agent_id} --accept-loss")
    else:
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        found.add("journal", "ok", f"{folder}: {size >> 10} KiB, {room >> 20} MiB are left")


def _wrong_with(file: Path) -> str:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as db:
            ((said,),) = db.execute("PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else str(said)


def look_at_leftovers(agent: Agent, found: Findings) -> None:
    """Links that bear the mark of an agent that does not answer here."""
    marks: Counter[str] = Counter()
    hidden = 0
    names = list_netns()
    for name in (None, *names):
        try:
            fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC) if name is None else open_netns_name(name)
        except KernelError:
            continue  # it has gone meanwhile
        try:
            links = [event.link for event in Monitor.survey(fd)]
        except KernelError:
            hidden += 1
            continue
        finally:
            os.close(fd)
        marks.update(link.alias.split(":")[1] for link in links if link is not None and link.alias.startswith("nsplane:"))
    if hidden:
        text = f"{hidden} of {len(names)} named namespaces could not be looked into"
        found.add("leftovers", "note", text, "sudo nsplane doctor")
    others = {owner: count for owner, count in marks.items() if not agent.info or owner != agent.agent_id}
    for owner, count in sorted(others.items()):
        text = f"{count} links bear the mark of the agent {owner}, which is not the one that answers here"
        found.add("leftovers", "note", f"{text}: where it does not run any more, they are left over", f"nsplane clear --id {owner}")
    if not others and not hidden:
        found.add("leftovers", "ok", "no link bears the mark of another agent")

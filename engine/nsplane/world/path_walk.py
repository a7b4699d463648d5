"""Where a path leads: the directories that it is looked up in, and the processes behind it."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

Task = tuple[int, int | None]
"""A process, or one of its threads: PID, and TID or None."""

LINKS_MOST = 40
"""The kernel's own limit (path_resolution(7))."""

_NUMBER = re.compile("[1-9][0-9]{0,9}")


@dataclass(slots=True, frozen=True)
class PathWalk:
    """How a path leads where it leads. Two are equal while no symbolic link on the way was made anew."""

    named: Task | None
    """The process whose number the path itself says, in whatever spelling; one that a symbolic link leads to is not named."""
    tasks: tuple[Task, ...]
    """All through whose part of /proc it leads."""
    is_told: bool
    """Does somebody tell when it leads elsewhere? Nobody does of what a process has: its descriptors, its root, its mounts."""
    directories: tuple[str, ...]
    links: tuple[tuple[str, int, int], ...]
    """Symbolic links: path, inode, time of change (ns)."""


@dataclass(slots=True, frozen=True)
class _Step:
    """A name that was looked up. `leap`: a link of /proc to what a process has, which the kernel alone can follow."""

    name: str
    task: Task | None = None
    leap: bool = False


def walk_path(path: str) -> PathWalk:
    """The walk along an absolute path as it is now, as far as it leads."""
    todo = [(name, True) for name in reversed(path.split("/"))]
    steps: list[_Step] = []
    directories: dict[str, None] = {}
    links: list[tuple[str, int, int]] = []
    tasks: dict[Task, None] = {}
    named = None
    is_told = True
    while todo:
        name, says_path = todo.pop()
        if name in ("", "."):
            continue
        if name == "..":
            if not steps or not (steps[-1].leap or steps[-1].name == ".."):
                del steps[-1:]
            else:
                steps.append(_Step(name))
            continue
        here = "/" + "/".join(step.name for step in steps)
        task = _task(steps, here, name)
        if task is not None:
            named = task if says_path and name == str(task[1] or task[0]) else named
        else:
            directories[here] = None
        place = f"{here.rstrip('/')}/{name}"
        try:
            found = os.lstat(place)
            target = os.readlink(place) if stat.S_ISLNK(found.st_mode) else None
        except OSError:
            steps.append(_Step(name, task))
            break
        if target is None:
            steps.append(_Step(name, task))
        elif _is_leap(task, here, found.st_size, target):
            is_told &= task is not None and _is_netns(steps, name)
            steps.append(_Step(name, task, leap=True))
        else:
            tasks |= _tasks(steps)
            links.append((place, found.st_ino, found.st_ctime_ns))
            if len(links) > LINKS_MOST:
                break
            if target.startswith("/"):
                steps.clear()
            todo += [(part, False) for part in reversed(target.split("/"))]
    tasks |= _tasks(steps)
    return PathWalk(named if named in tasks else None, tuple(tasks), is_told, tuple(directories), tuple(links))


def _task(steps: list[_Step], here: str, name: str) -> Task | None:
    """Whose part of /proc the name is in, or is."""
    last = steps[-1] if steps else _Step("")
    if _NUMBER.fullmatch(name):
        if last.task is not None and last.name == "task" and steps[-2].name == str(last.task[0]):
            return last.task[0], int(name)
        if last.task is None and _is_proc(here):
            return int(name), None
    return None if last.leap else last.task


def _tasks(steps: list[_Step]) -> dict[Task, None]:
    found = [step.task for step in steps if step.task is not None]
    return {task: None for task in found if task[1] is not None or not any(other[0] == task[0] and other[1] for other in found)}


def _is_proc(directory: str) -> bool:
    try:
        return os.path.samefile(directory, "/proc")
    except OSError:
        return False


def _is_leap(task: Task | None, here: str, size: int, target: str) -> bool:
    """Of /proc, what a link says is no path that could be followed, and its size is not its length."""
    return task is not None or (size != len(os.fsencode(target)) and not _is_proc(here))


def _is_netns(steps: list[_Step], name: str) -> bool:
    return name == "net" and steps[-1].name == "ns"

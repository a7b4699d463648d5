"""Whether container engines ask the gate, and whether there is one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .finding import Agent, Findings


def look_at_gate(agent: Agent, found: Findings) -> None:
    from ..gate import SOURCE
    from ..gate.install import ENGINES, CannotInstall, Engine, installed

    source = (agent.told("microservice_sources") or {}).get(SOURCE)
    is_there = source is not None and source["state"] == "following"
    asking: list[str] = []
    lacking: list[Engine] = []
    for name, engine in ENGINES.items():
        try:
            told = installed(engine)
        except CannotInstall as error:
            found.add("gate", "warning", f"it cannot be told whether {name} asks the gate: {error}")
            continue
        if told is None:
            if shutil.which(engine.program) if engine.program else any(engine.file.glob("*.conflist")):
                lacking.append(engine)
            continue
        file, entry = told
        asking.append(name)
        path = str(entry.get("path", ""))
        if path and not os.access(path, os.X_OK):
            found.add("gate", "problem", f"{file} names {path}, which cannot be run: no container starts by it", _mend(engine))
    if source is not None and not is_there:
        found.add("gate", "warning", f"the gate says: {source['message'] or source['state']}", "nsplane agent --gate")
    if is_there:
        for engine in lacking:
            text = f"there is a gate, and {engine.name} does not ask it ({engine.file})"
            found.add("gate", "note", text, _mend(engine))
    elif asking and source is None:
        text = f"{' and '.join(asking)} asks a gate" if len(asking) == 1 else f"{' and '.join(asking)} ask a gate"
        found.add("gate", "warning", f"{text}, and the agent has none: nothing is waited for", "nsplane agent --gate")
    if _is_default(Path("/etc/docker/daemon.json")):
        text = "the gate's runtime is docker's default: it takes the labels of images too, when these are built"
        found.add("gate", "warning", text, "in /etc/docker/daemon.json, without default-runtime; docker run --runtime nsplane ...")
    if is_there or not asking:
        text = f"{source['message']}; asked by {', '.join(asking) or 'nobody'}" if is_there and source else "no engine asks for one"
        found.add("gate", "ok", text)


def _mend(engine: object) -> str:
    from ..gate.install import Engine

    assert isinstance(engine, Engine)
    return f"nsplane gate --install {engine.name} --write{f' && {engine.then}' if engine.then else ''}"


def _is_default(file: Path) -> bool:
    from ..gate.install import DOCKERS_NAME, CannotInstall, read

    try:
        return file.exists() and read(file).get("default-runtime") == DOCKERS_NAME
    except CannotInstall:  # which is said already
        return False

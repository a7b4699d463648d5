"""Containers whose first instruction is a look at their network: held by the gate, or with the watcher alone."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nsplane_bus import Client

from ..agent import STOP_SECONDS, RunningAgent, wait_until
from ..failures import Incomplete
from ..network import NETNS
from .docker_engine import RUNTIME, Engine
from .report import GatedStart
from .wiring import BRIDGE, GATEWAY_MAC, LABEL, LINK, ROUTES, Wiring

FIRST = ["cat", "/proc/net/route", "/proc/net/arp"]
"""The whole of a container: it shows what it has, and ends."""
SIDES = ("gate", "watcher", "unlabelled")


class Stopwatch:
    """Stands between forwarders and the gate, and notes for how long each was held, in milliseconds."""

    def __init__(self, path: Path, gate: Path) -> None:
        self.held: list[float] = []
        self._gate = gate
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(128)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                self._pass(self._listener.accept()[0])

    def _pass(self, peer: socket.socket) -> None:
        began = time.perf_counter()
        with peer, socket.socket(socket.AF_UNIX) as gate:
            gate.connect(str(self._gate))
            asked = b""
            while not asked.endswith(b"\0\0"):
                asked += peer.recv(65536)
            gate.sendall(asked)
            answer = gate.recv(4096)
            self.held.append((time.perf_counter() - began) * 1000)
            peer.sendall(answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def start_gated(engine: Engine, agent: RunningAgent, name: str, count: int) -> Iterator[GatedStart]:
    """Starts so many containers of each side, in turn. `name` is that of the namespace with the bridge."""
    place = {"type": "name", "name": name}
    with (
        contextlib.closing(Stopwatch(engine.gate, agent.directory / "gate.sock")) as stopwatch,
        Client(agent.bus, "bench", events=agent.events) as client,
    ):
        client.put([{"kind": "bridge", "name": BRIDGE, "namespace": place}]).expect()
        client.put(Wiring(0).items(place)).expect()
        for _ in range(count):
            for side in SIDES:
                shown = first_look(engine, side)
                if side != "watcher" and not stopwatch.held:
                    raise Incomplete("a start was not held")
                held = stopwatch.held.pop() if side != "watcher" else None
                yield GatedStart(side, None if held is None else round(held, 3), side != "unlabelled" and is_complete(shown))
        client.replace([])
        wait_until(lambda: not (NETNS / name).exists(), STOP_SECONDS)


def first_look(engine: Engine, side: str) -> str:
    """What the first instruction of a container has seen."""
    more: dict[str, Any] = {} if side == "watcher" else {"runtime": RUNTIME}
    environment = {} if side == "unlabelled" else {"MICROSERVICE_LABEL": f"{LABEL}0"}
    return engine.run(FIRST, environment, **more)


def is_complete(shown: str) -> bool:
    """Are all routes of the wiring there, with that of its subnet, and the neighbour?"""
    routes = sum(line.startswith(f"{LINK}\t") for line in shown.splitlines())
    return routes == ROUTES + 1 and GATEWAY_MAC in shown

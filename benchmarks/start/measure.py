"""Containers that start, and what waits for them: from docker's own time stamp until the last of it is there.

The containers of both sides are of one engine, and created beforehand. The sides take turns, container by container, each when
nothing else goes on; while it is the floor's turn, agent and watcher stand still, for they would look at its container too.
"""

import os
import time
from collections.abc import Iterator

from ..agent import RunningAgent, running_agent
from ..network import removed_at_the_end
from .docker_engine import Engine, running_engine
from .gate import start_gated
from .report import Start, StartReport
from .sides import Side, floor_side, nsplane_side

QUIET_SECONDS = 0.5
"""What the start of a container leaves to be done, in the engine and elsewhere, is done meanwhile."""


def measure(containers: int, gated: int) -> StartReport:
    """Starts so many containers for either side, and so many with the gate and without."""
    prefix = f"nsp-bench-{os.getpid()}"
    bridge = f"{prefix}-nsplane"
    with (
        running_engine(f"{prefix}-docker") as engine,
        floor_side(engine, f"{prefix}-floor", containers) as floor,
        removed_at_the_end(bridge),  # Not before the agent's end: it would make the namespace again.
        running_agent("--gate", environment={"DOCKER_HOST": engine.host}) as agent,
    ):
        with nsplane_side(engine, agent, bridge, containers) as nsplane:
            rounds = list(start_all(engine, agent, floor, nsplane, containers))
        return StartReport(scenario="start", rounds=rounds, gated=list(start_gated(engine, agent, bridge, gated)))


def start_all(engine: Engine, agent: RunningAgent, floor: Side, nsplane: Side, containers: int) -> Iterator[Start]:
    for number in range(containers):
        if number % 2:
            ours = start(engine, nsplane, number)
            least = start_alone(engine, agent, floor, number)
        else:
            least = start_alone(engine, agent, floor, number)
            ours = start(engine, nsplane, number)
        yield Start("nsplane" if number % 2 else "floor", round(ours, 3), round(least, 3))


def start(engine: Engine, side: Side, number: int) -> float:
    """Starts a container, and returns how many milliseconds its wiring took. The kernel is asked for it then."""
    container = side.containers[number]
    time.sleep(QUIET_SECONDS)
    container.start()
    wired = side.wired(number)
    started = engine.start_event(container)
    side.check(number)
    return (wired - started) / 1e6


def start_alone(engine: Engine, agent: RunningAgent, side: Side, number: int) -> float:
    with agent.halted():
        return start(engine, side, number)

"""Disturbances of containers and of their engine. While that is away, nobody asks it for anything."""

from __future__ import annotations

import random
import time

from ..docker.dockerd import IMAGE
from .registry import Lasting, disturbance
from .world import World

MANY = 5
"""Containers that run at a time."""


def _one(world: World, dice: random.Random) -> str | None:
    """A container that runs, and is not paused."""
    there = sorted(set(world.dockerd.containers()) - world.paused)
    return dice.choice(there) if there else None


@disturbance(6)
def container_started(world: World, dice: random.Random) -> None:
    """Perhaps under a label that another one has."""
    if not world.dockerd.running:
        return
    while len(there := world.dockerd.containers()) >= MANY:
        world.docker("rm", "--force", dice.choice(there))
    label = dice.choice([label for author in world.authors for label in author.containers])
    how = dice.choice(((), (), ("--restart", "always"), ("--rm",)))
    options = ("--detach", "--network", "none", "--stop-timeout", "1", "--env", f"MICROSERVICE_LABEL={label}")
    world.docker("run", *options, *how, IMAGE, "sleep", "100000")


@disturbance(4)
def container_ended(world: World, dice: random.Random) -> None:
    if world.dockerd.running and (victim := _one(world, dice)):
        world.docker(*dice.choice((("kill",), ("rm", "--force"), ("stop",), ("kill", "--signal", "TERM"))), victim)


@disturbance(3)
def container_restarted(world: World, dice: random.Random) -> None:
    if world.dockerd.running and (victim := _one(world, dice)):
        world.docker("restart", victim)


@disturbance(2)
def container_paused(world: World, dice: random.Random) -> Lasting:
    victim = _one(world, dice) if world.dockerd.running else None
    if victim is None:
        return
    world.docker("pause", victim)
    world.paused.add(victim)
    yield dice.uniform(1, 8)
    world.paused.discard(victim)
    if world.dockerd.running:
        world.docker("unpause", victim)


@disturbance(0.7)
def engine_killed(world: World, dice: random.Random) -> Lasting:
    """Its containers run on, and end when it is back."""
    if world.dockerd.running:
        world.dockerd.kill()
        yield dice.uniform(0.2, 4)
        world.dockerd.start()
        world.paused.clear()


@disturbance(0.4)
def engine_ended(world: World, dice: random.Random) -> None:
    """And started again, as for an upgrade."""
    if world.dockerd.running:
        for victim in sorted(world.paused):  # it would wait for them
            world.docker("unpause", victim)
        world.paused.clear()
        world.dockerd.stop()
        time.sleep(dice.uniform(0, 1))
        world.dockerd.start()

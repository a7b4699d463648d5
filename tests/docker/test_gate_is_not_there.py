"""Without a gate the runtime decides by its policy; who has no label is none of its business."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..bus.conftest import eventually
from .dockerd import PATIENCE, Dockerd


def left(dockerd: Dockerd) -> list[list[str]]:
    """What runs of the engine beside itself: shims, and what stands behind them."""
    return [called for called in dockerd.processes().values() if "containerd-shim" in called[0] or called[0] in ("runc", "sleep")]


def test_closed_refuses_and_leaves_nothing(dockerd: Dockerd) -> None:
    """`docker run --rm` of a refused container, 20 of them: the reason is docker's own message, and the container is gone."""

    def refused(number: int) -> str:
        given = ["run", "--rm", "--network=none", "--runtime=closed", f"--env=MICROSERVICE_LABEL=m{number}"]
        done = dockerd.asked(*given, "nsplane-test", "true")
        assert done.returncode != 0
        return done.stderr

    with ThreadPoolExecutor(4) as pool:
        for said in pool.map(refused, range(20)):
            assert f"nsplane: the gate at {dockerd.gate} cannot be reached: nothing is there" in said
    eventually(lambda: not left(dockerd), PATIENCE)
    assert dockerd.containers("--all") == []
    # Whoever has no label starts, and who was refused does as soon as it may.
    again = dockerd.create("m1", "--runtime=closed")
    assert dockerd.asked("start", again.id).returncode != 0
    assert again.pid == 0
    dockerd.run(None, "--runtime=closed")
    dockerd.remove_all()

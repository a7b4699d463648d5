"""The engine of Debian's packages of today, where it has been unpacked (`make newer-docker`): with its own containerd and runc.

From version 28 on docker makes a container's network only when its process has been made, and puts its own default route then.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..bus.conftest import RunningAgent
from .conftest import NEWER_DOCKER
from .dockerd import Dockerd
from .gated import NETWORKS, refusals_leave_nothing, starts_are_complete


@pytest.fixture(scope="module")
def dockerd() -> Iterator[Dockerd]:
    made = Dockerd(NEWER_DOCKER)
    made.start()
    assert int(made.docker("version", "--format", "{{.Server.Version}}").split(".")[0]) >= 28
    yield made
    made.close()


@pytest.mark.parametrize("network", NETWORKS)
def test_the_first_process_sees_all_of_it(network: str, dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    starts_are_complete(dockerd, gated_agent, network, 2)


def test_twenty_refused_leave_nothing(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    refusals_leave_nothing(dockerd, gated_agent.client(), 20)

"""An agent without a docker engine works, says that there is none, and follows one that appears."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent, eventually, start_agent
from ..engine.wishes import bridge, by_name
from .conftest import finish, follows, new_name
from .dockerd import PATIENCE, Dockerd
from .truth import comes_true, lab

LABELS = ("m1", "m2")


@pytest.fixture
def later() -> Iterator[Dockerd]:
    """An engine of the test's own, which does not run yet."""
    made = Dockerd()
    yield made
    made.close()


@pytest.fixture
def agent(later: Dockerd, directory: Path) -> Iterator[RunningAgent]:
    made = start_agent(directory, new_name(), DOCKER_HOST=later.host)
    yield made
    finish(made)


def test_an_engine_that_appears_ends_and_appears_again(later: Dockerd, agent: RunningAgent) -> None:
    client = agent.client()
    eventually(lambda: follows(client, "unreachable"), PATIENCE)
    source = client.info()["microservice_sources"]["docker"]
    assert str(later.socket) in source["message"]
    assert abs(source["since"] - time.time()) < 3600
    assert f"WARNING nsplane.docker: {later.host}: " in agent.log
    assert client.put([bridge("other", by_name(agent.name))]).counts == {"configured": 1}, "it works without docker"
    client.put(lab(agent.name, LABELS))

    later.start()
    eventually(lambda: follows(client), PATIENCE)
    later.run("m1")
    eventually(lambda: client.entry("interface/m1-port"))
    client.delete(["interface/other"])
    comes_true(later, agent, client, LABELS)

    later.stop()
    eventually(lambda: follows(client, "unreachable"), PATIENCE)
    for key in ("interface/m1", "interface/m1-port"):
        entry = client.wait(key, "pending")
        assert entry is not None
        assert entry["missing"] == ["microservice/m1"]

    later.start()
    later.run("m2")
    comes_true(later, agent, client, LABELS)
    assert follows(client)

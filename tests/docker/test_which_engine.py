"""Which engine is followed, and by which keys: options, environment and contexts, as docker's own client reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent, eventually, start_agent
from ..engine.wishes import bridge, by_label
from .conftest import finish, follows, new_name
from .dockerd import PATIENCE, Dockerd, program, run
from .wiring import names, next_event, settled

StartAgent = Callable[..., RunningAgent]
NOWHERE = "unix:///nonexistent/docker.sock"


@pytest.fixture
def agent_with(dockerd: Dockerd, directory: Path) -> Iterator[StartAgent]:
    """Starts an agent with these options and this environment."""
    agents = []

    def start(*options: str, **environment: str) -> RunningAgent:
        agents.append(start_agent(directory, new_name(), *options, **environment))
        return agents[-1]

    yield start
    dockerd.remove_all()
    for agent in agents:
        finish(agent)


@pytest.fixture
def configuration(dockerd: Dockerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of the docker client's with the contexts `lab`, which is the engine, `nowhere`, and one that nobody can read."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name, host in (("lab", dockerd.host), ("nowhere", NOWHERE)):
        docker(tmp_path, "context", "create", name, "--docker", f"host={host}")
    before = set(tmp_path.glob("contexts/meta/*/meta.json"))
    docker(tmp_path, "context", "create", "unreadable", "--docker", f"host={dockerd.host}")
    (made,) = set(tmp_path.glob("contexts/meta/*/meta.json")) - before
    made.write_text("{")
    return tmp_path


def use(configuration: Path, context: str) -> None:
    """`docker context use`, also of one that is not there."""
    (configuration / "config.json").write_text(json.dumps({"auths": {}, "currentContext": context}))


def docker(configuration: Path, *arguments: str) -> str:
    return run(program("docker"), "--config", str(configuration), *arguments)


@pytest.mark.parametrize(
    ("options", "environment", "current"),
    [
        ((), {}, "lab"),
        ((), {"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, "lab"),
        ((), {"DOCKER_CONTEXT": "lab"}, "default"),
        ((), {"DOCKER_CONTEXT": "lab"}, "nowhere"),
        ((), {"DOCKER_HOST": "HOST"}, "nowhere"),
        ((), {"DOCKER_HOST": "HOST", "DOCKER_CONTEXT": "nowhere"}, "default"),
        ((), {"DOCKER_HOST": "HOST", "DOCKER_CONTEXT": "there is none of this name"}, "default"),
        (("--docker-host", "HOST"), {"DOCKER_HOST": NOWHERE, "DOCKER_CONTEXT": "nowhere"}, "nowhere"),
    ],
)
def test_the_engine_is_found_as_dockers_client_finds_it(
    options: tuple[str, ...],
    environment: dict[str, str],
    current: str,
    dockerd: Dockerd,
    configuration: Path,
    agent_with: StartAgent,
) -> None:
    use(configuration, current)
    options = tuple(option.replace("HOST", dockerd.host) for option in options)
    environment = {name: value.replace("HOST", dockerd.host) for name, value in environment.items()}
    agent = agent_with(*options, DOCKER_CONFIG=str(configuration), **environment)
    client = agent.client()
    eventually(lambda: follows(client), PATIENCE)
    container = dockerd.run("web")
    client.put([bridge("b", by_label("web"))])
    settled(client, ["interface/b"])
    assert names(container) == {"lo", "b"}


@pytest.mark.parametrize(
    ("options", "environment", "current", "named"),
    [
        ((), {}, "nowhere", "/nonexistent/docker.sock"),
        ((), {"DOCKER_CONTEXT": "nowhere"}, "lab", "/nonexistent/docker.sock"),
        ((), {"DOCKER_HOST": NOWHERE, "DOCKER_CONTEXT": "lab"}, "lab", "/nonexistent/docker.sock"),
        (("--docker-host", NOWHERE), {"DOCKER_HOST": "HOST"}, "lab", "/nonexistent/docker.sock"),
        ((), {"DOCKER_CONTEXT": "nosuch"}, "lab", "nosuch"),
        ((), {}, "nosuch", "nosuch"),
        ((), {"DOCKER_CONTEXT": "unreadable"}, "lab", "unreadable"),
        ((), {}, "unreadable", "unreadable"),
        ((), {"DOCKER_HOST": "no address at all"}, "lab", "no address at all"),
    ],
)
def test_an_engine_that_is_not_there_is_named_and_everything_else_works(
    options: tuple[str, ...],
    environment: dict[str, str],
    current: str,
    named: str,
    dockerd: Dockerd,
    configuration: Path,
    agent_with: StartAgent,
) -> None:
    use(configuration, current)
    environment = {name: value.replace("HOST", dockerd.host) for name, value in environment.items()}
    agent = agent_with(*options, DOCKER_CONFIG=str(configuration), **environment)
    client = agent.client()
    eventually(lambda: follows(client, "unreachable"), PATIENCE)
    assert named in client.info()["microservice_sources"]["docker"]["message"]
    assert named in agent.log
    client.put([bridge("b", agent.namespace)])
    settled(client, ["interface/b"])


def test_contexts_are_found_where_there_is_no_configuration_beside_them(
    dockerd: Dockerd, configuration: Path, agent_with: StartAgent
) -> None:
    """`docker context create` makes none, and docker's own client wants none."""
    assert not (configuration / "config.json").exists()
    client = agent_with(DOCKER_CONFIG=str(configuration), DOCKER_CONTEXT="lab").client()
    eventually(lambda: follows(client), PATIENCE)


def test_a_context_that_is_made_later_is_picked_up(dockerd: Dockerd, configuration: Path, agent_with: StartAgent) -> None:
    use(configuration, "lab")
    agent = agent_with(DOCKER_CONFIG=str(configuration), DOCKER_CONTEXT="later")
    client = agent.client()
    eventually(lambda: follows(client, "unreachable"), PATIENCE)
    docker(configuration, "context", "create", "later", "--docker", f"host={dockerd.host}")
    eventually(lambda: follows(client), PATIENCE)


def test_another_current_context_is_picked_up_when_the_engine_is_looked_for(
    dockerd: Dockerd, configuration: Path, agent_with: StartAgent
) -> None:
    use(configuration, "nowhere")
    client = agent_with(DOCKER_CONFIG=str(configuration)).client()
    eventually(lambda: follows(client, "unreachable"), PATIENCE)
    docker(configuration, "context", "use", "lab")
    eventually(lambda: follows(client), PATIENCE)


def test_an_agent_without_docker_has_no_watcher(dockerd: Dockerd, agent_with: StartAgent) -> None:
    agent = agent_with("--no-docker", DOCKER_HOST=dockerd.host)
    client = agent.client()
    dockerd.run("web")
    client.put([bridge("b", agent.namespace)])
    settled(client, ["interface/b"])
    assert client.info()["microservice_sources"] == {}
    assert client.entry("microservice/web") is None
    assert children(agent.process.pid) == []


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("container", "label"),
    [
        (("--env", "SERVICE=by-env"), "by-env"),
        (("--label", "com.example.service=by-label"), "by-label"),
        (("--env", "SERVICE=by-env", "--label", "com.example.service=by-label"), "by-env"),
    ],
)
def test_other_keys_of_the_label(container: tuple[str, ...], label: str, dockerd: Dockerd, agent_with: StartAgent) -> None:
    keys = ("--environment-key", "SERVICE", "--label-key", "com.example.service")
    agent = agent_with(*keys, DOCKER_HOST=dockerd.host)
    client = agent.client()
    eventually(lambda: follows(client), PATIENCE)
    with client.subscribe("microservice/") as events:
        events.ready()
        dockerd.run("web", "--label", "nsplane.microservice=web")  # By the keys that count no longer.
        made = dockerd.run(None, *container)
        event = next_event(events)
        assert (event.body["label"], event.body["container"]) == (label, made.id)
    assert [entry["label"] for entry in client.get("microservice/")] == [label]


def test_the_watcher_by_itself(dockerd: Dockerd, agent_with: StartAgent) -> None:
    agent = agent_with("--no-docker")
    client = agent.client()
    container = dockerd.run(None, "--env", "SERVICE=web")
    watcher = agent.start("watch-docker", "--host", dockerd.host, "--environment-key", "SERVICE")
    try:
        eventually(lambda: follows(client), PATIENCE)
        eventually(lambda: client.entry("microservice/web"), PATIENCE)
        assert (client.entry("microservice/web") or {})["container"] == container.id
        dockerd.docker("kill", container.id)
        eventually(lambda: client.entry("microservice/web") is None, PATIENCE)
    finally:
        watcher.terminate()
    assert watcher.wait(20) == 0

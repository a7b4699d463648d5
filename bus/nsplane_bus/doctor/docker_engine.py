"""Which docker engine there is, and how the agent's watcher is."""

from __future__ import annotations

from .finding import Agent, Findings

SECONDS = 5


def look_at_docker(agent: Agent, found: Findings) -> None:
    import docker

    from ..docker.context import NoContext
    from ..docker.engine import LOST, described, find

    for name, source in (agent.told("microservice_sources") or {}).items():
        if source["state"] == "unreachable":
            text = f"the source {name} of microservices says: {source['message']}"
            found.add("docker", "warning", text, "systemctl start docker (or: nsplane agent --docker-host URL)")
    try:
        arguments = find(None)
    except NoContext as error:
        found.add("docker", "warning", str(error), "docker context use default")
        return
    where = arguments["base_url"]
    try:
        client = docker.APIClient(**arguments, timeout=SECONDS)
        try:
            version = client.version()
        finally:
            client.close()
    except LOST as error:
        text = f"no docker engine answers at {where}: {described(error)}"
        found.add("docker", "note", text, "systemctl start docker (or: export DOCKER_HOST=unix:///run/podman/podman.sock)")
        return
    parts = [part.get("Name", "") for part in version.get("Components") or ()]
    engine = "podman" if any("podman" in part.lower() for part in parts) else "docker"
    found.add("docker", "ok", f"{engine} {version.get('Version')} (API {version.get('ApiVersion')}) at {where}")

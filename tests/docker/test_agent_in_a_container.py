"""The agent runs in a container as docs/docker.md says it can, and configures others from there."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsplane_bus import Client
from nsplane_bus.protocol import endpoints

from ..bus.conftest import eventually
from ..engine.wishes import by_label, by_name, veth
from .conftest import follows, new_name
from .dockerd import PATIENCE, Dockerd, run

PAGE = Path(__file__).parents[2] / "docs/docker.md"
IMAGE = "nsplane-agent"
ROOT = [path for path in ("/bin", "/sbin", "/lib", "/lib64") if Path(path).exists()]


@pytest.fixture
def image(dockerd: Dockerd, tmp_path: Path) -> Iterator[None]:
    """An image of links into /usr, for this machine's /usr to be mounted."""
    root = tmp_path / "image"
    (root / "usr").mkdir(parents=True)
    for path in map(Path, ROOT):
        if path.is_symlink():
            (root / path.name).symlink_to(path.readlink())
    run("tar", "--directory", str(root), "--create", "--file", f"{root}.tar", ".")
    dockerd.docker("import", f"{root}.tar", IMAGE)
    yield
    dockerd.remove_all()
    dockerd.docker("rmi", IMAGE)


def as_the_page_says(dockerd: Dockerd, directory: Path) -> list[str]:
    """The arguments of `docker run` in the page, with the test's own places in it and an image that has nsplane by its volumes."""
    (block,) = re.findall(r"^```console\ndocker run (.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    arguments = shlex.split(block.replace("\\\n", ""))
    assert arguments[-3:] == ["IMAGE", "nsplane", "agent"]
    own = {
        "/run/nsplane:/run/nsplane": f"{directory}:/run/nsplane",
        "/var/run/docker.sock:/var/run/docker.sock": f"{dockerd.socket}:/var/run/docker.sock",
    }
    assert own.keys() <= set(arguments)
    options = [own.get(argument, argument) for argument in arguments[:-3]]
    volumes = [f"--volume={path}:{path}:ro" for path in {"/usr", sys.prefix, sys.base_prefix, *ROOT} if not Path(path).is_symlink()]
    return [*options, *volumes, IMAGE, sys.executable, "-m", "nsplane_bus", "agent", "--id", new_name()]


@pytest.mark.usefixtures("image")
def test_the_agent_runs_in_a_container_and_configures_others(dockerd: Dockerd, directory: Path) -> None:
    name = new_name()
    agent = dockerd.docker("run", *as_the_page_says(dockerd, directory))
    bus = endpoints(directory)
    eventually(lambda: Path(directory, "bus.sock").exists() or not dockerd.containers(f"--filter=id={agent}"), PATIENCE)
    with Client(bus.bus, events=bus.events, timeout=20) as client:
        eventually(lambda: follows(client), PATIENCE)
        items = [
            # IPv6, which docker turns off in containers; and the namespace where the agent is, which is the engine's.
            veth(name, f"{name}p", by_label(name), host_name="eth0", addresses=["fd00::2/64"]),
            veth(f"{name}p", name),
            veth(f"{name}n", f"{name}m", by_label(name), host_name="eth1"),
            veth(f"{name}m", f"{name}n", by_name(name)),
        ]
        client.put(items)
        started = dockerd.run(name)
        for item in items:
            client.wait(f"interface/{item['name']}")
        assert {"fd00::2"} <= {address["local"] for link in started.ip("addr") for address in link["addr_info"]}
        assert f"{name}p" in run("nsenter", f"--net=/run/netns/{dockerd.name}", "ip", "-brief", "link")
        assert f"{name}m" in run("nsenter", f"--net=/run/netns/{name}", "ip", "-brief", "link")
        dockerd.docker("kill", started.id)
        for item in items:
            client.wait(f"interface/{item['name']}", "pending")
        client.delete([f"interface/{item['name']}" for item in items])
        eventually(lambda: not Path("/run/netns", name).exists(), PATIENCE)
    dockerd.docker("stop", agent)
    log = run("sh", "-c", f"docker --host={dockerd.host} logs {agent} 2>&1")
    assert "stopped; the network is left as it is" in log
    assert "Traceback" not in log

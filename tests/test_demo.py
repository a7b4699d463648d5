"""`make demo`: pending, started, configured, ping, stopped, gone; with containers, and without."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .docker.dockerd import IMAGE, Dockerd

DEMO = Path(__file__).parent.parent / "examples/demo.py"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root: the demo needs network namespaces")


def demo(docker_host: str, *options: str) -> str:
    """What the demo prints, in namespaces where it shows everything and leaves nothing."""
    # In a mount namespace where /run is empty, as on a machine that never had a named namespace.
    shell = f"mount -t tmpfs none /run && {sys.executable} {DEMO} && ls -A /run >&2"
    command = ["unshare", "--mount", *options, "sh", "-c", shell]
    environment = os.environ | {"DOCKER_HOST": docker_host}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing microservice/demo-web" in done.stdout
    assert len(re.findall(r"^6 items configured [\d.]+ ms after its start$", done.stdout, re.MULTILINE)) == 2
    assert re.search(r"^its items are pending again [\d.]+ ms later$", done.stdout, re.MULTILINE)
    assert done.stderr == "", "nothing is there, as before"
    assert "no container, image, namespace, link, process or file of the demo is left" in done.stdout
    return done.stdout


@needs_root
def test_the_demo_shows_what_it_says_without_a_docker_engine(tmp_path: Path) -> None:
    shown = demo(f"unix://{tmp_path}/docker.sock")
    assert "No docker engine answers (No such file or directory)" in shown
    assert len(re.findall(r"^nsplane run --label demo-", shown, re.MULTILINE)) == 2


@needs_root
def test_the_demo_runs_containers_where_an_engine_answers(dockerd: Dockerd) -> None:
    shown = demo(dockerd.host)
    assert len(re.findall(r"^docker run -d --network none -e MICROSERVICE_LABEL=demo-", shown, re.MULTILINE)) == 2
    assert "nsplane run" not in shown
    assert not dockerd.containers("--all")
    assert dockerd.docker("images", "--format", "{{.Repository}}") == IMAGE


@needs_root
def test_the_demo_does_without_an_engine_whose_containers_are_elsewhere(dockerd: Dockerd) -> None:
    # Processes have other numbers in another PID namespace, as on another machine.
    shown = demo(dockerd.host, "--pid", "--fork", "--mount-proc")
    assert "The docker engine cannot run the demo's image" in shown
    assert len(re.findall(r"^nsplane run --label demo-", shown, re.MULTILINE)) == 2
    assert not dockerd.containers("--all")
    assert dockerd.docker("images", "--format", "{{.Repository}}") == IMAGE

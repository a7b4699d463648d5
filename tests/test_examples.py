"""The programs in examples/ do what they say, on the real kernel, and leave nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from msgspec import msgpack

from nsplane import check_frame
from nsplane_bus.cli.files import read

EXAMPLES = Path(__file__).parent.parent / "examples"
NSPLANE = (sys.executable, "-m", "nsplane_bus")
NETNS = Path("/run/netns")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: the examples make network namespaces")


def output(*command: str | Path, expect: int = 0, environment: Mapping[str, str] = os.environ) -> str:
    """What a command prints, which has to end in this code."""
    done = subprocess.run(command, text=True, capture_output=True, timeout=60, env=environment)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def runtime() -> Iterator[dict[str, str]]:
    """The environment that leads to an agent of the test's own."""
    directory = tempfile.mkdtemp(prefix="nspt-")
    with open(f"{directory}/log", "wb") as log:
        agent = subprocess.Popen(
            [*NSPLANE, "agent", "--runtime-dir", directory, "--id", "examples", "--no-docker", "--state-dir", directory], stderr=log
        )
    try:
        end = time.monotonic() + 20
        while "listening" not in Path(directory, "log").read_text():
            assert time.monotonic() < end, Path(directory, "log").read_text()
            assert agent.poll() is None, Path(directory, "log").read_text()
            time.sleep(0.01)
        yield os.environ | {"NSPLANE_RUNTIME_DIR": directory}
        assert "Traceback" not in Path(directory, "log").read_text()
    finally:
        agent.terminate()
        agent.wait(20)
        shutil.rmtree(directory)


@pytest.fixture
def flags() -> list[str]:
    """How a C program is compiled and linked."""
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    folder = output(sys.executable, "-m", "nsplane", "--pkgconfigdir").strip()
    return output("pkg-config", "--cflags", "--libs", "nsplane", environment=os.environ | {"PKG_CONFIG_PATH": folder}).split()


def test_an_engine_is_embedded() -> None:
    shown = output(sys.executable, EXAMPLES / "embed.py").splitlines()
    assert shown[0] == "{'configured': 6, 'pending': 1}"
    assert re.fullmatch(r"route/embed/10\.40\.0\.0/16 +pending +gateway/192\.0\.2\.1 .+", shown[7])
    assert all(line.endswith(" configured") for line in shown[8:15])
    assert shown[15:] == ["{'removed': 7}"]
    assert not list(NETNS.glob("nsplane-embed*"))


def test_a_publisher_has_ten_thousand_routes_configured(runtime: dict[str, str]) -> None:
    shown = output(sys.executable, EXAMPLES / "publisher.py", environment=runtime).splitlines()
    assert shown[0].startswith("{'configured': 10000} in ")
    assert shown[1] == "{'removed': 10001}"
    assert not (NETNS / "nsplane-publisher").exists()


def test_a_lab_is_applied_and_waits_for_its_microservice(runtime: dict[str, str], tmp_path: Path) -> None:
    name = f"x{os.getpid()}"
    lab = tmp_path / "lab.yaml"
    lab.write_text((EXAMPLES / "lab.yaml").read_text().replace("name: lab", f"name: {name}"))
    empty = tmp_path / "empty.yaml"
    empty.write_text("[]")

    assert "microservice/web" in output(*NSPLANE, "apply", lab, expect=3, environment=runtime)
    web = subprocess.Popen([*NSPLANE, "run", "--label", "web", "--", "sleep", "60"], env=runtime)
    try:
        output(*NSPLANE, "wait", "--timeout", "20", "route/web0/0.0.0.0/0", "arp/web0/10.0.0.9", environment=runtime)
        assert "via 10.0.0.1" in output(*NSPLANE, "exec", "web", "--", "ip", "route", environment=runtime)
        output(*NSPLANE, "apply", lab, environment=runtime)
    finally:
        web.terminate()
        web.wait(20)
        output(*NSPLANE, "apply", "--replace", empty, environment=runtime)
    assert not (NETNS / name).exists()


def test_an_agent_in_c_is_told_which_of_ten_thousand_routes_is_impossible(flags: list[str], tmp_path: Path) -> None:
    program = tmp_path / "routes"
    output("cc", "-Wall", "-Wextra", "-Werror", "-o", program, EXAMPLES / "c/routes.c", *flags)
    first, second = output(program).splitlines()
    assert re.fullmatch(r"10000 routes sent in [\d.]+ ms, 9999 are in the kernel, 1 failed", first)
    assert second == "message 4711: Network is unreachable: Nexthop has invalid gateway"


def test_an_agent_in_c_on_the_core_is_told_what_became_of_its_routes(flags: list[str], tmp_path: Path) -> None:
    program = tmp_path / "rows"
    output("cc", "-Wall", "-Wextra", "-Werror", "-o", program, EXAMPLES / "c/rows.c", *flags)
    assert output(program).splitlines() == ["configured: 999", "pending: 1"]


def test_a_publisher_in_c_sends_blocks(runtime: dict[str, str], tmp_path: Path) -> None:
    if subprocess.run(["pkg-config", "--exists", "libzmq"], check=False).returncode:
        pytest.skip("libzmq's headers are not installed")
    program = tmp_path / "blocks"
    output("cc", "-Wall", "-Wextra", "-Werror", "-o", program, EXAMPLES / "c/blocks.c", "-lzmq")
    shown = output(program, f"ipc://{runtime['NSPLANE_RUNTIME_DIR']}/bus.sock")
    assert shown.splitlines() == ["configured: 2050", "removed: 2050"]


def test_a_publisher_in_node_sends_blocks(runtime: dict[str, str], tmp_path: Path) -> None:
    modules = EXAMPLES.parent / "build/npm/node_modules"
    if not modules.is_dir():
        pytest.skip("there is no node: `make npm` installs what the example needs of it where there is npm")
    (tmp_path / "node_modules").symlink_to(modules)
    program = shutil.copy(EXAMPLES / "blocks.mjs", tmp_path)
    shown = output("node", program, f"ipc://{runtime['NSPLANE_RUNTIME_DIR']}/bus.sock")
    assert shown.splitlines() == ["{ configured: 20000 }", "{ removed: 20001 }"]


def test_ctypes_lists_and_identifies_namespaces() -> None:
    name = f"x{os.getpid()}"
    output("ip", "netns", "add", name)
    try:
        inode = (NETNS / name).stat().st_ino
        shown = output(sys.executable, EXAMPLES / "ctypes_netns.py")
    finally:
        output("ip", "netns", "del", name)
    assert re.search(rf"^{name} +net:\[{inode}\]$", shown, re.MULTILINE)


def test_nothing_is_wrong_with_the_fabric() -> None:
    """Few machines' kernels have all of its kinds: tests/vm brings it up."""
    file = read(str(EXAMPLES / "leaf-spine.yaml"))
    assert (len(file.elements), file.wrong) == (44, [])
    assert check_frame(msgpack.encode({"op": "put", "items": file.elements})) == []

"""What Prometheus is told of an agent: by its own parsers, of a real agent, and what `info` counts for it."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from .conftest import RunningAgent, eventually, start_agent
from .test_what_is_printed import EVIL, SHOWN

UNITS = ("_seconds", "_bytes")
LABELS = {"kind", "state", "errno", "found", "op", "le", "queue", "what", "reason", "endpoint", "source", "end"}


def bridge(agent: RunningAgent, **more: Any) -> dict[str, Any]:
    return {"kind": "bridge", "name": "br", "namespace": agent.namespace, "addresses": ["10.0.0.1/24"], **more}


def told(agent: RunningAgent) -> dict[str, Metric]:
    """What `nsplane metrics` prints, by the names of metrics."""
    done = agent.nsplane("metrics")
    assert done.returncode == 0, done.stderr
    return {metric.name: metric for metric in parse(done.stdout)}


def value(metric: Metric, **labels: str) -> float:
    (found,) = (sample.value for sample in metric.samples if sample.labels == labels)
    return float(found)


def test_what_is_printed_is_what_info_has(agent: RunningAgent) -> None:
    client = agent.client()
    routes = [{"kind": "route", "interface": "br", "dst": f"10.1.{i}.0/24"} for i in range(10)]
    waits = {"kind": "route", "interface": "none", "dst": "10.0.0.0/8"}
    client.put([bridge(agent)])
    client.put(routes)
    client.put([waits])
    client.delete(["route/br/10.1.0.0/24"])
    found, info = told(agent), client.info()
    assert value(found["nsplane_up"]) == 1
    assert value(found["nsplane_items"], kind="interface", state="configured") == 1
    assert value(found["nsplane_items"], kind="route", state="configured") == 9
    assert value(found["nsplane_items"], kind="route", state="pending") == 1
    assert value(found["nsplane_items"], kind="route", state="failed") == 0
    assert value(found["nsplane_items_received"]) == 13
    assert value(found["nsplane_kernel_messages"]) == info["writer"]["written"] >= 11
    assert value(found["nsplane_queue_length"], queue="kernel") == 0
    assert value(found["nsplane_dropped"], what="events") == 0
    assert value(found["nsplane_start_time_seconds"]) == pytest.approx(info["started"])


def test_names_units_and_labels_are_as_prometheus_wants_them(agent: RunningAgent) -> None:
    agent.client().put([bridge(agent)])
    agent.client().status("following", "m")
    found = told(agent)
    assert len(found) > 30
    for name, metric in found.items():
        assert re.fullmatch("nsplane_[a-z_]+", name)
        assert metric.documentation.endswith(".")
        for sample in metric.samples:
            assert (sample.name == f"{name}_total") == (metric.type == "counter"), sample
            assert {*sample.labels} <= (LABELS if name != "nsplane_agent_info" else {"version", "protocol", "kernel", "agent"})
        for word in ("duration", "time", "hold", "turn", "memory"):
            assert f"_{word}" not in name or name.endswith(UNITS), name


def test_latencies_are_histograms(agent: RunningAgent) -> None:
    client = agent.client()
    client.put([bridge(agent)])  # the engine follows this one, and the core the others
    for i in range(5):
        client.put([{"kind": "route", "interface": "br", "dst": f"10.1.{i}.0/24"}])
    client.delete(["route/br/10.1.0.0/24"])
    client.resync()
    found = told(agent)
    requests, batches = found["nsplane_request_duration_seconds"], found["nsplane_batch_duration_seconds"]
    assert (requests.type, batches.type) == ("histogram", "histogram")
    counts = {sample.labels["op"]: sample.value for sample in requests.samples if sample.name.endswith("_count")}
    assert counts == {"put": 6, "delete": 1, "resync": 1}
    for op, count in counts.items():
        buckets = [one for one in requests.samples if one.name.endswith("_bucket") and one.labels["op"] == op]
        assert [one.value for one in buckets] == sorted(one.value for one in buckets)
        assert (buckets[-1].labels["le"], buckets[-1].value) == ("+Inf", count)
        (total,) = (one.value for one in requests.samples if one.name.endswith("_sum") and one.labels["op"] == op)
        assert 0 < total < 60
    (count,) = (one.value for one in batches.samples if one.name.endswith("_count"))
    assert count == 6  # without that of the bridge
    assert value(found["nsplane_kernel_batches"]) > 6


def test_refusals_repairs_and_resyncs_are_counted(agent: RunningAgent) -> None:
    client = agent.client()
    client.put([bridge(agent), {"kind": "route", "interface": "br", "dst": "10.1.0.0/24"}])
    there = ["ip", "-n", agent.name]
    subprocess.run([*there, "link", "add", "taken", "type", "bridge"], check=True)
    client.put([{"kind": "bridge", "name": "taken", "namespace": agent.namespace}])
    client.put([{"kind": "route", "interface": "br", "dst": "10.2.0.0/24", "gateway": "192.0.2.1"}])
    client.resync()
    errors = told(agent)["nsplane_item_errors"]
    assert value(errors, kind="interface", errno="EEXIST") == 1, "another look is no other refusal"
    assert value(errors, kind="route", errno="ENETUNREACH") >= 1

    def repaired(kind: str, found: str) -> float:
        return value(told(agent)["nsplane_repairs"], kind=kind, found=found)

    assert (repaired("route", "missing"), repaired("interface", "altered")) == (0, 0)
    subprocess.run([*there, "route", "del", "10.1.0.0/24"], check=True)
    eventually(lambda: repaired("route", "missing") == 1)
    subprocess.run([*there, "link", "set", "dev", "br", "down"], check=True)
    eventually(lambda: repaired("interface", "altered") == 1)
    assert value(told(agent)["nsplane_resyncs"]) == 1
    subprocess.run([*there, "link", "del", "dev", "taken"], check=True)


def test_how_often_a_source_followed_is_counted(agent: RunningAgent) -> None:
    client = agent.client("d" + EVIL)
    for state in ("unreachable", "following", "following", "unreachable", "following"):
        client.status(state)
    found = told(agent)
    assert value(found["nsplane_source_connects"], source="d" + SHOWN) == 2
    assert value(found["nsplane_source_following"], source="d" + SHOWN) == 1
    client.status("ended")
    assert value(told(agent)["nsplane_source_following"], source="d" + SHOWN) == 0
    assert all(line.isprintable() for line in agent.nsplane("metrics").stdout.splitlines())
    agent.client("d" + SHOWN).status("following")  # is shown alike
    found = told(agent)
    assert value(found["nsplane_source_connects"], source="d" + SHOWN) == 3
    assert value(found["nsplane_source_following"], source="d" + SHOWN) == 1


def test_who_is_busiest_is_known_for_a_while(agent: RunningAgent) -> None:
    client = agent.client("busy")
    client.put([bridge(agent)])
    routes = [{"kind": "route", "interface": "br", "dst": f"10.1.{i}.0/24"} for i in range(100)]

    def busiest() -> dict[str, Any]:
        client.put(routes)
        found: dict[str, Any] = client.info()["busiest"]
        return found

    eventually(lambda: busiest()["interfaces"].get("br", 0) >= 100)
    found = busiest()
    assert found["sources"]["busy"] >= 100
    assert found["namespaces"][f"namespace/{agent.name}"] >= 100
    eventually(lambda: not any(client.info()["busiest"][what] for what in ("interfaces", "namespaces", "sources")))


@pytest.fixture
def scrape(agent: RunningAgent) -> Iterator[Callable[[str], str]]:
    """`nsplane metrics --listen`, as Prometheus sees it."""
    process = agent.start("metrics", "--listen", "0", stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.readline()
    url = said.removeprefix("listening at ").strip()
    assert url.startswith("http://127.0.0.1:"), said

    def fetched(accept: str) -> str:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=20) as answer:
            return str(answer.read().decode())

    yield fetched
    process.terminate()
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_scrapes_follow_the_agent_through_its_restart(agent: RunningAgent, scrape: Callable[[str], str]) -> None:
    def up() -> list[float]:
        return [sample.value for metric in parse(scrape("text/plain")) if metric.name == "nsplane_up" for sample in metric.samples]

    assert up() == [1]
    assert "nsplane_items" in {metric.name for metric in parse_openmetrics(scrape("application/openmetrics-text; version=1.0.0"))}  # type: ignore[no-untyped-call]
    assert agent.stop() == 0
    assert up() == [0]
    again = start_agent(agent.directory, agent.name, "--no-docker")
    assert up() == [1]
    assert again.stop() == 0


def test_a_deleted_route_to_a_network_is_the_same_in_drift_and_repairs(agent: RunningAgent) -> None:
    client = agent.client()
    client.put([bridge(agent)])
    subprocess.run(["ip", "-n", agent.name, "route", "del", "10.0.0.0/24"], check=True)
    client.resync()
    assert client.info()["drift"] == {"missing": 1, "altered": 0, "stale": 0}
    assert client.info()["repairs"]["interface"] == {"missing": 1, "altered": 0, "stale": 0}
    assert value(told(agent)["nsplane_repairs"], kind="interface", found="missing") == 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--listen", "0.0.0.0:0"], 2, "0.0.0.0 is not an address of loopback: --public listens there all the same."),
        (["--listen", "[::]:0"], 2, ":: is not an address of loopback"),
        (
            ["--public", "--listen", "192.0.2.1:9464"],
            1,
            "whoever reaches 192.0.2.1:9464 sees all figures of the agent",
        ),
    ],
)
def test_beyond_loopback_it_listens_for_who_says_so(directory: Path, options: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nsplane_bus", "--runtime-dir", str(directory), "metrics", *options],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())


@pytest.mark.parametrize("listen", ["x", "localhost", "localhost:80", "1:2:3", "70000", "127.0.0.1:"])
def test_where_nobody_can_listen_is_wrong_usage(directory: Path, listen: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nsplane_bus", "--runtime-dir", str(directory), "metrics", "--listen", listen],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert "ADDRESS:PORT" in done.stderr


def test_without_the_extra_it_says_what_to_install() -> None:
    program = """
import sys
from nsplane_bus.cli import main
sys.modules["prometheus_client"] = None
sys.argv = ["nsplane", "metrics"]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == "Error: prometheus_client is not installed: pip install 'nsplane[metrics]'\n"

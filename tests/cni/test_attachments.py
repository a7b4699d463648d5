"""ADD, CHECK, DEL, GC, STATUS and VERSION of nsplane's CNI plugin, behind Debian's bridge plugin."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ..bus.conftest import eventually
from ..docker.dockerd import PATIENCE, run
from ..engine.conftest import ip, ip_in
from ..engine.wishes import by_label, route
from ..podman.seen import PINGS, SHOWS, addresses, lacks, routes
from .cnitool import Attachment, PluginError
from .conftest import Site

OVER_ETH0 = route("eth0", "10.9.0.0/16", by_label("m1"), gateway="10.66.0.1")


def microservices(site: Site, label: str) -> list[dict[str, Any]]:
    return [entry for entry in site.agent.client().get("microservice/") if entry["label"] == label]


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0"])
def test_the_first_process_behind_an_add_sees_all_of_it(version: str, site: Site) -> None:
    site.agent.client().put([OVER_ETH0])
    without = site.pod("m2")
    site.network(version, gated=False).add(without)
    assert lacks(site.in_pod(without, *SHOWS), "m2")
    for network in [site.network(version)] * 3:
        pod = site.pod("m1")
        result = network.add(pod)
        shown = site.in_pod(pod, *SHOWS)
        assert lacks(shown, "m1") == set()
        assert result["ips"][0]["address"].removesuffix("/16") in addresses(shown)
        assert ("eth0", "10.9.0.0", "10.66.0.1") in routes(shown)
        network.delete(pod)
        run("ip", "netns", "delete", site.pods[-1])
    pod = site.pod("m3")
    network.add(pod)
    assert "1 packets received" in site.in_pod(pod, *PINGS)


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_the_result_of_the_plugin_before_is_handed_on_as_it_came(version: str, site: Site) -> None:
    """Byte for byte: what is unknown to us in it is not lost. (Debian's own plugins know no 1.1.0.)"""
    pod = site.pod("m1")
    before = site.network(gated=False).add(pod) | {"cniVersion": version, "of-our-own": [{"\u00e9": '\\u00e9 "quoted"'}, 1.50]}
    network = site.network(version)
    assert network.call("ADD", network.plugins[-1], pod, before) == f"{json.dumps(before)}\n"
    assert lacks(site.in_pod(pod, *SHOWS), "m1") == set()


def test_check_finds_whom_the_agent_does_not_know(site: Site) -> None:
    network, pod = site.network(), site.pod("m1")
    network.add(pod)
    network.check(pod)
    network.call("DEL", network.plugins[-1], pod, pod.result)
    with pytest.raises(PluginError, match="m1") as failed:
        network.check(pod)
    assert (failed.value.plugin, failed.value.code) == ("nsplane-hook", 100)


def test_a_deletion_may_come_twice_and_without_a_namespace(site: Site) -> None:
    network, pod, other = site.network(), site.pod("m1"), site.pod("m2")
    network.add(pod)
    network.add(other)
    network.delete(pod)
    assert [entry["state"] for entry in microservices(site, "m1")] == ["awaited"]
    assert {link["ifname"] for link in ip_in(pod.netns, "link")} == {"lo"}
    network.delete(pod)
    network.delete(Attachment("nobody", ""))
    assert [entry["state"] for entry in microservices(site, "m2")] == ["running"]
    assert "1 packets received" in site.in_pod(other, *PINGS)
    network.add(pod)
    assert lacks(site.in_pod(pod, *SHOWS), "m1") == set()


def test_a_pod_whose_namespace_went_without_a_deletion_is_no_microservice(site: Site) -> None:
    network, pod = site.network(), site.pod("m1")
    network.add(pod)
    run("ip", "netns", "delete", site.pods[0])
    eventually(lambda: [entry["state"] for entry in microservices(site, "m1")] == ["awaited"], PATIENCE)
    eventually(lambda: {link["ifname"] for link in ip("link", "show", "master", "br", netns=site.agent.name)} == set(), PATIENCE)
    network.delete(pod)


def test_a_collection_leaves_those_that_are_valid(site: Site) -> None:
    network = site.network("1.1.0", bridged=False)
    pods = [site.pod(label) for label in ("m1", "m2", "m3")]
    for pod in pods:
        network.add(pod)
    network.gc(pods[:2])
    assert [microservices(site, label)[0]["state"] for label in ("m1", "m2", "m3")] == ["running", "running", "awaited"]
    network.gc([])
    assert [microservices(site, label)[0]["state"] for label in ("m1", "m2")] == ["awaited"] * 2


def test_status_says_whether_there_is_an_agent(site: Site) -> None:
    network = site.network("1.1.0", bridged=False)
    network.status()
    assert site.agent.stop() == 0
    with pytest.raises(PluginError, match="gate") as failed:
        network.status()
    assert failed.value.printed.keys() == {"cniVersion", "code", "msg"}
    assert (failed.value.code, failed.value.printed["cniVersion"]) == (50, "1.1.0")
    again = network.called("VERSION", "nsplane-hook", json.dumps({"cniVersion": "1.0.0"}))
    assert {"0.4.0", "1.0.0", "1.1.0"} <= {*json.loads(again.stdout)["supportedVersions"]}
    assert again.returncode == 0
    network.gc([])


def test_who_waits_for_what_never_comes_is_added_or_refused_as_the_policy_says(site: Site) -> None:
    pod = site.pod("m1", **{"io.nsplane.wait": "interface/never"})
    with pytest.raises(PluginError, match="interface/never") as failed:
        site.network(policy="closed", deadline=1).add(pod)
    assert failed.value.code == 11  # to be tried again later
    site.network().delete(pod)
    site.network(policy="open", deadline=1).add(pod)
    assert lacks(site.in_pod(pod, *SHOWS), "m1") == set()
    site.network().delete(pod)
    site.agent.client().put([{"kind": "bridge", "name": "never", "namespace": site.agent.namespace}])
    site.network(policy="closed").add(pod)


def test_who_has_no_label_is_added_whatever_is_with_the_gate(site: Site) -> None:
    """Of which none can be made: the name of a pod is one unless the network says that it is not."""
    named, unnamed = site.network(policy="closed"), site.network(policy="closed", label="")
    podmans = "IgnoreUnknown=1;K8S_POD_NAME=web"
    assert site.agent.stop() == 0
    for network, pod in ((named, site.pod(args=podmans)), (unnamed, site.pod())):
        network.add(pod)
        network.check(pod)
        network.delete(pod)
    for network, pod in ((named, site.pod()), (unnamed, site.pod("m1"))):
        with pytest.raises(PluginError, match="gate"):
            network.add(pod)


def test_a_label_may_be_in_the_arguments_or_made_of_the_pods_name(site: Site) -> None:
    site.network().add(pod := site.pod(args="IgnoreUnknown=1;MICROSERVICE_LABEL=m1"))
    assert lacks(site.in_pod(pod, *SHOWS), "m1") == set()
    site.network(label="{namespace}/{pod}").add(pod := site.pod())
    (one,) = microservices(site, "lab/pod1")
    assert (one["state"], one["container"], one["name"]) == ("running", "c1", "lab/pod1")
    shown = site.agent.nsplane("get", "microservices").stdout
    assert re.search(r"^lab/pod1 +- +lab/pod1 \(c1\) +gate", shown, re.MULTILINE), shown
    done = site.agent.nsplane("exec", "lab/pod1", "--", "ip", "-brief", "address")
    assert "eth0" in done.stdout, done.stderr

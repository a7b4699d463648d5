"""Whatever a runtime hands to the plugin, it ends with a result or an error as the specification has it, and the gate serves on."""

from __future__ import annotations

import json
import random
import subprocess

from ..podman.seen import SHOWS, lacks
from .cnitool import Attachment, Network
from .conftest import ANNOTATIONS, Site

MUTATIONS = 150


def configuration(site: Site, **more: object) -> str:
    network = site.network(bridged=False)
    return json.dumps({**network.plugins[0], "cniVersion": "1.0.0", "name": "lab", "prevResult": {"cniVersion": "1.0.0"}, **more})


def judged(done: subprocess.CompletedProcess[str]) -> dict[str, object] | None:
    """The error that a plugin has told; None where it told none. What is neither an error nor a good end fails."""
    if done.returncode == 0:
        return None
    assert done.returncode == 1, done
    error: dict[str, object] = json.loads(done.stdout)
    assert error.keys() == {"cniVersion", "code", "msg"}
    assert isinstance(error["code"], int)
    assert isinstance(error["msg"], str)
    assert error["msg"].isprintable()
    return error


def still_serves(site: Site, network: Network) -> None:
    network.delete(pod := site.pod("m1"))
    network.add(pod)
    assert lacks(site.in_pod(pod, *SHOWS), "m1") == set()


def test_what_is_wrong_is_said(site: Site) -> None:
    network, pod = site.network(bridged=False, policy="closed", deadline=5), site.pod("m1")
    asked = {name: json.dumps(value) for name, value in {
        "a text": "text", "a list": [{}], "no version's number": {"cniVersion": 1}, "a version to come": {"cniVersion": "9.0.0"}
    }.items()}  # fmt: skip
    asked |= {"nothing": "", "half": configuration(site)[:-1], "two": configuration(site) * 2, "deep": "[" * 200_000}
    asked |= {"a policy that is none": configuration(site, policy="ajar"), "no path": configuration(site, gate="gate.sock")}
    for name, text in asked.items():
        for command in ("ADD", "CHECK", "DEL", "GC", "STATUS"):
            error = judged(network.called(command, "nsplane-hook", text, pod))
            assert error is not None, f"{command} of {name} was taken"
            assert error["code"] in (1, 6, 7), f"{name}: {error}"
    for missing in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"):
        error = judged(network.called("ADD", "nsplane-hook", configuration(site), pod, **{missing: ""}))
        assert error is not None
        assert (error["code"], missing in str(error["msg"])) == (4, True)
    error = judged(network.called("STRETCH", "nsplane-hook", configuration(site), pod))
    assert error is not None
    assert error["code"] == 4
    still_serves(site, network)


def test_what_the_gate_cannot_take_is_refused_with_the_reason(site: Site) -> None:
    network = site.network(bridged=False, policy="closed", deadline=5)
    labelled = {"runtimeConfig": {ANNOTATIONS: {"io.nsplane.label": "m1"}}}
    file = site.directory / "file"
    file.write_text("no namespace")
    for netns in (
        str(file),
        str(site.directory),
        "/proc/self/ns/mnt",
        f"{file}-not-there",
        "relative",
        "/dev/null",
        "/" + "a" * 4_000,
    ):
        text = configuration(site, **labelled, policy="closed")
        error = judged(network.called("ADD", "nsplane-hook", text, Attachment("c1", netns)))
        assert error is not None, f"{netns} was taken for a namespace"
    pod = site.pod()
    wrong: list[dict[str, object]] = [
        {"runtimeConfig": {ANNOTATIONS: {"io.nsplane.label": label}}}
        for label in ("a" * 256, "new\nline", "\u0007", 7, None, ["m1"])
    ]
    wrong += [{"runtimeConfig": "text"}, {"runtimeConfig": {ANNOTATIONS: ["io.nsplane.label"]}}]
    wrong += [labelled | {"huge": "a" * 1_000_000}]
    told = [judged(network.called("ADD", "nsplane-hook", configuration(site, **one, policy="closed"), pod)) for one in wrong]
    # An annotation that is null, or stands in a list, is none; all others name a label that cannot be one.
    assert told[0]
    assert told[1]
    assert told[-1]
    assert "256" in str(told[-1]["msg"])
    still_serves(site, network)


def test_bytes_at_random(site: Site) -> None:
    """A configuration of which bytes are lost, doubled or others; the seed is the same at each run."""
    chance = random.Random(17)
    network, pod = site.network(bridged=False), site.pod("m1")
    good = configuration(site, runtimeConfig={ANNOTATIONS: {"io.nsplane.label": "m1"}}, deadline=2)
    for _ in range(MUTATIONS):
        text = [*good]
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            text[at : at + chance.randint(0, 3)] = chance.choices('{}[]",:\\u0019 e\u00e9\x01', k=chance.randint(0, 3))
        judged(network.called(chance.choice(("ADD", "CHECK", "DEL", "GC")), "nsplane-hook", "".join(text), pod))
    still_serves(site, network)

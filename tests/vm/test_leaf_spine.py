"""examples/leaf-spine.yaml: brought up as `nsplane apply` reads it, pinged through from host to host, damaged, and taken down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nsplane import Engine
from nsplane_bus.cli.files import read

from ..engine.conftest import PING, Lab, Process, run, until

FILE = Path(__file__).parents[2] / "examples/leaf-spine.yaml"
NETNS = Path("/run/netns")
SWITCHES = ["leaf1", "leaf2", "spine1", "spine2"]
HOSTS = {"host1": "192.168.10.10", "host2": "192.168.20.10"}
DAMAGES = {
    "a tunnel is deleted": "ip -n leaf1 link delete dev vni20",
    "a bond is deleted": "ip -n leaf2 link delete dev host",
    "a VRF is deleted": "ip -n leaf1 link delete dev tenant",
    "a bridge is deleted": "ip -n leaf2 link delete dev br",
    "a cable is cut": "ip -n spine1 link delete dev spine1-leaf1",
    "a slave is released": "ip -n leaf1 link set dev eth1 nomaster",
    "routes are flushed": "ip -n leaf1 route flush proto 110 && ip -n spine1 route flush proto 110",
    "VLANs are removed": "bridge -n leaf2 vlan del vid 20 dev host && bridge -n leaf1 vlan del vid 10 dev br self",
}


class Fabric:
    """The lab as it is up."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.engine = engine
        items = read(str(FILE)).elements
        assert set(engine.put(items, timeout=60)["counts"]) == {"configured", "pending"}, "the hosts do not run yet"
        for name in SWITCHES:
            run(f"nsenter --net={NETNS / name} sysctl -qw net.ipv4.ip_forward=1")
        self.hosts: dict[str, Process] = {name: lab.process() for name in HOSTS}
        for name, process in self.hosts.items():
            engine.microservice("started", name, pid=process.pid)

    def works(self) -> bool:
        """Is all of it configured, and is a ping from each host to the other answered?"""
        entries = self.engine._ask({"op": "get"}, 60)["items"]
        return {one["state"] for one in entries} == {"configured"} and all(self._pings(one) for one in HOSTS)

    def _pings(self, host: str) -> bool:
        (to,) = (address for name, address in HOSTS.items() if name != host)
        command = ["nsenter", f"--net={self.hosts[host].netns}", sys.executable, str(PING), to, "2", "0.1"]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split() == ["2", "2"]


def test_a_fabric_is_damaged_in_every_way_and_pings_again(engine: Engine, lab: Lab) -> None:
    fabric = Fabric(engine, lab)
    until(engine, fabric.works, 30)
    for what, damage in DAMAGES.items():
        run(damage)
        print(what)  # shown where it does not come about
        until(engine, fabric.works, 30)
    engine.replace([], timeout=60)
    until(engine, lambda: not set(SWITCHES) & {path.name for path in NETNS.iterdir()}, 30)
    for process in fabric.hosts.values():
        assert [link["ifname"] for link in process.ip("link")] == ["lo"]

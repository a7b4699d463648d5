"""Tests of other kernels than this machine's, and of what nobody would do to it: one half starts virtual machines, the other half
runs in them."""

import os

from ..engine.conftest import _engines_have_time, _needs_root, engine, lab, settle

__all__ = ["_engines_have_time", "_needs_root", "engine", "lab", "settle"]

IN_THE_MACHINE = [
    "test_bonds.py",
    "test_bridge_vlans.py",
    "test_capture_kinds.py",
    "test_clock.py",
    "test_host_device.py",
    "test_kinds.py",
    "test_leaf_spine.py",
    "test_vlan_on_bond.py",
    "test_vlans_of_bridges.py",
    "test_vrf_members.py",
    "test_wireguard.py",
]
collect_ignore = ["test_other_kernels.py"] if "VM_KERNEL" in os.environ else IN_THE_MACHINE

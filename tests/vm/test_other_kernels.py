"""A chosen part of the tests on the oldest kernel that is supported, and on a newer one, in an emulated machine: seven times as
slow. `make test-vm` runs all of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RUN = Path(__file__).with_name("run-in-vm")

NOT_KINDS = ("test_clock.py", Path(__file__).name)
CHOSEN = [
    "tests/vm/test_clock.py",
    "tests/engine/test_namespace_references.py::test_a_file_of_a_thread_leads_to_the_threads_namespace",
    "tests/engine/test_where_paths_lead.py::test_a_name_that_is_a_link_follows_it_from_process_to_process",
    "tests/engine/test_where_paths_lead.py::test_a_descriptor_of_a_process",
    "tests/engine/test_reused_inode.py",
    "tests/engine/test_lost_state.py::test_clear_finds_links_and_names_without_any_state",
    "tests/engine/test_names_in_the_way.py",
    "tests/engine/test_changes_in_place.py::test_a_link_renamed_from_outside_is_named_back",
    "tests/engine/test_earlier_life.py::test_what_changed_meanwhile_is_changed_in_place",
    "tests/engine/test_stacked_links.py::test_its_name_may_be_taken_where_the_lower_link_is",
]
"""What is done otherwise before Linux 6.2 (names of links that are up), 6.9 (pidfds of threads) and 6.13 (names of links that are
born in another namespace), and what asks most of it."""
KINDS = sorted(f"tests/vm/{path.name}" for path in Path(__file__).parent.glob("test_*.py") if path.name not in NOT_KINDS)
"""What few machines' kernels have: links of kinds, and VLANs of bridges."""
FIELDS = (
    "bond-xmit_hash_policy dummy-mac erspan-index geneve-ttl gre-ikey gretap-mac hsr-slave2 ip6erspan-key ip6gre-tclass "
    "ip6gretap-master ip6tnl-encaplimit ipip-mode ipvlan-flags ipvtap-mode netkit-policy nlmon-enabled sit-isatap vcan-mtu "
    "vlan-egress_qos_map vrf-table vti-okey vxcan-enabled wireguard-addresses xfrm-if_id"
)
"""One of each kind that few machines' kernels have, but 6.12 has."""


def in_vm(kernel: str, *command: str) -> None:
    done = subprocess.run(
        [RUN, "-k", kernel, "-t", "550", *command], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def _needs_an_emulator() -> None:
    if os.geteuid():
        pytest.skip("not root: the emulated machine has this machine's files")
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("there is no qemu-system-x86_64")


def test_the_c_library_on_linux_6_1() -> None:
    meson, ninja = (str(Path(sys.executable).with_name(name)) for name in ("meson", "ninja"))
    for command in (["make", "build/c/build.ninja"], [ninja, "-C", "build/c"]):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    tests = ("test_addr", "test_link", "test_monitor", "test_neigh", "test_netns", "test_route")
    in_vm("6.1", meson, "test", "-C", "build/c", "--no-rebuild", "--print-errorlogs", "--timeout-multiplier", "20", *tests)


def run_tests(kernel: str, *tests: str) -> None:
    in_vm(kernel, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


def test_the_engine_on_linux_6_1() -> None:
    run_tests("6.1", *CHOSEN)


def test_kinds_of_links_on_linux_6_1() -> None:
    run_tests("6.1", *KINDS)


def test_the_engine_on_linux_6_12() -> None:
    fields = [f"tests/engine/test_every_field.py::test_every_field[{field}]" for field in FIELDS.split()]
    run_tests("6.12", *CHOSEN[:2], CHOSEN[4], "tests/vm/test_kinds.py", *fields)

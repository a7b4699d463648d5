"""Items are checked by several threads of a publisher, each of which may be the first to see one of a kind."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import threading

from msgspec import msgpack

from nsplane import check_frame

sys.setswitchinterval(1e-6)
ADDRESSES = {"addresses": ["10.0.0.1/24", {"address": "fd00::1/64"}]}
ITEMS = [{"kind": kind, "name": kind, **ADDRESSES} for kind in ("bridge", "existing", "loopback", "dummy", "ifb")]
ITEMS.append({"kind": "veth", "name": "veth", "peer": "other", **ADDRESSES})
ITEMS.append({"kind": "macvlan", "name": "m", "parent": "p", **ADDRESSES})
FRAME = msgpack.encode({"op": "put", "items": ITEMS})
faults = []
begin = threading.Barrier(8)


def check():
    begin.wait()
    faults.append(check_frame(FRAME))


threads = [threading.Thread(target=check) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert faults == [[]] * 8, faults
"""


def test_the_first_items_of_their_kinds_in_eight_threads() -> None:
    """In a process that has seen none yet."""
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr)

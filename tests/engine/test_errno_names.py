"""An errno has one name, whether an interface failed with it or a route."""

from __future__ import annotations

import errno

from nsplane import Engine
from nsplane.kernel import errno_name

from .conftest import Lab, run
from .wishes import by_name, route


def test_a_number_has_one_name() -> None:
    assert errno_name(95) == "EOPNOTSUPP"
    assert errno_name(35) == "EDEADLK"
    assert errno_name(11) == "EAGAIN"
    assert errno_name(524) == "EOPNOTSUPP"  # the kernel's own ENOTSUPP
    assert errno_name(511) == "511"
    for number in errno.errorcode:
        assert getattr(errno, errno_name(number)) == number


def test_a_row_has_it_too(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link set lo up")
    run(f"ip -n {red} route add blackhole 10.0.0.0/8")
    (failed,) = engine.put([route("lo", "10.0.0.0/8", by_name(red))], timeout=5)["items"]
    assert (failed["errno"], failed["message"]) == ("EEXIST", "exists: a blackhole route of protocol boot")

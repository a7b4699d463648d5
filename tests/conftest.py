"""What tests of several folders share."""

from collections.abc import Iterator

import pytest

from .docker.dockerd import Dockerd
from .podman.engine import Podman


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    """A docker engine for the session, with an image to run."""
    made = Dockerd()
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Podman for the session, with the same image."""
    made = Podman()
    yield made
    made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes stands where a worker begins, of whom each has a quarter at first: none is left with it at the end."""
    machines = [item for item in items if item.path.name == "test_other_kernels.py"]
    kills = [item for item in items if item.path.name == "test_kill_at_any_moment.py"]
    others = [item for item in items if item not in machines and item not in kills]
    half = len(machines) // 2
    first, second, third, last = (others[len(others) * quarter // 4 : len(others) * (quarter + 1) // 4] for quarter in range(4))
    items[:] = [*machines[:half], *first, *kills, *second, *machines[half:], *third, *last]

"""What tests of several folders share."""

from collections.abc import Iterator

import pytest

from .docker.dockerd import Dockerd


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    """A docker engine for the session, with an image to run."""
    made = Dockerd()
    made.start()
    yield made
    made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes comes first, so that no worker is left with it at the end."""
    items.sort(key=lambda item: item.path.name != "test_other_kernels.py")

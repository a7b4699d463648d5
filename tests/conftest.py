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

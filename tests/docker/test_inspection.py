"""An inspection that is cut at any byte is an engine that was lost, and nothing else."""

import docker
import pytest

from nsplane_bus.docker.engine import LOST
from nsplane_bus.docker.inspection import Inspector

from .dockerd import Dockerd
from .proxy import Proxy


def test_an_answer_that_is_cut_at_any_byte(dockerd: Dockerd, proxy: Proxy) -> None:
    container = dockerd.create("any")
    engine = docker.APIClient(base_url=dockerd.host, version="auto")
    for count in range(1, 500):
        inspector = Inspector(engine, proxy.host, timeout=10)
        proxy.cut_after(count)
        with pytest.raises(LOST):
            inspector.inspect(container.id)
        inspector.close()
    inspector = Inspector(engine, proxy.host, timeout=10)
    inspected = inspector.inspect(container.id)
    assert inspected is not None
    assert inspected["Id"] == container.id
    inspector.close()
    engine.close()
    dockerd.remove_all()

"""Labels of docker's, which stand in no config.json: by the list of containers, for an inspect waits while the start is held."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from typing import Any

log = logging.getLogger("nsplane.gate")

SECONDS = 2
"""For so long at most an engine is asked."""


class DockerLabels:
    """Asks a docker engine (by default where docker's own client would go) for the labels of its containers, one after the
    other."""

    def __init__(self, host: str | None, label_key: str) -> None:
        self._host = host
        self._label_key = label_key
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "docker labels")
        self._engine: Any = None
        self._said = ""

    def prepare(self) -> None:
        """Has what takes its time done before the first container asks."""
        self._thread.submit(self._prepare)

    @staticmethod
    def _prepare() -> None:
        from ..docker import engine

        log.debug("labels are asked for by %s", engine.__name__)

    async def label_of(self, container_id: str) -> str | None:
        """The label that names a container's microservice; None where it has none, or the engine does not say."""
        ask = asyncio.get_running_loop().run_in_executor(self._thread, self._label_of, container_id)
        try:
            return await asyncio.wait_for(ask, SECONDS)
        except TimeoutError:
            self._say(f"the engine has not answered within {SECONDS:g} s")
            return None

    def _label_of(self, container_id: str) -> str | None:
        import docker  # takes longer to import than most containers are held

        from ..docker.engine import LOST, described, find

        try:
            if self._engine is None:
                self._engine = docker.APIClient(**find(self._host), version="auto", timeout=SECONDS)
            listed = self._engine.containers(all=True, filters={"id": container_id})
        except LOST as error:
            self._engine = None
            self._say(described(error))
            return None
        self._said = ""
        labels = next((one.get("Labels") for one in listed if one["Id"] == container_id), None) or {}
        label = labels.get(self._label_key)
        return label if isinstance(label, str) and label else None

    def _say(self, trouble: str) -> None:
        """The same trouble is said once."""
        if trouble != self._said:
            self._said = trouble
            log.warning("labels of containers are not known: %s", trouble)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

"""Inspecting containers: what stands between a container's start and its network, so without what the SDK does around a request."""

import http.client
import json
import socket
from typing import Any
from urllib.parse import quote

import docker
import docker.errors

Inspected = dict[str, Any]


class Inspector:
    """Inspects containers of an engine, one after the other: over a unix socket on a kept connection of its own, and otherwise
    (TLS, ssh) as the SDK does."""

    def __init__(self, engine: docker.APIClient, host: str, timeout: float) -> None:
        self._engine = engine
        path = host.removeprefix("http+").removeprefix("unix://")
        self._connection = _UnixConnection(path, timeout) if path.startswith("/") else None

    def inspect(self, container_id: str) -> Inspected | None:
        """None where there is no such container. Raises one of engine.LOST where the engine does not answer."""
        found: Inspected
        if self._connection is None:
            try:
                found = self._engine.inspect_container(container_id)
            except docker.errors.NotFound:
                return None
            return found
        url = f"/v{self._engine.api_version}/containers/{quote(container_id)}/json"
        try:
            status, body = self._connection.ask(url)
        except http.client.HTTPException as error:
            raise ConnectionError(f"{url}: {error}") from error
        if status == http.client.NOT_FOUND:
            return None
        if status != http.client.OK:
            raise docker.errors.DockerException(f"{url}: {status} {body.decode(errors='replace').strip()}")
        try:
            found = json.loads(body)
        except ValueError as error:  # cut within its head, it has no length that it would be too short for
            raise ConnectionError(f"{url}: {error}") from error
        return found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def ask(self, url: str) -> tuple[int, bytes]:
        """The status and body of an answer. A kept connection may have been closed meanwhile: once more, then."""
        kept = self.sock is not None
        try:
            self.request("GET", url)
            response = self.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if not kept:
                raise
            return self.ask(url)
        return response.status, response.read()

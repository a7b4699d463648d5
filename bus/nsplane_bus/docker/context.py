"""Contexts of docker's own client: where an engine is, by a name.

The client's folder (DOCKER_CONFIG, by default ~/.docker) has the name of the current one in config.json, and of each a
contexts/meta/HASH/meta.json and perhaps certificates under contexts/tls/HASH, HASH being the SHA-256 of the name. The SDK's reader
finds none where there is no config.json, and says of one that is broken what nobody can catch.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import docker.errors
import docker.tls

DEFAULT_HOST = "unix:///var/run/docker.sock"


class NoContext(docker.errors.DockerException):
    """There is no such context, or its files cannot be read."""


def read() -> dict[str, Any]:
    """The arguments of docker.APIClient for the context in DOCKER_CONTEXT, or else for the current one. NoContext."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())
    name = os.environ.get("DOCKER_CONTEXT") or _current(folder)
    if name == "default":
        return {"base_url": DEFAULT_HOST}
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts/meta" / digest / "meta.json"
    if not file.exists():
        raise NoContext(f"there is no docker context {name!r} in {folder}")
    try:
        endpoint = _load(file, f"docker context {name!r}")["Endpoints"]["docker"]
        arguments: dict[str, Any] = {"base_url": str(endpoint["Host"])}
    except (KeyError, TypeError):
        raise NoContext(f"docker context {name!r}: {file} has no Endpoints.docker.Host") from None
    certificates = folder / "contexts/tls" / digest / "docker"
    if certificates.is_dir():
        arguments["tls"] = _tls(certificates, verify=not endpoint.get("SkipTLSVerify"))
    return arguments


def _current(folder: Path) -> str:
    file = folder / "config.json"
    if not file.exists():
        return "default"
    config = _load(file, "docker's configuration")
    return str(config.get("currentContext") or "default") if isinstance(config, dict) else "default"


def _load(file: Path, what: str) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise NoContext(f"{what}: {file}: {error}") from None


def _tls(folder: Path, verify: bool) -> docker.tls.TLSConfig:
    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    pair = (str(cert), str(key)) if cert.exists() and key.exists() else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=str(ca) if ca.exists() else None, verify=verify)

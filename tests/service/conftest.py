"""The agent as a service."""

from ..bus.conftest import directory

__all__ = ["directory"]

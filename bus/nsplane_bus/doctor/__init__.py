"""What keeps nsplane from working on this machine, or may: looked for one after the other, each with the command that mends it."""

from .finding import Agent, Finding
from .look import look

__all__ = ["Agent", "Finding", "look"]

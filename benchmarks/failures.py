"""What may go wrong with a measurement, and is told in a line."""

import subprocess

import docker


class AgentFailed(Exception):
    """It did not start, or ended on its own; the text is its log."""


class EngineMissing(Exception):
    """What has to be installed is not, or the engine does not come up; the text says why."""


class Incomplete(Exception):
    """The kernel does not have what it should: the run says nothing."""


class ProgramFailed(Exception):
    """A program has ended, or said nothing for long."""


FAILURES = (
    AgentFailed,
    EngineMissing,
    Incomplete,
    OSError,
    ProgramFailed,
    docker.errors.DockerException,
    subprocess.SubprocessError,
)

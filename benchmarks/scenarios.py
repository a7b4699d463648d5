"""All scenarios, in the order in which they are run."""

from . import drift, latency, memory, restart, scale, start
from .bulk import scenarios as bulk

SCENARIOS = (*bulk.SCENARIOS, start.SCENARIO, restart.SCENARIO, drift.SCENARIO, memory.SCENARIO, latency.SCENARIO, scale.SCENARIO)

"""All scenarios, in the order in which they are run."""

from . import drift, latency, restart, start
from .bulk import scenarios as bulk

SCENARIOS = (*bulk.SCENARIOS, start.SCENARIO, restart.SCENARIO, drift.SCENARIO, latency.SCENARIO)

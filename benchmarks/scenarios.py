"""All scenarios, in the order in which they are run."""

from . import drift, latency, links, memory, restart, scale, start
from .bulk import scenarios as bulk

SCENARIOS = (
    *bulk.SCENARIOS,
    links.SCENARIO,
    memory.SCENARIO,
    scale.SCENARIO,
    latency.SCENARIO,
    start.SCENARIO,
    restart.SCENARIO,
    drift.SCENARIO,
)

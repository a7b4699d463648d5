"""All scenarios, in the order in which they are run. Those that leave the kernel busy with namespaces for a while come last."""

from . import drift, latency, links, memory, restart, scale, start
from .bulk import scenarios as bulk

SCENARIOS = (
    *bulk.SCENARIOS,
    memory.SCENARIO,
    latency.SCENARIO,
    start.SCENARIO,
    restart.SCENARIO,
    drift.SCENARIO,
    links.SCENARIO,
    scale.SCENARIO,
)

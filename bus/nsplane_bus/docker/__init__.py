"""Containers as microservices: a client of the bus that follows a docker engine.

containers.py  what a container is to us, and whether a process is of it
context.py     docker's contexts: where an engine is, by a name
inspection.py  one inspect a start
engine.py      connections to an engine, and the stream of its events
watcher.py     subscribe, list, follow, and begin again for ever
"""

SILENCE = 20
"""Seconds that an engine may say nothing before it is asked anew; an answer has to come within as many."""

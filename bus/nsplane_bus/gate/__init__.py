"""The gate: it holds the start of a container until what waits for its label has been applied.

wire.py        what a forwarder (csrc/gate) asks, and what it is answered
containers.py  which microservice a container is, and what it waits for: config.json, an OCI state, CNI's fields
docker.py      labels of docker's, by its list
bus.py         the agent: asked again where it was started anew
server.py      the unix socket, and the way from a question to its answer
"""

SOURCE = "gate"
"""Whose the starts are on the bus."""
SOCKET = "gate.sock"
"""In the agent's directory."""

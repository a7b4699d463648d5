"""How fast it is, against the least that the kernel lets anybody pay.

    python -m benchmarks                # every scenario (see --help), as tables
    python -m benchmarks routes --json  # one, an object a line

Needs root, a C compiler and iproute2; `start` needs dockerd and a static busybox too (Debian: docker.io, busybox-static). Each
round measures the floor (floor.c: a raw loop on one rtnetlink socket) and nsplane (an agent and a publisher, each a process of
its own) in fresh namespaces of their own, and takes turns in which of them is first. Afterwards the kernel is asked how much of
it is there.

Measured is the whole way: the publisher's clock runs from the moment at which it begins to build the first item, in Python, to the
last reply; every item has its verdict from the kernel by then. Not measured are the start of the processes, the making of the
interfaces, and the taking away of everything. Publisher, agent and writer want more than one core between them: on a machine with
fewer than three the figure says what is left when they share.

`start` is about containers that others wait for: the clock runs from docker's own time stamp on the event of a container's start
until the last `configured` event of its veth pair, address, ARP entry and ten routes has reached a subscriber, a process of its
own. Its floor (floor_start.c) hears the same event, inspects the container once, and makes the same with as few messages as the
kernel allows. A round is a container of either side, one after the other, each when nothing else goes on; the noise is how far
the floor's median differs between one six of containers and another.

`restart` and `drift` are about keeping it so. `restart` kills the agent, starts it again, and measures from the bus answering until
everything is known to be as it should be; its floor (floor_restart.c) dumps the same routes and compares each. A ping each
millisecond (pinger.c) goes through the links meanwhile. `drift` alters what the agent has made in every way that others could, and
measures until the kernel has it as it was.

`memory` reads how much memory the agent's process has resident before, with and after so many routes. Not measured is what the
kernel takes for them, nor the peak on the way.

`scale` asks what becomes of the costs as there is more of everything: of the ratio to the floor as more routes are put, and as more
namespaces are there that nothing is done in; and of the start of a microservice as more routes wait for others. Not measured is how
long it takes until all of that is there.

`latency` is about one changed route, from the building of the item until the answer `applied`: when nothing else goes on, and while
four publishers have as much in flight as the agent takes before it holds them back. Its floor is the same change by a raw socket,
in Python. Not measured is how long a change waits that its publisher has in a queue of its own behind others.
"""

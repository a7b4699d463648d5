"""How fast it is, against the least that the kernel lets anybody pay.

    python -m benchmarks                # every scenario (see --help), as tables
    python -m benchmarks routes --json  # one, an object a line

Needs root, a C compiler and iproute2. Each round measures the floor (floor.c: a raw loop on one rtnetlink socket) and nsplane
(an agent and a publisher, each a process of its own) in fresh namespaces of their own, and takes turns in which of them is first.
Afterwards the kernel is asked how much of it is there.

Measured is the whole way: the publisher's clock runs from the moment at which it begins to build the first item, in Python, to the
last reply; every item has its verdict from the kernel by then. Not measured are the start of the processes, the making of the
interfaces, and the taking away of everything. Publisher, agent and writer want more than one core between them: on a machine with
fewer than three the figure says what is left when they share.
"""

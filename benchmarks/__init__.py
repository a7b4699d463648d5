"""How fast it is, against the least that the kernel lets anybody pay.

    python -m benchmarks all                     # every scenario, as tables; with --json an object a line
    python -m benchmarks all --json --document   # and docs/performance.md, with plots
    python -m benchmarks routes --help           # what a scenario measures and what it does not, and its options
    python -m benchmarks check FILE              # whether what was printed as JSON meets the bars: exit code 1 where it does not
    python -m benchmarks document FILE           # docs/performance.md from it

Measuring needs root, a C compiler and iproute2; `start` needs dockerd and a static busybox too (Debian: docker.io, busybox-static).
Each round measures the floor (floor.c: a raw loop on one rtnetlink socket) and nsplane (an agent and a publisher, each a process of
its own) in fresh namespaces of their own, and takes turns in which of them is first. Afterwards the kernel is asked how much of it
is there. Others' programs have their turns where they are installed (Debian: bird2, golang-go with
golang-github-vishvananda-netlink-dev, containernetworking-plugins; of the dependency group `bench`: pyroute2), and FRR's where
`make frr` has built them.
"""

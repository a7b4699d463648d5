"""What an item waits for, and that for, down to what nobody has given yet: in sentences."""

import ipaddress
import time
from collections.abc import Iterator, Mapping
from typing import Any

from .client import Client
from .words import Entry, age, who

DEPTH = 32
"""So many facts behind one another are followed."""
Link = tuple[int, Entry, Entry | None]
"""How deep in the chain, an entry, and the one that waits for it."""


def chain(client: Client, entry: Entry) -> Iterator[Link]:
    """The entry, and behind it what it waits for, down to what nobody has given; each once."""
    seen = {entry["key"]}

    def follow(depth: int, one: Entry, waiting: Entry | None) -> Iterator[Link]:
        yield depth, one, waiting
        for fact in () if depth == DEPTH else one.get("missing") or ():
            key = fact.partition(" with ")[0]
            known = client.entry(key) if key.startswith(KNOWN) else None
            found = {"key": fact, "state": "missing"} if known is None or fact in seen else known
            if fact.startswith(ON_LINK) and known is None:
                found = {**found, "interface": interface_of(client, one)}
            yield from follow(depth + 1, {**found, "fact": fact}, one) if fact not in seen else ()
            seen.add(fact)

    yield from follow(0, entry, None)


def interface_of(client: Client, entry: Entry) -> Mapping[str, Any] | None:
    """The item of the interface that a route or the like is on."""
    item = entry.get("item") or {}
    known = client.entry(f"interface/{item.get('interface')}") if "namespace" not in item else None
    return None if known is None else known["item"]


def sentence(entry: Entry, waiting: Entry | None) -> str:
    """What is to be said of an entry, which another one waits for."""
    state, key = entry["state"], entry["key"]
    fact = str(entry.get("fact", key))
    if state == "missing":
        return f"{key}: {missing_text(entry, waiting)}."
    if state == "awaited":
        label = entry["label"]
        return (
            f"{key}: nothing runs under this label ({entry['items']['waiting']} items wait). It runs when `nsplane run --label"
            f" {label}` does, or a container with MICROSERVICE_LABEL={label}."
        )
    if state == "running":
        return f"{key} runs: {who(entry)}, for {age(entry['started_at'])}."
    parts = [f"{key} is {state} for {age(entry['since'])} (since {stamp(entry['since'])}, source {entry['source']})"]
    if entry.get("missing"):
        parts.append("it waits for " + ", ".join(entry["missing"]))
    if entry.get("message"):
        words = f"the kernel says: {entry['message']}" if entry.get("errno") else str(entry["message"])
        parts.append(words + (f" ({entry['errno']})" if entry.get("errno") else ""))
    elif entry.get("errno"):
        parts.append(f"({entry['errno']})")
    if entry.get("tries"):
        again = ", and is tried again within a minute" if state == "retrying" else ""
        parts.append(f"it was tried {entry['tries']} times{again}")
    if waiting is not None and state == "configured":
        parts.append(not_as_wanted(entry["item"], fact, waiting))
    return "; ".join(parts) + "."


def not_as_wanted(item: Mapping[str, Any], fact: str, waiting: Entry) -> str:
    """What one that is configured is not, for another to wait for it."""
    _, with_, wanted = fact.partition(" with ")
    if with_:
        name, _, value = wanted.partition(" ")
        return f"but its {name} is {item.get(name)}, not {value}: both ends of a pair have to name each other"
    if item.get("enabled") is False:
        return "but it is to be down (enabled: false), and what is on it wants it up"
    return f"but its link is not up, or not in the namespace of {waiting['key']}"


def missing_text(entry: Entry, waiting: Entry | None) -> str:
    """Why a fact is missing that is no entry of its own."""
    if entry.get("message"):
        return str(entry["message"])
    sort, _, rest = str(entry["key"]).partition("/")
    item = (waiting or {}).get("item") or {}
    match sort:
        case "gateway":
            return gateway_text(rest, item, entry.get("interface"))
        case "interface":
            name, with_, wanted = rest.partition(" with ")
            return f"nobody has put an interface {name}" + (f" ({wanted.replace(' ', ' of it: ', 1)})" if with_ else "")
        case "master":
            return f"{rest} is in no bridge: give its item a `master`, or put it into one"
        case "link":
            name, at, place = rest.partition("@")
            return f"the kernel has no link {name} that is up" + (f" in {place.replace(':', ' ', 1)}" if at else "")
    return MISSING.get(sort, "is not there")


def gateway_text(gateway: str, item: Mapping[str, Any], interface: Mapping[str, Any] | None) -> str:
    """Why the kernel may not find a gateway."""
    name = item.get("interface")
    given = (interface or {}).get("addresses") or ()
    addresses = [str(one["address"] if isinstance(one, Mapping) else one) for one in given]
    host = ipaddress.ip_address(gateway)
    networks = [ipaddress.ip_interface(one).network for one in addresses]
    remedy = "an address in its network, an on-link route to it, or `onlink` is missing"
    if interface is None:
        return f"the kernel cannot reach it from {name}: {remedy}, or the link is down"
    if not any(host in network for network in networks if network.version == host.version):
        has = f"the addresses of {name} ({', '.join(addresses)}) are in other networks" if addresses else f"{name} has no address"
        return f"the kernel cannot reach it, for {has}: {remedy}"
    return (
        f"the kernel cannot reach it from {name} yet, though {', '.join(addresses)} would do: the link is down, or another route is"
    )


KNOWN = ("interface/", "microservice/", "namespace/", "file/", "pid/")
"""Facts of which the agent says more."""
ON_LINK = ("gateway/",)
"""Facts of which the interface says more."""
MISSING = {
    "address": "the kernel still asks whether another host on the link has it",
    "file": "no namespace is bound on it",
    "pid": "the process has ended: put the item again",
    "namespace": "the namespace is not there yet",
}


def stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))

"""What is said of entries, wherever they are shown: why one is as it is, where it is, for how long."""

import time
from collections.abc import Mapping
from typing import Any

Entry = Mapping[str, Any]


def reason(entry: Entry) -> str:
    """Why an item is as it is: what is missing, or what the kernel said; and what a microservice is."""
    parts = []
    if entry.get("pid") or entry.get("netns"):
        parts.append(who(entry))
    if entry.get("current") is False and entry.get("event") != "stopped":
        parts.append("(does not stand behind the label)")
    if entry.get("missing"):
        parts.append("missing " + ", ".join(entry["missing"]))
    if entry.get("message"):
        parts.append(str(entry["message"]))
    if entry.get("errno") and entry["state"] != "invalid":
        parts.append(f"({entry['errno']})")
    return " ".join(parts)


def age(since: float | None) -> str:
    """Seconds since the epoch as a time ago."""
    if since is None:
        return ""
    seconds = max(0.0, time.time() - since)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing to do"


def place_of(item: Mapping[str, Any], places: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The reference to the namespace that an item is in: of a route or the like that of its interface's item. None: the agent's."""
    if "interface" in item and "namespace" not in item:
        item = places.get(item["interface"], item)
    found: Mapping[str, Any] | None = item.get("namespace")
    return found


def place_text(namespace: Mapping[str, Any] | None) -> str:
    """How a namespace is called in a table: that of a name by its name, others with what sort of name it is; `.` is the agent's."""
    if namespace is None:
        return "."
    value = next((str(part) for name, part in namespace.items() if name != "type"), "")
    return value if namespace.get("type") == "name" else f"{namespace.get('type')}:{value}"


def link_of(item: Mapping[str, Any], places: Mapping[str, Any]) -> str:
    """What the kernel calls the link that an item is, or is on."""
    if "interface" in item and "namespace" not in item:
        item = places.get(item["interface"], {"name": item["interface"]})
    return str(item.get("host_name") or item.get("name") or item.get("interface") or "")


def gist(item: Mapping[str, Any]) -> str:
    """Addresses of an interface; where a route or an entry leads to."""
    addresses = item.get("addresses") or ()
    parts = [str(one.get("address", "") if isinstance(one, Mapping) else one) for one in addresses]
    if "gateway" in item:
        parts.append(f"via {item['gateway']}")
    parts += [
        f"via {hop.get('gateway', '')}" + (f" dev {hop['interface']}" if "interface" in hop else "")
        for hop in item.get("nexthops") or ()
    ]
    if item.get("kind") == "route" and "type" in item:
        parts.append(str(item["type"]))
    if item.get("kind") == "arp":
        parts.append(str(item.get("mac", "")))
    elif item.get("kind") == "fdb" and "dst" in item:
        parts.append(f"dst {item['dst']}")
    return " ".join(parts)


def container(entry: Entry) -> str:
    """A microservice's container, as docker shows it: its name, and the beginning of its id."""
    short = (entry.get("container") or "")[:12]
    return f"{entry['name']} ({short})" if entry.get("name") else short


def who(entry: Entry) -> str:
    """What runs as a microservice: its process, or the namespace where that alone is known, and whose it is; empty where none
    does."""
    if not entry.get("pid") and not entry.get("netns"):
        return ""
    place = f"process {entry['pid']}" if entry.get("pid") else str(entry["netns"])
    return f"{place} of {container(entry) or entry['source']}"


def drift(body: Entry) -> str:
    """What somebody else has made of it, and what becomes of that."""
    found = body.get("found")
    fields = body.get("fields")
    if found == "altered" and isinstance(fields, list) and fields:
        return f"somebody else has changed {', '.join(map(str, fields))}: it is put right"
    if found == "missing" and not body.get("message"):
        return "somebody else has deleted it: it is made again"
    return str(DRIFT.get(str(found), "")) if not body.get("message") else ""


DRIFT = {
    "altered": "somebody else has changed it: it is put right",
    "stale": "it was left, and nobody wants it: it was removed",
}

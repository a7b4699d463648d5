"""The tables of items.md, from the schema of items.

python docs/generate.py             prints the tables
python docs/generate.py --check     fails where the page has others
python docs/generate.py --write     puts them into the page, between its markers
"""

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nsplane.kernel import LIMITS
from nsplane.model.ports import PORTS
from nsplane.request.schema import NULL, document_schema

PAGE = Path(__file__).parent / "items.md"

NAMED = {name: name for name in ("address", "mac", "prefix")} | {
    "namespace": "[namespace](#namespaces)",
    "LinkAddress": "[map](#addresses)",
    "birth": "[namespace](#namespaces) or `agent`",
    "Port": "[port](#ports)",
    "WireguardPeer": "[peer](#wireguard)",
    "bridge_vlan": "[VLAN](#vlans)",
    "nexthop": "[next hop](#several-next-hops)",
}
"""Definitions of the schema that the page calls by a name."""

TOGETHER = {"tap": "tun-and-tap", "tun": "tun-and-tap"}
"""Kinds that have one section together, which is called so."""

DEFINITIONS = document_schema()["$defs"]


OF_ALL_LINKS = (*LIMITS, "altnames", "addrgenmode", "features")
"""Fields that the page has in one table."""


def field_row(name: str, field: dict[str, Any], required: bool) -> str:
    if "const" in field:
        return row(name, "string", "required", f"`{field['const']}`")
    default = "required" if required else f"`{json.dumps(field['default'])}`" if "default" in field else ""
    return row(name, type_name(field), default, field["description"])


def type_name(schema: dict[str, Any]) -> str:
    """How JSON and YAML would call it; that it may be null is said by its default."""
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return NAMED[name] if name in NAMED else type_name(DEFINITIONS[name])
        case {"anyOf": ways}:
            return " or ".join(type_name(way) for way in ways if way != NULL)
        case {"prefixItems": [one, *_]} | {"type": "array" | ["array", "null"], "items": one}:
            return f"list of {' or '.join(plural(type_name(way)) for way in one.get('anyOf', [one]))}"
        case {"type": [name, "null"]} | {"type": name}:
            return str(name)
    return "string"


def plural(name: str) -> str:
    return f"{name}es" if name.endswith(("s", "x")) else f"{name}s"


def row(field: str, *cells: str) -> str:
    return f"| `{field}` | {' | '.join(cells)} |\n".replace("|  |", "| |")


def sentence(description: str) -> str:
    """The first of a description."""
    return " ".join(description.split()).partition(". ")[0].removesuffix(".")


def table(rows: Iterable[str]) -> str:
    return "| field | type | default | meaning |\n|---|---|---|---|\n" + "".join(rows)


def tables() -> dict[str, str]:
    """All tables by the name of their marker."""
    ways = [way["$ref"].rpartition("/")[2] for way in DEFINITIONS["item"]["anyOf"]]
    kinds = [way for way in ways if DEFINITIONS[way]["title"] == way]
    made = {
        kind: table(
            field_row(name, field, name in DEFINITIONS[kind]["required"])
            for name, field in DEFINITIONS[kind]["properties"].items()
            if name not in OF_ALL_LINKS
        )
        for kind in kinds
    }
    made["kinds"] = "| `kind` | is |\n|---|---|\n" + "".join(
        f"| [`{kind}`](#{TOGETHER.get(kind, kind)}) | {sentence(DEFINITIONS[kind]['description'])} |\n"
        for kind in kinds
        if "description" in DEFINITIONS[kind]
    )
    made["block"] = "| `kind` | column | bytes of a value |\n|---|---|---|\n" + "".join(
        row(DEFINITIONS[way]["title"], f"`{name}`", column["description"].partition(" bytes each")[0])
        for way in ways
        if way not in kinds
        for name, column in DEFINITIONS[way]["properties"]["block"]["properties"].items()
        if "contentEncoding" in column
    )
    made["links"] = table(
        field_row(name, field, False) for name, field in DEFINITIONS["dummy"]["properties"].items() if name in OF_ALL_LINKS
    )
    fields = DEFINITIONS["Port"]["properties"]
    for kind, struct in PORTS.items():
        made[f"{kind}_port"] = table(field_row(name, fields[name], False) for name in struct.__struct_fields__)
    address = DEFINITIONS["LinkAddress"]
    made["address"] = table(field_row(name, field, name in address["required"]) for name, field in address["properties"].items())
    peer = DEFINITIONS["WireguardPeer"]
    made["peer"] = table(field_row(name, field, name in peer["required"]) for name, field in peer["properties"].items())
    made["namespace"] = "| `type` | field | type | meaning |\n|---|---|---|---|\n" + "".join(
        row(way["title"], f"`{name}`", type_name(field), field["description"])
        for way in DEFINITIONS["namespace"]["anyOf"]
        for name, field in way["properties"].items()
        if name != "type"
    )
    return made


def filled(page: str, made: dict[str, str]) -> str:
    """The page with these tables between its markers, and a section for each kind that has none. SystemExit where a table is there
    twice, or of nothing."""
    marker = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
    others = re.compile(r"<!-- other kinds -->\n.*<!-- end of other kinds -->", re.DOTALL)
    found = marker.findall(page)
    if len(found) != len(set(found)) or not made.keys() >= set(found) or len(others.findall(page)) != 1:
        raise SystemExit(f"{PAGE.name} has the tables {sorted(found)}, of {sorted(made)}")
    page = marker.sub(lambda match: f"<!-- table: {match[1]} -->\n{made[match[1]]}<!-- end -->", page)
    rest = "".join(
        f"### {kind}\n\n{DEFINITIONS[kind]['description']}\n\n{lines}\n" for kind, lines in made.items() if kind not in found
    )
    return others.sub(lambda match: f"<!-- other kinds -->\n{rest}<!-- end of other kinds -->", page)


def main() -> None:
    parser = argparse.ArgumentParser(description="The tables of items.md.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="fail where the page differs")
    choice.add_argument("--write", action="store_true", help="change the page")
    asked = parser.parse_args()

    made = tables()
    if not asked.check and not asked.write:
        for name, lines in made.items():
            print(f"{name}\n\n{lines}")
        return
    page = PAGE.read_text()
    new = filled(page, made)
    if asked.write:
        PAGE.write_text(new)
    elif new != page:
        sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), new.splitlines(True), "items.md", "generated"))
        raise SystemExit("items.md differs from the fields: python docs/generate.py --write")


if __name__ == "__main__":
    main()

"""The tables of items.md, from where the fields are defined: the Structs of the interfaces, the decoder of route and arp.

python docs/generate.py             prints the tables
python docs/generate.py --check     fails where the page has others
python docs/generate.py --write     puts them into the page, between its markers
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import msgspec

from nsplane.kernel import FieldInfo, bulk_fields
from nsplane.kinds import KINDS
from nsplane.model.items import Namespace

PAGE = Path(__file__).parent / "items.md"

MEANINGS = {
    "name": "the logical name, and the key: `interface/NAME`",
    "namespace": "where the interface is to be; the agent's own where left out",
    "host_name": "the kernel's name of the link, at most 15 bytes; the logical name where left out",
    "peer": "the logical name of the other end, which has to name this one",
    "addresses": "addresses with prefix length, `10.0.0.1/24` or `fd00::1/64`; the first of a subnet is its primary one, of "
    "IPv6 the source",
    "mac": "six bytes, `02:00:00:00:00:01`; derived from agent and logical name where left out",
    "mtu": "68 to 65536; 1500 where left out",
    "enabled": "whether the link is up; what is on one that is not is pending",
    "master": "the logical name of the bridge that it is a port of, which has to be in the same namespace",
    "override": "a link of somebody else that has the host name is renamed, and gets its name back at the end",
    "link_only": "says that the addresses are left alone: `addresses` cannot be given with it",
}
"""What a field means in the kinds that do not say otherwise below."""

OF_KIND = {
    ("bridge", "mtu"): "68 to 65536; that of its ports where left out",
    ("bridge", "master"): "refused: a bridge is no port",
    ("loopback", "host_name"): "`lo`, or left out",
    ("loopback", "addresses"): "added to those that it has",
    ("loopback", "mtu"): "68 to 65536; as it is where left out",
    ("existing", "host_name"): "the link to be adopted; the logical name where left out",
    ("existing", "addresses"): "added to those that it has",
    ("existing", "mac"): "set where given",
    ("existing", "mtu"): "set where given, 68 to 65536",
    ("existing", "enabled"): "set up or down where given",
    ("existing", "master"): "made its master where given",
}
"""What a field means in one kind."""

TYPES = {
    msgspec.inspect.StrType: "string",
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.BoolType: "boolean",
    msgspec.inspect.VarTupleType: "list of strings",
    msgspec.inspect.UnionType: "[namespace](#namespaces)",
}
ABOUT_NAMESPACES = {
    "name": "`/run/netns/NAME`, made where it does not exist, with `lo` up",
    "pid": "the namespace of a process, bound when the item is put",
    "file": "an nsfs path: a bind mount or, bound when the item is put, `/proc/PID/ns/net`, `/proc/PID/task/TID/ns/net`",
    "microservice": "that of the container or process which runs under this label",
}


def interface_rows(struct: type[msgspec.Struct]) -> Iterator[str]:
    """The fields of an interface kind; KeyError for one that has no meaning above."""
    kind = str(struct.__struct_config__.tag)
    yield row("kind", "string", "required", f"`{kind}`")
    for field in msgspec.structs.fields(struct):
        meaning = OF_KIND.get((kind, field.name)) or MEANINGS[field.name]
        default = "required" if field.required else shown(field.default)
        yield row(field.name, type_name(field.type), default, meaning)


def bulk_row(field: FieldInfo) -> str:
    """A field of route or arp, in the words of its decoder."""
    if field.name == "kind":
        return row("kind", "string", "required", f"`{field.kind}`")
    default = "required" if field.required else "`false`" if field.type == "boolean" else ""
    return row(field.name, field.type.replace("namespace", "[namespace](#namespaces)"), default, field.about)


def type_name(annotation: object) -> str:
    """How JSON and YAML would call it; that it may be null is said by its default."""
    info = msgspec.inspect.type_info(annotation)
    if isinstance(info, msgspec.inspect.UnionType):
        some = [one for one in info.types if not isinstance(one, msgspec.inspect.NoneType)]
        info = some[0] if len(some) == 1 else info
    return TYPES[type(info)]


def shown(default: object) -> str:
    if default is None:
        return ""
    return f"`{msgspec.json.encode(default).decode()}`"


def row(field: str, *cells: str) -> str:
    return f"| `{field}` | {' | '.join(cells)} |\n".replace("|  |", "| |")


def table(rows: Iterable[str]) -> str:
    return "| field | type | default | meaning |\n|---|---|---|---|\n" + "".join(rows)


def tables() -> dict[str, str]:
    """All tables by the name of their marker."""
    made = {str(struct.__struct_config__.tag): table(interface_rows(struct)) for struct in KINDS}
    for kind, fields in groupby(bulk_fields(), key=lambda field: field.kind):
        made[kind] = table(map(bulk_row, fields))
    info = msgspec.inspect.type_info(Namespace)
    assert isinstance(info, msgspec.inspect.UnionType)
    made["namespace"] = "| `type` | field | type | meaning |\n|---|---|---|---|\n" + "".join(
        row(str(one.tag), f"`{field.name}`", TYPES[type(field.type)], ABOUT_NAMESPACES[str(one.tag)])
        for one in info.types
        if isinstance(one, msgspec.inspect.StructType)
        for field in one.fields
    )
    return made


def filled(page: str, made: dict[str, str]) -> str:
    """The page with these tables between its markers. SystemExit where the page lacks one, or has one too many."""
    marker = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
    found = marker.findall(page)
    if sorted(found) != sorted(made):
        raise SystemExit(f"{PAGE.name} has the tables {sorted(found)} and not {sorted(made)}")
    return marker.sub(lambda match: f"<!-- table: {match[1]} -->\n{made[match[1]]}<!-- end -->", page)


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

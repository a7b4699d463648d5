"""What is said of fields for who reads or checks them without the engine: their meanings, and patterns that refuse nothing right.

The patterns are for Python's `re` and for ECMAScript's, hence `(?!\\n)`: to the former a `$` is before a last newline too.
"""

from __future__ import annotations

from typing import Any

from msgspec import Meta

_END = r"$(?!\n)"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
# Eight groups, or fewer with one `::`; the last two may be written as an IPv4 address.
_FULL = r"(?=.*::|(?:[^:]*:){7}[^:]*$|(?:[^:]*:){6}[^:]*\.)(?!:[^:])(?!.*::.*::)(?!.*:::)"
_IPV6 = rf"{_FULL}(?:[0-9a-fA-F]{{0,4}}:){{2,8}}(?:{_IPV4}|[0-9a-fA-F]{{1,4}})?"
# Neither the unspecified address nor a multicast group.
_HOST4 = rf"(?!0\.0\.0\.0(?:/|$))(?!2(?:2[4-9]|3[0-9])\.){_IPV4}"
_HOST6 = rf"(?![0:]+(?:/|$))(?![fF]{{2}}[0-9a-fA-F]{{2}}:){_IPV6}"
_BITS4 = "/(?:3[0-2]|[12]?[0-9])"
_BITS6 = "/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])"
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_HEX2 = "[0-9a-fA-F]{2}"


def _text(pattern: str, most: int = 0) -> dict[str, Any]:
    return {"type": "string", **({"maxLength": most} if most else {}), "pattern": f"^{pattern}{_END}"}


_LINK_NAME = rf"(?!(?:\.\.?|all|default)$)[^/:% {_CONTROLS}]+"

FORMATS: dict[str, dict[str, Any]] = {
    "name": _text(rf"[^/@; {_CONTROLS}]+", 255),
    "link_name": _text(_LINK_NAME, 15),
    "altname": _text(_LINK_NAME, 127),
    "label": _text(rf"[^{_CONTROLS}]+", 255),
    "netns_name": _text(rf"(?!\.\.?$)[^/{_CONTROLS}]+", 255),
    "path": _text(rf"/[^{_CONTROLS}]*", 400),
    "mac": _text(rf"{_HEX2}(?:[:-]{_HEX2}){{5}}"),
    "own_mac": _text(rf"(?!00(?:[:-]00){{5}}$)[0-9a-fA-F][02468aAcCeE]([:-]){_HEX2}(?:\1{_HEX2}){{4}}"),
    "address": _text(rf"(?:{_HOST4}|{_HOST6})"),
    "prefix": _text(rf"(?:{_IPV4}(?:{_BITS4})?|{_IPV6}(?:{_BITS6})?)"),
    "interface_address": _text(rf"(?:{_HOST4}{_BITS4}|{_HOST6}{_BITS6})"),
    "vlan_range": _text(r"[1-9][0-9]{0,3}-[1-9][0-9]{0,3}"),
    "wireguard_key": _text("[A-Za-z0-9+/]{42}[AEIMQUYcgkosw480]="),
    "endpoint": _text(rf"(?:{_IPV4}|\[[0-9a-fA-F:.]+\]):[1-9][0-9]{{0,4}}"),
    "birth": {"anyOf": [{"$ref": "#/$defs/namespace"}, {"const": "agent"}]},
    "mtu": {"type": "integer", "minimum": 68, "maximum": 65536},
    "pid": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
}
"""By the name that they have among the schema's definitions. Lengths are in characters: a schema cannot count bytes."""


def looks_like(name: str) -> Meta:
    """For the annotation of a field: its values are as this definition of the schema says."""
    return Meta(extra_json_schema={"$ref": f"#/$defs/{name}"})


def says(meaning: str) -> Meta:
    """For the annotation of a field: what it means, in the reference page and the schema."""
    return Meta(description=meaning)

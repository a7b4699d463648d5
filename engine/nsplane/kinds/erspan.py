"""ERSPAN (draft-foschiano-erspan): mirrored frames in GRE over IPv4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import BE16, BE32, U8, U16, U32, Codec, Payloads, Untold, Words
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.gre import GreOverIpv4
from nsplane.kinds.tunnels import HOST, HOST4, KEY, OURS, REMOTE, SEQ, G
from nsplane.model.formats import says
from nsplane.model.links import Mac
from nsplane.model.rules import wants


@dataclass(frozen=True, eq=False)
class Session(Codec[int | None]):
    """The session, which is the key of both directions, whose packets are numbered."""

    absent = None

    def pack(self, value: int | None) -> bytes:
        return BE32.pack(value or 0)

    def unpack(self, payload: bytes) -> int:
        return BE32.unpack(payload)

    def write(self, attribute: int, value: int | None, into: Payloads) -> None:
        into[attribute] = into[G.IKEY] = self.pack(value)
        into[G.OFLAGS] = into[G.IFLAGS] = BE16.pack(KEY | SEQ)

    def read(self, attribute: int, payloads: Payloads) -> int | Untold | None:
        has_one = BE16.unpack(payloads.get(G.OFLAGS, b"")) & KEY and G.COLLECT_METADATA not in payloads
        return super().read(attribute, payloads) if has_one else None


Version = Annotated[Literal[1, 2, 0], Attr(G.ERSPAN_VER, U8, REMAKE), OURS, says("0: ERSPAN I, 1: II, 2: III (`erspan_ver`)")]
Key = Annotated[int, Meta(ge=0, lt=1 << 10), Attr(G.OKEY, Session()), OURS, says("the session; only ERSPAN I is without")]
Index = Annotated[int, Meta(ge=0, lt=1 << 20), Attr(G.ERSPAN_INDEX, U32), wants(version=1), says("the source's port (`erspan`)")]
Direction = Annotated[
    Literal["ingress", "egress"],
    Attr(G.ERSPAN_DIR, Words(U8, {"ingress": 0, "egress": 1})),
    wants(version=2),
    says("of the mirrored frames (`erspan_dir`)"),
]
Hwid = Annotated[int, Meta(ge=0, lt=1 << 6), Attr(G.ERSPAN_HWID, U16), wants(version=2), says("the engine (`erspan_hwid`)")]


def check_session(version: int, key: int | None, external: bool) -> None:
    """ItemError where a session lacks its key, or has one for which its version has no room."""
    if version == 0 and key is not None:
        raise ItemError("key", "cannot be given together with version 0")
    if version != 0 and key is None and not external:
        raise ItemError("key", "is missing: the session, 0 to 1023")


class Erspan(GreOverIpv4, frozen=True, kw_only=True, tag="erspan"):
    """An end of a session of ERSPAN over IPv4."""

    mac: Mac | None = None
    remote: Annotated[str, Attr(G.REMOTE, HOST4), HOST, OURS, REMOTE] | None = None
    version: Version = 1
    key: Key | None = None
    index: Index = 0
    direction: Direction = "ingress"
    hwid: Hwid = 0
    has_own_mac = True

    def check(self) -> None:
        check_session(self.version, self.key, self.external)


KIND = CreatedKind(Erspan, "erspan", is_whole=True)

"""ERSPAN: mirrored frames in GRE over IPv6."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.kinds.erspan import Direction, Hwid, Index, Key, Version, check_session
from nsplane.kinds.ip6gre import GreOverIpv6
from nsplane.model.links import Mac


class Ip6erspan(GreOverIpv6, frozen=True, kw_only=True, tag="ip6erspan"):
    """An end of a session of ERSPAN over IPv6."""

    mac: Mac | None = None
    version: Version = 1
    key: Key | None = None
    index: Index = 0
    direction: Direction = "ingress"
    hwid: Hwid = 0
    has_own_mac = True

    def check(self) -> None:
        check_session(self.version, self.key, self.external)


KIND = CreatedKind(Ip6erspan, "ip6erspan", is_whole=True)

"""IPv6 in IPv4 (RFC 4213; 6rd, RFC 5969), and IPv4 and MPLS as well."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import BOOL, U8, U16, U32, Bit, Codec, Payloads, Untold, Words, WrongValue
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.tunnels import HOST, HOST4, LOCAL, MARK, REMOTE, TOS, TTL, Byte, IpTunnel, Number32, T, Ttl, same_reach
from nsplane.model.formats import looks_like, says
from nsplane.model.rules import GIVEN, wants

MODE, ISATAP = Words(U8, {"any": 0, "ipip": 4, "ip6ip": 41, "mplsip": 137}), 1


@dataclass(frozen=True, eq=False)
class Prefix(Codec[str | None]):
    """A network whose length stands in the attribute `length`; None is `usual`, which a new tunnel has."""

    length: int
    usual: str
    absent = None

    def pack(self, value: str | None) -> bytes:
        return self._network(value).network_address.packed

    def unpack(self, payload: bytes) -> str:
        return str(ip_network(payload))

    def write(self, attribute: int, value: str | None, into: Payloads) -> None:
        into[attribute] = self.pack(value)
        into[self.length] = U16.pack(self._network(value).prefixlen)

    def read(self, attribute: int, payloads: Payloads) -> str | Untold | None:
        told = super().read(attribute, payloads)
        if not isinstance(told, str):
            return told
        text = f"{told.partition('/')[0]}/{U16.unpack(payloads.get(self.length, b''))}"
        return None if text == self.usual else text

    def _network(self, value: str | None) -> IPv4Network | IPv6Network:
        usual = ip_network(self.usual)
        try:
            network = usual if value is None else ip_network(value)
        except ValueError as error:
            raise WrongValue(str(error)) from None
        if network.version != usual.version:
            raise WrongValue(f"{value!r} is no network of IPv{usual.version}")
        return network


SIXRD = Attr(T.SIXRD_PREFIX, Prefix(T.SIXRD_PREFIXLEN, "2002::/16"))
RELAY = Attr(T.SIXRD_RELAY_PREFIX, Prefix(T.SIXRD_RELAY_PREFIXLEN, "0.0.0.0/0"))


class Sit(IpTunnel, frozen=True, kw_only=True, tag="sit"):
    """A tunnel of IPv6, and of IPv4 or MPLS, in IPv4."""

    local: Annotated[str, Attr(T.LOCAL, HOST4), HOST, LOCAL] | None = None
    remote: Annotated[str, Attr(T.REMOTE, HOST4, same_reach), HOST, REMOTE] | None = None
    mode: Annotated[Literal["any", "ipip", "ip6ip", "mplsip"], Attr(T.PROTO, MODE, REMAKE), says("what is carried")] = "ip6ip"
    ttl: Annotated[Ttl | Literal["inherit"], Attr(T.TTL, TTL), says("the packets' TTL")] = "inherit"
    tos: Annotated[Byte | Literal["inherit"], Attr(T.TOS, TOS), says("the packets' TOS")] = 0
    pmtudisc: Annotated[bool, Attr(T.PMTUDISC, BOOL), says("path MTU discovery")] = True
    isatap: Annotated[bool, Attr(T.FLAGS, Bit(ISATAP, U16), REMAKE), says("a site of ISATAP (RFC 5214)")] = False
    fwmark: Annotated[Number32, Attr(T.FWMARK, U32), MARK] = 0
    sixrd_prefix: Annotated[str, SIXRD, looks_like("prefix"), says("a provider's IPv6 prefix (`6rd-prefix`)")] | None = None
    sixrd_relay_prefix: (
        Annotated[str, RELAY, looks_like("prefix"), wants(sixrd_prefix=GIVEN), says("of all its IPv4 addresses")] | None
    ) = None


KIND = CreatedKind(Sit, "sit", is_whole=True)

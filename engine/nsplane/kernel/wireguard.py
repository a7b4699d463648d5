"""WireGuard's links as the family `wireguard` is told of them and tells; linux/wireguard.h.

A peer that is not named in a message stays as it is, with its session. Where a message would be too large, what is left goes with
more of them: peers, and allowed IPs of one peer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import AF_INET, AF_INET6

from nsplane.kernel.codecs import NLA_F_NESTED, TEXT, U8, U16, U32, join, split

FAMILY = "wireguard"
GET_DEVICE, SET_DEVICE = 0, 1
"""WG_CMD_*."""

D = IntEnum("D", "IFINDEX IFNAME PRIVATE_KEY PUBLIC_KEY FLAGS LISTEN_PORT FWMARK PEERS")
P = IntEnum(
    "P",
    "PUBLIC_KEY PRESHARED_KEY FLAGS ENDPOINT PERSISTENT_KEEPALIVE_INTERVAL LAST_HANDSHAKE_TIME RX_BYTES TX_BYTES ALLOWEDIPS "
    "PROTOCOL_VERSION",
)
IP = IntEnum("IP", "FAMILY IPADDR CIDR_MASK")
"""WGDEVICE_A_*, WGPEER_A_* and WGALLOWEDIP_A_*, in their order."""
REMOVE_ME, REPLACE_ALLOWEDIPS, UPDATE_ONLY = 1, 2, 4
"""WGPEER_F_*."""

KEY_BYTES = 32
NO_KEY = bytes(KEY_BYTES)
MESSAGE_BYTES = 16_384
"""What of peers is put in one message, about: an attribute ends at 64 KiB, and a socket's buffer too."""
IPS_AT_ONCE = 256
"""Allowed IPs of a peer in one message."""

_SOCKADDR4, _SOCKADDR6 = struct.Struct("=H2s4s8x"), struct.Struct("=H2s4x16s4x")

AllowedIp = tuple[int, bytes, int]
"""Family, packed network, prefix length."""
Endpoint = tuple[IPv4Address | IPv6Address, int]
"""Address and port."""


@dataclass(slots=True, repr=False)
class Peer:
    """A peer without its public key; of an endpoint that is not known None."""

    preshared_key: bytes = NO_KEY
    endpoint: Endpoint | None = None
    keepalive: int = 0
    allowed_ips: frozenset[AllowedIp] = frozenset()


@dataclass(slots=True, repr=False)
class Device:
    """A link; peers are known by their public keys."""

    private_key: bytes = NO_KEY
    public_key: bytes = NO_KEY
    listen_port: int = 0
    fwmark: int = 0
    peers: dict[bytes, Peer] = field(default_factory=dict)


@dataclass(slots=True, repr=False)
class PeerChange:
    """What a peer is told; None is left as it is. With `update` it is to be there already."""

    public_key: bytes
    remove: bool = False
    update: bool = False
    preshared_key: bytes | None = None
    endpoint: Endpoint | None = None
    keepalive: int | None = None
    allowed_ips: frozenset[AllowedIp] | None = None


@dataclass(slots=True, repr=False)
class DeviceChange:
    """What a link is told; None is left as it is, and so are peers that are not among these."""

    private_key: bytes | None = None
    listen_port: int | None = None
    fwmark: int | None = None
    peers: list[PeerChange] = field(default_factory=list)


def clamped(private_key: bytes) -> bytes:
    """A private key as the kernel keeps it (curve25519_clamp_secret)."""
    if private_key == NO_KEY:
        return private_key
    return bytes([private_key[0] & 248, *private_key[1:31], (private_key[31] & 127) | 64])


# ---- what the kernel tells ----


def get(index: int) -> bytes:
    """The attributes of the question, which is a dump."""
    return join([(D.IFINDEX, U32.pack(index))])


def decode(messages: Iterable[bytes]) -> Device:
    """The link of which these attributes tell, message by message: what had no place in one is in the next. ValueError where they
    are none."""
    device = Device()
    for message in messages:
        told = dict(split(message))
        device.private_key = told.get(D.PRIVATE_KEY, device.private_key)
        device.public_key = told.get(D.PUBLIC_KEY, device.public_key)
        device.listen_port = U16.unpack(told[D.LISTEN_PORT]) if D.LISTEN_PORT in told else device.listen_port
        device.fwmark = U32.unpack(told[D.FWMARK]) if D.FWMARK in told else device.fwmark
        for _, peer in split(told.get(D.PEERS, b"")):
            _decode_peer(device, dict(split(peer)))
    return device


def _decode_peer(device: Device, told: dict[int, bytes]) -> None:
    """One that is there already goes on."""
    key = told[P.PUBLIC_KEY]
    ips = frozenset(_decode_ip(dict(split(ip))) for _, ip in split(told.get(P.ALLOWEDIPS, b"")))
    known = device.peers.get(key)
    if known is not None:
        known.allowed_ips |= ips
        return
    endpoint = told.get(P.ENDPOINT)
    device.peers[key] = Peer(
        told.get(P.PRESHARED_KEY, NO_KEY),
        None if endpoint is None else _decode_endpoint(endpoint),
        U16.unpack(told.get(P.PERSISTENT_KEEPALIVE_INTERVAL, b"")),
        ips,
    )


def _decode_ip(told: dict[int, bytes]) -> AllowedIp:
    return U16.unpack(told[IP.FAMILY]), told[IP.IPADDR], U8.unpack(told[IP.CIDR_MASK])


def _decode_endpoint(sockaddr: bytes) -> Endpoint | None:
    family = U16.unpack(sockaddr[:2])
    if family not in (AF_INET, AF_INET6):
        return None
    _, port, packed = (_SOCKADDR4 if family == AF_INET else _SOCKADDR6).unpack(sockaddr)
    return ip_address(packed), int.from_bytes(port, "big")


# ---- what it is told ----


def encode(name: str, change: DeviceChange) -> list[bytes]:
    """The attributes of the messages that make the change, to the link of this name."""
    own = [(D.IFNAME, TEXT.pack(name))]
    first = list(own)
    if change.private_key is not None:
        first.append((D.PRIVATE_KEY, change.private_key))
    if change.listen_port is not None:
        first.append((D.LISTEN_PORT, U16.pack(change.listen_port)))
    if change.fwmark is not None:
        first.append((D.FWMARK, U32.pack(change.fwmark)))
    parts = list(_in_parts(part for peer in change.peers for part in _encode_peer(peer)))
    messages = []
    for i, part in enumerate(parts or [b""]):
        peers = [(D.PEERS | NLA_F_NESTED, part)] if part else []
        messages.append(join([*(own if i else first), *peers]))
    return messages


def _in_parts(peers: Iterable[bytes]) -> Iterator[bytes]:
    part: list[tuple[int, bytes]] = []
    size = 0
    for peer in peers:
        if part and size + len(peer) > MESSAGE_BYTES:
            yield join(part)
            part, size = [], 0
        part.append((NLA_F_NESTED, peer))
        size += len(peer)
    if part:
        yield join(part)


def _encode_peer(peer: PeerChange) -> Iterator[bytes]:
    """More than one where it has many allowed IPs."""
    key = (P.PUBLIC_KEY, peer.public_key)
    if peer.remove:
        yield join([key, (P.FLAGS, U32.pack(REMOVE_ME))])
        return
    ips = sorted(peer.allowed_ips or ())
    flags = (REPLACE_ALLOWEDIPS if peer.allowed_ips is not None else 0) | (UPDATE_ONLY if peer.update else 0)
    told = [key, (P.FLAGS, U32.pack(flags))]
    if peer.preshared_key is not None:
        told.append((P.PRESHARED_KEY, peer.preshared_key))
    if peer.endpoint is not None:
        told.append((P.ENDPOINT, _encode_endpoint(*peer.endpoint)))
    if peer.keepalive is not None:
        told.append((P.PERSISTENT_KEEPALIVE_INTERVAL, U16.pack(peer.keepalive)))
    yield join([*told, *_encode_ips(ips[:IPS_AT_ONCE])])
    for i in range(IPS_AT_ONCE, len(ips), IPS_AT_ONCE):
        yield join([key, (P.FLAGS, U32.pack(UPDATE_ONLY)), *_encode_ips(ips[i : i + IPS_AT_ONCE])])


def _encode_ips(ips: list[AllowedIp]) -> list[tuple[int, bytes]]:
    each = (join([(IP.FAMILY, U16.pack(family)), (IP.IPADDR, ip), (IP.CIDR_MASK, U8.pack(bits))]) for family, ip, bits in ips)
    return [(P.ALLOWEDIPS | NLA_F_NESTED, join((NLA_F_NESTED, one) for one in each))] if ips else []


def _encode_endpoint(address: IPv4Address | IPv6Address, port: int) -> bytes:
    if isinstance(address, IPv4Address):
        return _SOCKADDR4.pack(AF_INET, port.to_bytes(2, "big"), address.packed)
    return _SOCKADDR6.pack(AF_INET6, port.to_bytes(2, "big"), address.packed)

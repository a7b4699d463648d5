"""WireGuard: encrypted tunnels to peers that are known by their keys.

What such a link is of its kind the family `wireguard` of generic netlink is asked and told, and no event tells of it. So it is read
when the item is put, when an operation on it has ended, and whenever its namespace is looked at.
"""

from __future__ import annotations

import base64
import binascii
import errno
import logging
import os
import re
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6
from typing import Annotated

import msgspec
from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel import GenericRequest, GenericSocket, KernelError, Link, LinkChange
from nsplane.kernel import wireguard as wg
from nsplane.kernel.attributes import IN_PLACE, Change
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.link import HeldLink, LinkNode
from nsplane.model.formats import looks_like, says
from nsplane.model.items import Interface
from nsplane.model.links import BirthPlace, PacketLink
from nsplane.model.secrets import SECRET
from nsplane.plan.node import Failure, failure_of
from nsplane.plan.operation import Operation

KEY_FILE_BYTES = 4096
MAX_PATH = 400
_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw480]=")
_ENDPOINT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})")
_NETWORK = re.compile(r"[0-9a-fA-F.:]+(?:/(?:0|[1-9][0-9]{0,2}))?")

log = logging.getLogger(__name__)

Key = Annotated[str, looks_like("wireguard_key")]
KeyFile = Annotated[str, looks_like("path")]
Half = Annotated[int, Meta(ge=0, lt=1 << 16)]
TOLD = "endpoint"
"""What is saved: of each link the endpoints that its peers were told."""


class WireguardPeer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of `peers` of a wireguard."""

    public_key: Annotated[Key, says("whose it is: 32 bytes in base64")]
    preshared_key: Annotated[Key, SECRET, says("a key that both have besides")] | None = None
    preshared_key_file: Annotated[KeyFile, says("the same in a file, which the agent reads when the item is put")] | None = None
    endpoint: (
        Annotated[
            str,
            looks_like("endpoint"),
            says("where it is at first, `192.0.2.1:51820` or `[2001:db8::1]:51820`: it may roam. Without it, it comes by itself"),
        ]
        | None
    ) = None
    allowed_ips: Annotated[
        tuple[Annotated[str, looks_like("prefix")], ...],
        says("networks that are behind it: its sources, and what is sent to it"),
    ] = ()
    persistent_keepalive: Annotated[Half, says("seconds between packets that keep the way open; 0: none")] = 0


class Wireguard(PacketLink, frozen=True, kw_only=True, tag="wireguard"):
    """An encrypted tunnel to peers that are known by their keys."""

    private_key: Annotated[Key, SECRET, says("its own key: 32 bytes in base64")] | None = None
    private_key_file: Annotated[KeyFile, says("the same in a file, which the agent reads when the item is put")] | None = None
    listen_port: Annotated[int, Meta(ge=1, lt=1 << 16), says("the UDP port; the kernel chooses one where left out")] | None = None
    fwmark: Annotated[int, Meta(ge=0, lt=1 << 32), says("the firewall mark of its own packets; 0: none")] = 0
    peers: Annotated[tuple[WireguardPeer, ...], says("all that it has")] = ()
    birth: BirthPlace | None = None

    def check(self) -> None:
        _check_key("private_key", self.private_key)
        _check_file("private_key", self.private_key, self.private_key_file)
        keys: set[str] = set()
        networks: set[wg.AllowedIp] = set()
        for i, peer in enumerate(self.peers):
            field = f"peers[{i}]"
            _check_key(f"{field}.public_key", peer.public_key)
            _check_key(f"{field}.preshared_key", peer.preshared_key)
            _check_file(f"{field}.preshared_key", peer.preshared_key, peer.preshared_key_file)
            if peer.public_key in keys:
                raise ItemError(f"{field}.public_key", "is another peer's too")
            keys.add(peer.public_key)
            if peer.endpoint is not None:
                parse_endpoint(f"{field}.endpoint", peer.endpoint)
            for k, text in enumerate(peer.allowed_ips):
                network = parse_network(f"{field}.allowed_ips[{k}]", text)
                if network in networks:
                    raise ItemError(f"{field}.allowed_ips[{k}]", "is there twice: a network is behind one peer")
                networks.add(network)


# What is wrong is told without what came: a key may stand in a wrong place.


def _check_key(field: str, key: str | None) -> None:
    if key is not None and not _KEY.fullmatch(key):
        raise ItemError(field, "is no key: 32 bytes in base64, which are 44 characters")


def _check_file(field: str, key: str | None, path: str | None) -> None:
    if path is None:
        return
    if key is not None:
        raise ItemError(f"{field}_file", f"cannot be given together with {field.rpartition('.')[2]}")
    if not path.startswith("/") or len(path.encode(errors="surrogatepass")) > MAX_PATH or not path.isprintable():
        raise ItemError(f"{field}_file", f"wants an absolute path of at most {MAX_PATH} bytes without control characters")


def parse_endpoint(field: str, text: str) -> wg.Endpoint:
    found = _ENDPOINT.fullmatch(text)
    try:
        if found and int(found[3]) < 1 << 16:
            return ip_address(found[1] or found[2]), int(found[3])
    except ValueError:
        pass
    raise ItemError(field, "wants an address and a port, 192.0.2.1:51820 or [2001:db8::1]:51820")


def parse_network(field: str, text: str) -> wg.AllowedIp:
    """A network, or a host by its address. What a network has behind its prefix says nothing."""
    try:
        if _NETWORK.fullmatch(text):
            network = ip_network(text, strict=False)
            family = AF_INET if network.version == 4 else AF_INET6
            return family, network.network_address.packed, network.prefixlen
    except ValueError:
        pass
    raise ItemError(field, "wants a network such as 10.0.0.0/24 or fd00::/64")


def key_bytes(text: str) -> bytes:
    return base64.b64decode(text)


def read_key(path: str) -> bytes:
    """The key that is all that a file holds. OSError; ValueError where it holds none."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("is no file")
        text = os.read(fd, KEY_FILE_BYTES).decode("ascii", "replace").strip()
    finally:
        os.close(fd)
    if not _KEY.fullmatch(text):
        raise ValueError("holds no key: 32 bytes in base64, which are 44 characters")
    if about.st_mode & 0o077:
        log.warning("%s: others than its owner may read this key", path)
    return key_bytes(text)


def _key(field: str, text: str | None, path: str | None) -> bytes:
    """KernelError where a file cannot be had."""
    if text is not None:
        return key_bytes(text)
    if path is None:
        return wg.NO_KEY
    try:
        return read_key(path)
    except OSError as error:
        hint = (
            " (the agent reads what is its own user's: chown, or --keep CAP_DAC_READ_SEARCH)" if error.errno == errno.EACCES else ""
        )
        raise KernelError(error.errno or errno.EIO, f"{field}_file: {path}: {error.strerror}{hint}") from None
    except (ValueError, binascii.Error) as error:
        raise KernelError(errno.EINVAL, f"{field}_file: {path} {error}") from None


def device_of(item: Wireguard) -> wg.Device:
    """What the link is to be. KernelError where a file cannot be had."""
    peers = {
        key_bytes(peer.public_key): wg.Peer(
            _key(f"peers[{i}].preshared_key", peer.preshared_key, peer.preshared_key_file),
            None if peer.endpoint is None else parse_endpoint("endpoint", peer.endpoint),
            peer.persistent_keepalive,
            frozenset(parse_network("allowed_ips", text) for text in peer.allowed_ips),
        )
        for i, peer in enumerate(item.peers)
    }
    private_key = wg.clamped(_key("private_key", item.private_key, item.private_key_file))
    return wg.Device(private_key, wg.NO_KEY, item.listen_port or 0, item.fwmark, peers)


@dataclass(slots=True, repr=False)
class Known:
    """What the link is to be, and is where that has been read. `told` are the endpoints that its peers were told, as text."""

    wanted: wg.Device
    told: dict[str, str]
    has: wg.Device | None = None
    family: int = 0

    def change(self) -> wg.DeviceChange:
        """What makes it what it is to be."""
        wanted, has = self.wanted, self.has
        assert has is not None
        return wg.DeviceChange(
            wanted.private_key if wanted.private_key != has.private_key else None,
            wanted.listen_port if wanted.listen_port not in (0, has.listen_port) else None,
            wanted.fwmark if wanted.fwmark != has.fwmark else None,
            [
                *(wg.PeerChange(key, remove=True) for key in has.peers if key not in wanted.peers),
                *filter(None, (self._peer_change(key, peer, has.peers.get(key)) for key, peer in wanted.peers.items())),
            ],
        )

    def _peer_change(self, key: bytes, wanted: wg.Peer, has: wg.Peer | None) -> wg.PeerChange | None:
        if has is None:
            secret = wanted.preshared_key if wanted.preshared_key != wg.NO_KEY else None
            return wg.PeerChange(key, False, False, secret, wanted.endpoint, wanted.keepalive, wanted.allowed_ips)
        change = wg.PeerChange(
            key,
            update=True,
            preshared_key=wanted.preshared_key if wanted.preshared_key != has.preshared_key else None,
            endpoint=wanted.endpoint if self._is_to_be_told(key, wanted.endpoint, has.endpoint) else None,
            keepalive=wanted.keepalive if wanted.keepalive != has.keepalive else None,
            allowed_ips=wanted.allowed_ips if wanted.allowed_ips != has.allowed_ips else None,
        )
        asked = change.preshared_key, change.endpoint, change.keepalive, change.allowed_ips
        return None if all(one is None for one in asked) else change

    def _is_to_be_told(self, key: bytes, wanted: wg.Endpoint | None, has: wg.Endpoint | None) -> bool:
        """A peer that was told so has roamed since."""
        return wanted not in (None, has) and (has is None or self.told.get(_name(key)) != _text(wanted))

    def endpoints(self) -> dict[str, str]:
        """Those that peers have been told by now."""
        assert self.has is not None
        found = {}
        for key, peer in self.wanted.peers.items():
            has, name, text = self.has.peers.get(key), _name(key), _text(peer.endpoint)
            if peer.endpoint is not None and has is not None and (has.endpoint == peer.endpoint or self.told.get(name) == text):
                found[name] = text
        return found


def _name(public_key: bytes) -> str:
    return base64.b64encode(public_key).decode()


def _text(endpoint: wg.Endpoint | None) -> str:
    return "" if endpoint is None else f"{endpoint[0]} {endpoint[1]}"


def read(netns_fd: int, index: int) -> tuple[int, wg.Device]:
    """The number of the family, and what a link is. KernelError."""
    socket = GenericSocket(netns_fd)
    try:
        family = socket.family(wg.FAMILY)
        answers = socket.ask(GenericRequest(family, wg.GET_DEVICE, wg.get(index)), dump=True)
    finally:
        socket.close()
    return family, wg.decode(answer.attributes for answer in answers)


class WireguardKind(CreatedKind):
    is_told_whole = False

    def withdraws(self, now: Interface, item: Interface) -> bool:
        """A port that is not asked for any more is one that the kernel chooses."""
        assert isinstance(now, Wireguard)
        assert isinstance(item, Wireguard)
        return super().withdraws(now, item) or (now.listen_port is not None and item.listen_port is None)

    def prepare(self, node: LinkNode) -> Failure | None:
        try:
            known = self._known(node)
        except KernelError as error:
            return failure_of(error)
        held = node.held
        if held is None or held.link is None:
            return None
        try:
            has = known.has or self._read(node, known, held)
        except KernelError as error:
            return failure_of(error)._replace(is_retried=True)
        if has.private_key == known.wanted.private_key != wg.NO_KEY and has.public_key in known.wanted.peers:
            return Failure(errno.EINVAL, f"peers: {_name(has.public_key)} is the link's own public key")
        return None

    def _known(self, node: LinkNode) -> Known:
        if node.found_out is None:
            assert isinstance(node.item, Wireguard)
            node.found_out = Known(device_of(node.item), dict(node.scope.saved_state.saved(TOLD).get(node.key, {})))
        known = node.found_out
        assert isinstance(known, Known)
        return known

    def _read(self, node: LinkNode, known: Known, held: HeldLink) -> wg.Device:
        known.family, known.has = read(held.netns.fd, held.index)
        known.told = known.endpoints()
        node.scope.saved_state.save(TOLD, node.key, known.told or None)
        return known.has

    def read_anew(self, node: LinkNode) -> bool:
        if isinstance(node.found_out, Known):
            node.found_out.has = None
        return True

    def let_go(self, node: LinkNode, held: HeldLink) -> None:
        super().let_go(node, held)
        node.scope.saved_state.save(TOLD, node.key, None)
        node.found_out = None

    def differences(self, node: LinkNode, link: Link) -> dict[str, Change]:
        known = node.found_out
        if not isinstance(known, Known) or known.has is None:
            return {}
        change = known.change()
        differ = {
            "private_key": change.private_key is not None,
            "listen_port": change.listen_port is not None,
            "fwmark": change.fwmark is not None,
            "peers": bool(change.peers),
        }
        return {name: IN_PLACE for name, differs in differ.items() if differs}

    def change(self, node: LinkNode, fields: Collection[str], change: LinkChange) -> None:
        """Nothing: no message about the link has them."""

    def change_beside(self, node: LinkNode, fields: Collection[str]) -> Callable[[Operation, str], None] | None:
        known = self._known(node)

        def tell(op: Operation, name: str) -> None:
            netns = node.netns
            assert netns is not None
            op.stage_in(netns, generic=True)
            for message in wg.encode(name, known.change()):
                op.request(GenericRequest(known.family, wg.SET_DEVICE, message))

        return tell


KIND = WireguardKind(Wireguard, "wireguard")

"""The agent's side of keys: its own, those that are allowed, and who has come with them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

import zmq

from nsplane.errors import BadRequest
from nsplane.intake import Asked, Permit
from nsplane.kernel.directories import Directories

from ..door import CannotListen, Ended, Reserve
from ..errors import BadKey
from ..protocol import TCP_FRAME_LIMIT, TCP_REQUEST_LIMIT, Tcp, is_ipv6
from .allow_list import FILE, Allowed, Contents, read_list, stamp_of
from .door import HANDSHAKE_MS, KeyedDoor
from .pair import ServerPair, refuse_shared
from .zap import Zap

log = logging.getLogger("nsplane.agent")

LOOK_SECONDS = 1.0
"""How often the list is looked at. Of what `nsplane keys` does to it the agent hears at once."""

BUS, EVENTS = "bus", "events"
"""The domains of ZAP: whoever cannot read is not let in where the events are."""


class Keyring:
    """Which keys may come in, and what each may do. BadKey where there is no key of the server, or the list is faulty: then nothing
    listens."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], tcp: Tcp, reserve: Reserve) -> None:
        self.tcp = tcp
        self._reserve = reserve
        server = ServerPair(tcp.keys)
        if not server.path.exists():
            raise BadKey(f"nothing listens by TCP without a key of the agent's own: `nsplane keys server` makes {server.path}")
        refuse_shared(tcp.keys)
        public, self._secret = server.read()
        self._path = tcp.keys / FILE
        self._contents = read_list(self._path)
        for fault in self._contents.faults:
            raise BadKey(f"{self._path}, line {fault.line}: {fault.why}")
        self._allowed = by_key(self._contents)
        self._permits: dict[str, Permit] = {}
        self._doors: list[KeyedDoor] = []
        self._put_out: set[str] = set()
        """Keys whose connections are to end: also after a fault of ours."""
        self._look_at = 0.0
        self.info: dict[str, Any] = {
            "bus": tcp.bus,
            "events": tcp.events,
            "server": public,
            "directory": str(tcp.keys),
            "limits": {"request": TCP_REQUEST_LIMIT, "frame": TCP_FRAME_LIMIT},
            "list": self._contents.stamp,
            "keys": len(self._allowed),
            "faults": 0,
            "forbidden": 0,
        }
        """For `info`. `list` changes with the file, when the agent has taken it in and done what follows."""
        self._directories = Directories()
        self._directories.add(str(tcp.keys))
        try:
            self.zap = Zap(context, self.may_enter)
        except BaseException:
            self._directories.close()
            raise
        self.polled = (self.zap.socket, self._directories.fd)

    def open_bus(self, to: zmq.Socket[bytes], ended: Ended = lambda _: None) -> KeyedDoor:
        """Has the socket of the bus listen for who has a key. `ended` is as of a door. CannotListen."""
        return self._open(to, BUS, self.tcp.bus, TCP_FRAME_LIMIT, "router", ended)

    def open_events(self, to: zmq.Socket[bytes], limit: int, ended: Ended) -> KeyedDoor:
        """The same of the events, for who may read. `limit`: bytes of a topic. CannotListen."""
        return self._open(to, EVENTS, self.tcp.events, limit, "publisher", ended)

    def _open(self, to: zmq.Socket[bytes], domain: str, endpoint: str, limit: int, name: str, ended: Ended) -> KeyedDoor:
        to.setsockopt(zmq.MAXMSGSIZE, limit)
        to.setsockopt(zmq.IPV6, is_ipv6(endpoint))
        to.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        to.setsockopt(zmq.HEARTBEAT_IVL, 15_000)  # a peer that is gone without a word is noticed
        to.setsockopt(zmq.HEARTBEAT_TIMEOUT, 45_000)
        to.curve_server = True
        to.curve_secretkey = self._secret.encode()
        to.zap_domain = domain.encode()
        counters: dict[str, int] = {}
        self.info[name] = counters
        try:
            made = KeyedDoor(to, endpoint, self._reserve, counters, ended)
        except (OSError, zmq.ZMQError) as error:
            raise CannotListen(endpoint, error.strerror or str(error)) from None
        self._doors.append(made)
        return made

    def may_enter(self, domain: str, public: str) -> bool:
        one = self._allowed.get(public)
        return one is not None and (domain == BUS or (domain == EVENTS and one.rights.may_read))

    def permit(self, public: str) -> Permit:
        """What says whether who has this key may do something: as the list is now. The same for the same key."""
        permit = self._permits.get(public)
        if permit is None:
            one = self._allowed.get(public)
            permit = self._permits[public] = self._refuse_all if one is None else self._permit_of(one)
        return permit

    def _permit_of(self, one: Allowed) -> Permit:
        def permit(asked: Asked) -> BadRequest | None:
            refusal = one.rights.refusal(asked)
            return None if refusal is None else self._forbidden(f"the key {one.name!r} may not {refusal[0]}", refusal[1])

        return permit

    def _refuse_all(self, _asked: Asked) -> BadRequest:
        return self._forbidden("this key is not allowed any more", "")

    def _forbidden(self, message: str, path: str) -> BadRequest:
        self.info["forbidden"] += 1
        return BadRequest("forbidden", message, path)

    @property
    def pause_ms(self) -> int:
        """For how long nothing has to be looked at."""
        return max(0, int((self._look_at - time.monotonic()) * 1000) + 1)

    def turn(self, ready: Collection[object]) -> None:
        """Answers who wants to come in, by the list as it is now. `ready`: what of `polled` has something."""
        heard = self._directories.fd in ready
        if heard:
            self._directories.drain()
        if heard or self.zap.socket in ready or time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_SECONDS
            self.look()
        if self.zap.socket in ready:
            self.zap.answer()

    def look(self) -> None:
        """Takes in what has changed of the list. A key that is gone, or has other rights, loses its connections at once; one that
        is still allowed comes again."""
        try:
            stamp = stamp_of(self._path.stat())
        except OSError:
            stamp = ""
        if stamp == self._contents.stamp:
            return
        try:
            contents = read_list(self._path)
        except BadKey as error:
            log.error("nobody is allowed by TCP: %s", error.message)
            contents = Contents(stamp=stamp)
        for fault in contents.faults:
            log.error("%s, line %d: %s; it allows nobody", self._path, fault.line, fault.why)
        before, self._allowed = self._allowed, by_key(contents)
        self._permits.clear()
        changed = {public for public, one in before.items() if self._allowed.get(public) != one}
        self._put_out |= changed
        if self._put_out:
            for door in self._doors:
                door.end(self._put_out)
            self._put_out.clear()
        self._contents = contents
        self.info |= {"list": contents.stamp, "keys": len(self._allowed), "faults": len(contents.faults)}
        log.info("%d keys are allowed by TCP; %d of before are not, or have other rights", len(self._allowed), len(changed))

    def close(self) -> None:
        self.zap.close()
        self._directories.close()


def by_key(contents: Contents) -> dict[str, Allowed]:
    return {one.public: one for one in contents.allowed}

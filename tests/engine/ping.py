"""Sends ICMP echo requests in a steady rhythm and counts the answers: `ping.py ADDRESS [COUNT [INTERVAL]]`.

Prints `SENT RECEIVED`. Without a count it says when it has the first answer, and goes on until its standard input is closed.
It wants no more than Python's own library, so that `nsenter` can run it anywhere. RFC 792 has the message.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress

ECHO_REQUEST, ECHO_REPLY = 8, 0
PATIENCE = 2.0
"""Seconds to wait for the last answers."""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(map(int, struct.unpack(f"!{len(data) // 2}H", data)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(identifier: int, number: int) -> bytes:
    head = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, identifier, number)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum(head), identifier, number)


def answered(packet: bytes, identifier: int) -> int | None:
    """The number of the request that an IPv4 packet answers."""
    body = packet[(packet[0] & 15) * 4 :]
    kind, _, _, whose, number = map(int, struct.unpack_from("!BBHHH", body))
    return number if (kind, whose) == (ECHO_REPLY, identifier) else None


def ping(address: str, count: int | None, interval: float) -> tuple[int, int]:
    """How many requests were sent, and how many of them were answered."""
    identifier = os.getpid() & 0xFFFF
    waiting: set[int] = set()
    sent = received = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.setblocking(False)
        sock.connect((address, 0))
        due = time.monotonic()
        end = None
        while end is None or (waiting and time.monotonic() < end):
            if end is None and time.monotonic() >= due:
                due += interval
                number = sent & 0xFFFF
                sent += 1
                waiting.add(number)
                with suppress(OSError):  # not sent is not answered
                    sock.send(echo_request(identifier, number))
                if sent == count:
                    end = time.monotonic() + PATIENCE
            stop = [sys.stdin] if count is None and end is None else []
            wait = max(0.0, (due if end is None else end) - time.monotonic())
            readable, _, _ = select.select([sock, *stop], [], [], wait)
            if sys.stdin in readable:
                end = time.monotonic() + PATIENCE
            if sock in readable:
                try:
                    got = answered(sock.recv(2048), identifier)
                except OSError:  # an ICMP error
                    continue
                if got in waiting:
                    waiting.discard(got)
                    received += 1
                    if received == 1 and count is None:
                        print("answered", flush=True)
    return sent, received


if __name__ == "__main__":
    address, *rest = sys.argv[1:]
    print(*ping(address, int(rest[0]) if rest else None, float(rest[1]) if rest[1:] else 0.01), flush=True)

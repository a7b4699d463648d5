"""Where a command listens for others: one rule for all. On loopback; elsewhere only for who says so, with a warning."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import click

from .output import say

LOOPBACK = "127.0.0.1"


class Address(NamedTuple):
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(_context: click.Context, _option: click.Parameter, value: str | None) -> Address | None:
    """What an option names: `127.0.0.1:8480`, `[::1]:8480`, or `8480` of loopback. Host names are none: they could lead anywhere.
    BadParameter."""
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    host = host if colon else LOOPBACK
    if host.startswith("[") == (":" in host) and port.isascii() and port.isdigit() and int(port) < 1 << 16:
        try:
            return Address(str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))), int(port))
        except ValueError:
            pass
    raise click.BadParameter(f"{value!r} is no ADDRESS:PORT, such as 127.0.0.1:8480 or [::1]:8480.")


def refuse_unless_public(address: Address, public: bool, seen: str) -> None:
    """Says what those who reach it see. UsageError where the address is not of loopback and nobody said `--public`."""
    if address.is_loopback:
        return
    if not public:
        raise click.UsageError(f"{address.host} is not an address of loopback: --public listens there all the same.")
    say(f"nsplane: whoever reaches {address} sees {seen}, without a password and in the clear", err=True)

"""A key as text: 40 characters of Z85 (rfc.zeromq.org/spec/32), which have neither spaces nor quotes nor commas among them."""

import re
import struct

from zmq.utils import z85

LENGTH = 40
_LETTERS = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


def is_key(text: str) -> bool:
    """Is it the text of 32 bytes?"""
    if not _LETTERS.fullmatch(text):
        return False
    try:
        z85.decode(text)
    except (ValueError, struct.error):  # of five letters some stand for more than four bytes hold
        return False
    return True


def key_text(key: bytes) -> str:
    """The text of a key of 32 bytes, as libzmq hands it over."""
    return z85.encode(key).decode("ascii")

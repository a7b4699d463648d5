"""The C library without any binding: ctypes lists the namespaces under /run/netns and identifies each.

    python examples/ctypes_netns.py [PATH OF libnsplane.so]

Needs root, since a namespace is opened to be identified.
"""

import ctypes
import os
import subprocess
import sys


class NetnsId(ctypes.Structure):
    """struct nsp_netns_id: the identity of a namespace, whatever it is called."""

    _fields_ = (("dev", ctypes.c_uint64), ("ino", ctypes.c_uint64))


class Error(ctypes.Structure):
    """struct nsp_error: filled in on failure only."""

    _fields_ = (("code", ctypes.c_int), ("text", ctypes.c_char * 252))


def load(path: str) -> ctypes.CDLL:
    """The library, with the types of the functions used here as nsplane/netlink.h has them."""
    library = ctypes.CDLL(path)
    error = ctypes.POINTER(Error)
    library.nsp_netns_list.restype = ctypes.c_long
    library.nsp_netns_list.argtypes = (ctypes.c_char_p, ctypes.c_size_t, error)
    library.nsp_netns_open_name.argtypes = (ctypes.c_char_p, error)
    library.nsp_netns_identify.argtypes = (ctypes.c_int, ctypes.POINTER(NetnsId), error)
    return library


def checked(result: int, error: Error) -> int:
    """The error contract: a negative result is an errno, and the sentence says which object it was."""
    if result < 0:
        raise OSError(-result, error.text.decode(errors="replace"))
    return result


def names(library: ctypes.CDLL) -> list[bytes]:
    """What nsp_netns_list says: names, each followed by a NUL; more room is given until all fit."""
    error, size = Error(), 4096
    while True:
        buffer = ctypes.create_string_buffer(size)
        need = checked(library.nsp_netns_list(buffer, size, ctypes.byref(error)), error)
        if need <= size:
            return [name for name in buffer.raw[:need].split(b"\0") if name]
        size = need


def identity(library: ctypes.CDLL, name: bytes) -> NetnsId:
    """Which namespace a name is bound to."""
    error, found = Error(), NetnsId()
    fd = checked(library.nsp_netns_open_name(name, ctypes.byref(error)), error)
    try:
        checked(library.nsp_netns_identify(fd, ctypes.byref(found), ctypes.byref(error)), error)
    finally:
        os.close(fd)
    return found


def main() -> None:
    """Prints a line a namespace."""
    ask = (sys.executable, "-m", "nsplane", "--library")
    path = sys.argv[1] if len(sys.argv) > 1 else subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    library = load(path)
    for name in names(library):
        try:
            found = identity(library, name)
        except OSError as error:
            print(f"{os.fsdecode(name):20} {error.strerror}")
        else:
            print(f"{os.fsdecode(name):20} net:[{found.ino}]")


if __name__ == "__main__":
    main()

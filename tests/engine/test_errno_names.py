"""An errno has one name, whoever tells of it: rows are told of by C, interfaces by Python, which knows two names of some."""

from __future__ import annotations

import ctypes
import errno

from nsplane.kernel import errno_name


def test_every_errno_is_called_what_c_calls_it() -> None:
    libc = ctypes.CDLL(None)
    libc.strerrorname_np.restype = ctypes.c_char_p
    assert {code: errno_name(code) for code in errno.errorcode} == {
        code: libc.strerrorname_np(code).decode() for code in errno.errorcode
    }

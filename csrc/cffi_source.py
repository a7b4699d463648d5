"""What cffi compiles `nsplane._core` from: the public headers, and nothing beside them.

The build runs this file through `python -m cffi.gen_src exec-python`, which takes `ffibuilder`.
"""

import re
from pathlib import Path

from cffi import FFI

INCLUDE = Path(__file__).parent / "include"
HEADERS = "".join((INCLUDE / "nsplane" / name).read_text() for name in ("netlink.h", "core.h"))


def cdef(headers: str) -> str:
    """The headers' text between the `cdef:` marks as cffi's parser takes it.

    That is without comments and attributes, and with `...` for a macro's value, which then comes from the compiler.
    """
    text = "\n".join(re.findall(r"/\* cdef: begin \*/(.*?)/\* cdef: end \*/", headers, re.DOTALL))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"\bNSP_API\s+", "", text)
    return re.sub(r"^(#define\s+\w+)\s.*$", r"\1 ...", text, flags=re.MULTILINE)


ffibuilder = FFI()
ffibuilder.cdef(cdef(HEADERS))
ffibuilder.set_source("nsplane._core", '#include "nsplane.h"')

"""Prints the stub of `nsplane._core`, made from the public headers: `make stubs` keeps engine/nsplane/_core.pyi so."""

import re

from cffi_source import HEADERS, cdef

HEAD = """\
# Made from csrc/include/nsplane/ by csrc/core_stub.py: run `make stubs` after a change there.
from typing import Any

# cffi's own stubs know no fields: pointers and structs are left open.
CData = Any

class _FFI:
    NULL: CData
    errno: int
    class error(Exception): ...

    def addressof(self, cdata: CData, /, *field_or_index: str | int) -> CData: ...
    def buffer(self, cdata: CData, size: int = ...) -> Any: ...
    def cast(self, cdecl: str, value: CData | int) -> CData: ...
    def from_buffer(self, cdecl: str, buffer: Any, require_writable: bool = ...) -> CData: ...
    def from_handle(self, handle: CData, /) -> Any: ...
    def gc(self, cdata: CData, destructor: Any, size: int = ...) -> CData: ...
    def memmove(self, dest: Any, src: Any, n: int) -> None: ...
    def new(self, cdecl: str, init: Any = ...) -> CData: ...
    def new_allocator(self, *, should_clear_after_alloc: bool = ...) -> Any: ...
    def new_handle(self, object: Any, /) -> CData: ...
    def offsetof(self, cdecl: str, *field_or_index: str | int) -> int: ...
    def sizeof(self, cdecl: str | CData, /) -> int: ...
    def string(self, cdata: CData, maxlen: int = ...) -> bytes: ...

class _Lib:
"""

TAIL = """
ffi: _FFI
lib: _Lib
"""


def _python_type(c_type: str, pointers: set[str]) -> str:
    c_type = " ".join(c_type.split())
    if re.fullmatch(r"const char ?\*", c_type):
        return "bytes | CData"
    if "*" in c_type or "[" in c_type or c_type in pointers:
        return "CData"
    if c_type in ("double", "float"):
        return "float"
    return "None" if c_type == "void" else "int"


def _argument(text: str, pointers: set[str]) -> str:
    declarator, bracket, _ = text.strip().partition("[")
    c_type, name = re.findall(r"(.*?)(\w+)$", declarator, re.DOTALL)[0]
    return f"{name}: {_python_type(c_type + bracket, pointers)}"


def stub(headers: str) -> str:
    declarations = cdef(headers)
    pointers = set(re.findall(r"\(\*(\w+)\)\(", declarations))
    lines = [f"    {name}: int\n" for name in re.findall(r"^#define (\w+)", declarations, re.MULTILINE)]
    functions = re.findall(r"^([\w \t*]*?[ *])(nsp_\w+)\(([^()]*)\);", declarations, re.MULTILINE)
    for result, name, arguments in functions:
        listed = [] if arguments.strip() == "void" else [_argument(a, pointers) for a in arguments.split(",")]
        returned = _python_type(result, pointers).replace("bytes | ", "")
        lines.append(f"    def {name}({', '.join(['self', *listed, '/'])}) -> {returned}: ...\n")
    return HEAD + "".join(lines) + TAIL


if __name__ == "__main__":
    print(stub(HEADERS), end="")

"""One C library for Python, ctypes and programs in C, found by pkg-config and by `python -m nsplane`."""

import ctypes
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nsplane._core import ffi, lib

ROOT = Path(__file__).parent.parent
INCLUDE = ROOT / "csrc/include"
HEADERS = ("nsplane.h", "nsplane/core.h", "nsplane/netlink.h")
NETLINK, CORE = (INCLUDE / "nsplane/netlink.h").read_text(), (INCLUDE / "nsplane/core.h").read_text()
MAP = (ROOT / "csrc/nsplane.map").read_text()


def functions(header: str) -> set[str]:
    return set(re.findall(r"^NSP_API [^;(]*?\b(nsp_\w+)\(", header, re.MULTILINE))


FUNCTIONS = functions(NETLINK) | functions(CORE)
MACROS = set(re.findall(r"^#define (NSP_(?!API\b)\w+) ", NETLINK + CORE, re.MULTILINE))

PROGRAM = r"""
#include <HEADER>
#include <stdio.h>

int main(void)
{
	struct nsp_error err;

	if (nsp_netns_open_name("a/b", &err) >= 0)
		return 1;
	printf("%s %d %d.%d\n", nsp_version(), err.code, NSP_VERSION_MAJOR, NSP_VERSION_MINOR);
	return 0;
}
"""
VERSION = f"{lib.NSP_VERSION_MAJOR}.{lib.NSP_VERSION_MINOR}"
PRINTS = f"{VERSION} 22 {VERSION}\n"

needs_pkg_config = pytest.mark.skipif(not shutil.which("pkg-config"), reason="pkg-config is not installed")


def output(*command: str | Path, **env: str) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=os.environ | env).stdout


def where(*options: str) -> str:
    return output(sys.executable, "-m", "nsplane", *options).strip()


def compiled(folder: Path, *flags: str, header: str = "nsplane.h") -> Path:
    source, program = folder / "program.c", folder / "program"
    source.write_text(PROGRAM.replace("HEADER", header))
    output("gcc", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags)
    return program


def exported(library: Path | str) -> dict[str, set[str]]:
    """The functions of a library by their symbol versions."""
    found: dict[str, set[str]] = {}
    for line in output("nm", "-D", "--defined-only", "--format=posix", "--with-symbol-versions", library).splitlines():
        name, kind, *_ = line.split()
        function, _, version = name.partition("@@")
        if kind == "T":
            found.setdefault(version, set()).add(function)
    return found


def test_python_sees_every_function_and_constant_of_the_headers() -> None:
    assert set(dir(lib)) == FUNCTIONS | MACROS


def test_the_library_exports_what_the_committed_list_says_and_the_rest_as_private() -> None:
    nodes = re.findall(r"^(NSPLANE_[\d.]+) {(.*?)^}", MAP, re.MULTILINE | re.DOTALL)
    listed = {version: set(re.findall(r"\b(nsp_\w+);", names)) for version, names in nodes}
    assert set().union(*listed.values()) == functions(NETLINK), "a function of nsplane/netlink.h is to be in csrc/nsplane.map"
    assert exported(where("--library")) == listed | {"NSPLANE_PRIVATE": functions(CORE)}


@pytest.mark.parametrize("compiler", ["gcc -std=c11", "clang -x c++ -std=c++17"])
@pytest.mark.parametrize("header", HEADERS)
def test_each_header_stands_for_itself(header: str, compiler: str, tmp_path: Path) -> None:
    source = tmp_path / "alone.c"
    source.write_text(f"#include <{header}>\n")
    output(*compiler.split(), "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{INCLUDE}", source)


def test_the_stable_header_knows_nothing_of_the_core() -> None:
    assert re.findall(r"#include [<\"](.*)[>\"]", NETLINK) == ["stddef.h", "stdint.h"]


def test_the_stub_is_made_from_the_headers() -> None:
    stub = output(sys.executable, ROOT / "csrc/core_stub.py")
    assert (ROOT / "engine/nsplane/_core.pyi").read_text() == stub, "run `make stubs`"
    assert set(re.findall(r"^    (?:def )?((?:nsp|NSP)_\w+)", stub, re.MULTILINE)) == set(dir(lib))


def test_the_version_is_the_same_everywhere() -> None:
    assert importlib.metadata.version("nsplane").rsplit(".", 1)[0] == VERSION
    assert ffi.string(lib.nsp_version()).decode() == VERSION


def test_the_headers_of_the_package_are_those_it_was_built_from() -> None:
    installed = Path(where("--includes").removeprefix("-I"))
    assert {str(path.relative_to(installed)) for path in installed.rglob("*.h")} == set(HEADERS)
    assert [name for name in HEADERS if (installed / name).read_bytes() != (INCLUDE / name).read_bytes()] == []


def test_ctypes_loads_the_library_that_python_uses() -> None:
    nsp_version = ctypes.CDLL(where("--library")).nsp_version
    nsp_version.restype = ctypes.c_void_p
    assert nsp_version() == int(ffi.cast("uintptr_t", lib.nsp_version()))


@pytest.mark.parametrize("header", HEADERS)
def test_a_c_program_is_built_against_the_python_package(header: str, tmp_path: Path) -> None:
    assert output(compiled(tmp_path, *where("--includes", "--libs").split(), header=header)) == PRINTS


@needs_pkg_config
def test_a_c_program_finds_the_python_package_by_pkg_config(tmp_path: Path) -> None:
    flags = output("pkg-config", "--cflags", "--libs", "nsplane", PKG_CONFIG_PATH=where("--pkgconfigdir"))
    assert output(compiled(tmp_path, *flags.split())) == PRINTS


def test_python_m_nsplane_wants_a_question() -> None:
    result = subprocess.run([sys.executable, "-m", "nsplane"], text=True, capture_output=True)
    assert result.returncode == 2
    assert "--includes" in result.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `meson install` has put the library without Python."""
    folder = tmp_path_factory.mktemp("without-python")
    prefix, build = folder / "prefix", folder / "build"
    meson = Path(sys.executable).parent / "meson"
    output(meson, "setup", build, ROOT, f"--prefix={prefix}", "--libdir=lib", "-Dpython=false")
    output(meson, "install", "-C", build, "--quiet")
    return prefix


def test_the_library_is_installed_without_python(prefix: Path) -> None:
    library = "lib/libnsplane.so"
    version = importlib.metadata.version("nsplane")
    assert {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()} == {
        *(f"include/{header}" for header in HEADERS),
        "lib/pkgconfig/nsplane.pc",
        *(library, f"{library}.0", f"{library}.{version}"),
    }


@needs_pkg_config
def test_a_c_program_finds_the_library_installed_without_python(prefix: Path, tmp_path: Path) -> None:
    flags = output("pkg-config", "--cflags", "--libs", "nsplane", PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig"))
    assert output(compiled(tmp_path, *flags.split()), LD_LIBRARY_PATH=str(prefix / "lib")) == PRINTS

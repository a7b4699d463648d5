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
HEADER = (ROOT / "csrc/include/nsplane.h").read_text()
FUNCTIONS = set(re.findall(r"^NSP_API [^;(]*?\b(nsp_\w+)\(", HEADER, re.MULTILINE))
MACROS = set(re.findall(r"^#define (NSP_(?!API\b)\w+)", HEADER, re.MULTILINE))

PROGRAM = r"""
#include <nsplane.h>
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


def compiled(folder: Path, *flags: str) -> Path:
    source, program = folder / "program.c", folder / "program"
    source.write_text(PROGRAM)
    output("gcc", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags)
    return program


def test_python_sees_every_function_and_constant_of_the_header() -> None:
    assert set(dir(lib)) == FUNCTIONS | MACROS


def test_the_library_exports_the_functions_of_the_header_and_no_others() -> None:
    exported = output("nm", "-D", "--defined-only", "--format=posix", where("--library"))
    assert {line.split()[0] for line in exported.splitlines()} == FUNCTIONS


def test_the_stub_is_made_from_the_header() -> None:
    stub = output(sys.executable, ROOT / "csrc/core_stub.py")
    assert (ROOT / "engine/nsplane/_core.pyi").read_text() == stub, "run `make stubs`"
    assert set(re.findall(r"^    (?:def )?((?:nsp|NSP)_\w+)", stub, re.MULTILINE)) == set(dir(lib))


def test_the_version_is_the_same_everywhere() -> None:
    assert importlib.metadata.version("nsplane").rsplit(".", 1)[0] == VERSION
    assert ffi.string(lib.nsp_version()).decode() == VERSION


def test_the_header_of_the_package_is_the_header_it_was_built_from() -> None:
    assert (Path(where("--includes").removeprefix("-I")) / "nsplane.h").read_text() == HEADER


def test_ctypes_loads_the_library_that_python_uses() -> None:
    nsp_version = ctypes.CDLL(where("--library")).nsp_version
    nsp_version.restype = ctypes.c_void_p
    assert nsp_version() == int(ffi.cast("uintptr_t", lib.nsp_version()))


def test_a_c_program_is_built_against_the_python_package(tmp_path: Path) -> None:
    assert output(compiled(tmp_path, *where("--includes", "--libs").split())) == PRINTS


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
        "include/nsplane.h",
        "lib/pkgconfig/nsplane.pc",
        *(library, f"{library}.0", f"{library}.{version}"),
    }


@needs_pkg_config
def test_a_c_program_finds_the_library_installed_without_python(prefix: Path, tmp_path: Path) -> None:
    flags = output("pkg-config", "--cflags", "--libs", "nsplane", PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig"))
    assert output(compiled(tmp_path, *flags.split()), LD_LIBRARY_PATH=str(prefix / "lib")) == PRINTS

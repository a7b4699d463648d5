"""`python -m nsplane`: where a program in C, or one that loads the library itself, finds what it needs.

As in:

    cc agent.c $(python -m nsplane --includes --libs)
    PKG_CONFIG_PATH=$(python -m nsplane --pkgconfigdir) pkg-config --libs nsplane
"""

import argparse
from pathlib import Path


def main() -> None:
    package = Path(__file__).parent
    include, lib = package / "include", package / "lib"
    library = lib / "libnsplane.so.0"
    if not library.exists():
        raise SystemExit(f"{library} is not there: an editable install leaves the library in its build folder")

    parser = argparse.ArgumentParser(prog="python -m nsplane", description="Where the C library of nsplane is.")
    for option, text, what in (
        ("--includes", f"-I{include}", "flags to compile with"),
        ("--libs", f"-L{lib} -l:{library.name} -Wl,-rpath,{lib}", "flags to link with"),
        ("--library", str(library), "the shared library itself"),
        ("--pkgconfigdir", str(lib / "pkgconfig"), "the folder to add to PKG_CONFIG_PATH"),
    ):
        parser.add_argument(option, dest="answers", action="append_const", const=text, help=what)
    answers = parser.parse_args().answers
    if not answers:
        parser.error("ask for at least one")
    print(" ".join(answers))


if __name__ == "__main__":
    main()

"""Programs in C: compiled for the occasion."""

import shutil
import subprocess
from pathlib import Path


def compiled(source: Path, directory: Path) -> Path:
    """Compiles a program into `directory`. Raises FileNotFoundError where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler (cc)")
    program = directory / source.stem
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program

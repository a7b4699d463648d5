"""A virtual environment that is made in one place and works in another: virtualenv.py FOLDER HOME PIP WHEELS REQUIREMENT

FOLDER   where it is made
HOME     where it is to be
PIP      what installs into it, for it has none of its own
WHEELS   where all that is installed is: nothing is downloaded
"""

import re
import subprocess
import sys
import venv
from pathlib import Path

SCRIPT = """\
#!{home}/bin/python3
import sys

from {module} import {function}

sys.exit({function}())
"""


def main(folder: Path, home: Path, pip: str, wheels: str, requirement: str) -> None:
    venv.create(folder, symlinks=True)
    install = ("install", "--quiet", "--no-compile", "--no-index", "--find-links", wheels, requirement)
    subprocess.run([pip, "--python", folder / "bin/python3", "--disable-pip-version-check", *install], check=True)
    settings = folder / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace(str(folder.absolute()), str(home)))
    (info,) = folder.glob("lib/python3*/site-packages/nsplane-*.dist-info")
    scripts = dict(re.findall(r"^(\S+) = (\S+)$", (info / "entry_points.txt").read_text(), re.MULTILINE))
    for path in (folder / "bin").iterdir():
        if path.name in scripts:
            module, _, function = scripts[path.name].partition(":")
            path.write_text(SCRIPT.format(home=home, module=module, function=function))
        elif not path.name.startswith(("nsplane", "python")):
            path.unlink()  # of what nsplane needs, and what is for shells
    for path in folder.glob("lib*/python3*/site-packages/*.dist-info/direct_url.json"):
        path.unlink()  # where the wheels were


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])

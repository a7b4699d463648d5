"""Makes docs/pictures: `nsplane graph` of the examples, by an agent of its own.

`make pictures` runs it in an emulated machine, whose kernel has the kinds of links of all examples."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nsplane_bus import Client
from nsplane_bus.protocol import endpoints

ROOT = Path(__file__).parent.parent
PICTURES = {
    "lab": (),
    "leaf-spine": ("host1", "host2"),
}
"""Examples, and the microservices that run."""
NSPLANE = (sys.executable, "-m", "nsplane_bus")


@contextlib.contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of nsplane's, as long as it is needed."""
    process = subprocess.Popen([*NSPLANE, *command])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def drawn(example: str, running: Sequence[str]) -> str:
    """The picture of an example while these run and all of it is there that can be."""
    done = subprocess.run([*NSPLANE, "apply", ROOT / f"examples/{example}.yaml"], stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{example} cannot be applied")
    with contextlib.ExitStack() as services, Client(endpoints().bus) as client:
        for label in running:
            services.enter_context(started("run", "--label", label, "--", "sleep", "infinity"))
        for entry in client.get("interface/") if running else ():
            client.wait(entry["key"], timeout=300)
        picture = subprocess.run([*NSPLANE, "graph"], check=True, stdout=subprocess.PIPE, text=True).stdout
    with Client(endpoints().bus) as client:
        client.replace([])
    return picture


def main() -> None:
    folder = ROOT / "docs/pictures"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= {"NSPLANE_RUNTIME_DIR": directory, "NSPLANE_STATE_DIR": "none"}
        with started("agent", "--no-docker"):
            while not Path(directory, "bus.sock").exists():
                time.sleep(0.05)
            for example, running in PICTURES.items():
                (folder / f"{example}.svg").write_text(drawn(example, running))


if __name__ == "__main__":
    main()

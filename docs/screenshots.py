"""The pictures of web.md: `make screenshots`, as root. Chromium looks at `nsplane web`, of an agent with two racks.

python docs/screenshots.py [DIRECTORY]      writes picture.png, items.png and item.png there [default: docs/pictures]
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from nsplane_bus import Client

ROOT = Path(__file__).parent.parent
NSPLANE = (sys.executable, "-m", "nsplane_bus")
HOSTS = ("web1", "web2", "db1")
COLOURS = 128
"""Enough for a page of text, and a third of the bytes."""


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*NSPLANE, *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def items() -> Iterator[dict[str, object]]:
    """A router and two racks, each a bridge with hosts; one host does not run."""
    edge = {"type": "name", "name": "edge"}
    yield {"kind": "loopback", "name": "edge-lo", "namespace": edge, "addresses": ["10.0.0.1/32"]}
    yield {"kind": "bridge", "name": "edge-wan", "host_name": "wan0", "namespace": edge, "addresses": ["198.51.100.2/24"]}
    for rack, hosts in (("rack1", ("web1", "web2")), ("rack2", ("db1", "db2"))):
        place, number = {"type": "name", "name": rack}, rack[-1]
        yield {"kind": "veth", "name": f"edge-{rack}", "host_name": rack, "namespace": edge, "peer": f"{rack}-up", "mtu": 9000}
        yield {"kind": "veth", "name": f"{rack}-up", "host_name": "uplink", "namespace": place, "peer": f"edge-{rack}", "mtu": 9000}
        yield {"kind": "bridge", "name": f"{rack}-br", "host_name": "br0", "namespace": place, "addresses": [f"10.{number}.0.1/24"]}
        for last, host in enumerate(hosts, 11):
            inside = {"type": "microservice", "microservice": host}
            port = {"name": f"{rack}-{host}", "host_name": host, "peer": host, "master": f"{rack}-br"}
            yield {"kind": "veth", "namespace": place, **port}
            yield {
                "kind": "veth",
                "name": host,
                "host_name": "eth0",
                "namespace": inside,
                "peer": port["name"],
                "addresses": [f"10.{number}.0.{last}/24"],
            }
            yield {"kind": "route", "interface": host, "dst": "0.0.0.0/0", "gateway": f"10.{number}.0.1"}
            yield {"kind": "arp", "interface": host, "ip": f"10.{number}.0.1", "mac": f"02:00:00:00:0{number}:01"}
        yield {"kind": "route", "interface": f"edge-{rack}", "dst": f"10.{number}.0.0/16"}


def shown(client: Client) -> None:
    """All of it but db2, where somebody else has taken a name, and changed what is not his."""
    client.put([*items()])
    subprocess.run(["ip", "-n", "edge", "link", "add", "mgmt0", "type", "bridge"], check=True)
    client.put([{"kind": "bridge", "name": "edge-mgmt", "host_name": "mgmt0", "namespace": {"type": "name", "name": "edge"}}])
    client.wait("route/db1/0.0.0.0/0")
    for mtu in ("1400", "1500"):
        subprocess.run([*NSPLANE, "exec", "db1", "--", "ip", "link", "set", "dev", "eth0", "down"], check=True)
        subprocess.run(["ip", "-n", "edge", "link", "set", "dev", "rack1", "mtu", mtu], check=True)
        time.sleep(1)


def take(page: Page, address: str, directory: Path, host: subprocess.Popen[str]) -> None:
    def shoot(name: str, place: str, awaited: str, height: int = 720) -> None:
        page.set_viewport_size({"width": 1280, "height": height})
        page.goto(f"{address}{place}")
        page.locator(awaited).first.wait_for()
        page.evaluate("document.fonts.ready")
        page.wait_for_timeout(1500)
        file = directory / f"{name}.png"
        page.screenshot(path=file)
        with Image.open(file) as picture:
            picture.convert("RGB").quantize(COLOURS).save(file, optimize=True)

    shoot("picture", "#/picture", '[data-key="interface/rack1-br"]', 680)
    shoot("items", "#/items", ".sizer .line")
    host.terminate()
    shoot("item", "#/item/interface%2Fdb1", '.chain [data-state="awaited"]')


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as owned:
        runtime = tempfile.mkdtemp(prefix="nsplane-pictures-")
        owned.callback(shutil.rmtree, runtime)
        os.environ |= {"NSPLANE_RUNTIME_DIR": runtime, "NSPLANE_STATE_DIR": f"{runtime}/state"}
        owned.enter_context(running("agent", "--no-docker", "--id", "lab-host", "--log-level", "error"))
        while not (Path(runtime) / "bus.sock").exists():
            time.sleep(0.05)
        client = owned.enter_context(Client(source="lab"))
        web = owned.enter_context(running("web", "--listen", "127.0.0.1:0"))
        assert web.stdout is not None
        address = web.stdout.readline().strip()
        owned.callback(client.clear)
        *_, host = [owned.enter_context(running("run", "--label", name, "--", "sleep", "infinity")) for name in HOSTS]
        playwright = owned.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        owned.callback(browser.close)
        page = browser.new_page()
        page.goto(address)
        shown(client)
        take(page, address, directory, host)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures")

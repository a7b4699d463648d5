"""The kernel, its kinds of links, its settings, and who else minds the network."""

from __future__ import annotations

import configparser
import platform
import re
from pathlib import Path

from nsplane.kinds import all_kinds
from nsplane.kinds.created import CreatedKind

from .finding import Agent, Findings

OLDEST = (6, 1)
SYSCTL = Path("/proc/sys")
NETWORKD = Path("/run/systemd/netif")
FOLDERS = ("etc", "run", "usr/local/lib", "usr/lib")
MANAGES = ("ManageForeignRoutes", "ManageForeignRoutingPolicyRules", "ManageForeignNextHops")
NETWORKD_MEND = (
    r"mkdir -p /etc/systemd/networkd.conf.d && printf '[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n"
    r"ManageForeignNextHops=no\n' >/etc/systemd/networkd.conf.d/nsplane.conf && systemctl restart systemd-networkd"
)


def look_at_kernel(agent: Agent, found: Findings) -> None:
    release = platform.release()
    version = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if version < OLDEST:
        text = f"Linux {release} is older than {'.'.join(map(str, OLDEST))}, the oldest that is supported"
        found.add("kernel", "problem", text, "apt-get install linux-image-amd64 && reboot")
    else:
        found.add("kernel", "ok", f"Linux {release}")
    if not Path("/proc/sys/net/ipv6").exists():
        found.add("kernel", "note", "this kernel has no IPv6: items with addresses of it fail")


def look_at_kinds(agent: Agent, found: Findings, modules: Path | None = None) -> None:
    """Which kinds of links the kernel has or could load: by the names that modules give themselves. Nothing is loaded."""
    folder = modules or Path("/lib/modules") / platform.release()
    wanted = sorted({kind.kind for kind in all_kinds().values() if isinstance(kind, CreatedKind)})
    known = _loaded() | _named_in(folder / "modules.alias") | _named_in(folder / "modules.builtin.modinfo")
    lacking = [kind for kind in wanted if kind not in known]
    if not (folder / "modules.alias").exists():
        text = f"there is no {folder}, so it cannot be told which kinds of links could be loaded: loaded are"
        found.add("kinds", "note", f"{text} {', '.join(kind for kind in wanted if kind in known) or 'none'}")
    elif lacking:
        text = f"this kernel has no links of kind {', '.join(lacking)}, and no modules for them: items of these kinds fail"
        found.add("kinds", "note", text)
    else:
        found.add("kinds", "ok", f"all {len(wanted)} kinds of links")


def _named_in(file: Path) -> set[str]:
    """The kinds of links of which a list of modules has names."""
    try:
        return {name.decode() for name in re.findall(rb"alias[ =]rtnl-link-([A-Za-z0-9_]+)", file.read_bytes())}
    except OSError:
        return set()


def _loaded() -> set[str]:
    """Modules that are there have a folder; most are called as the kind is."""
    called = {
        "ip_gre": ("gre", "gretap", "erspan"),
        "ip6_gre": ("ip6gre", "ip6gretap", "ip6erspan"),
        "ip6_tunnel": ("ip6tnl",),
        "xfrm_interface": ("xfrm",),
    }
    called |= {"8021q": ("vlan",), "bonding": ("bond",), "ip_vti": ("vti",)}
    folder = Path("/sys/module")
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    return {kind for module in there for kind in called.get(module, (module,))}


def look_at_settings(agent: Agent, found: Findings) -> None:
    neighbours = sum((agent.told("items", "arp") or {}).values())
    for family in ("ipv4", "ipv6"):
        most = _setting(f"net/{family}/neigh/default/gc_thresh3")
        if most is not None and neighbours > most * 3 // 4:
            text = f"{neighbours} ARP entries are wanted, and net.{family}.neigh.default.gc_thresh3 is {most}"
            found.add(
                "settings", "warning", text, f"sysctl -w net.{family}.neigh.default.gc_thresh3={1 << (neighbours * 2).bit_length()}"
            )
    if _setting("net/ipv4/conf/all/promote_secondaries") == 0:
        text = (
            "net.ipv4.conf.all.promote_secondaries is 0: with the primary address of a subnet the kernel drops the others of it,"
            " which are put again"
        )
        found.add("settings", "note", text, "sysctl -w net.ipv4.conf.all.promote_secondaries=1")
    if _setting("net/ipv6/conf/all/disable_ipv6") == 1:
        text = "net.ipv6.conf.all.disable_ipv6 is 1: it is turned on for each link that is to have an IPv6 address"
        found.add("settings", "note", text, "sysctl -w net.ipv6.conf.all.disable_ipv6=0")
    if _setting("net/core/fb_tunnels_only_for_init_net") == 0 and _loaded() & {"gre", "ip6gre", "ip6tnl", "ipip", "sit", "vti"}:
        text = "net.core.fb_tunnels_only_for_init_net is 0: each namespace is born with links for the tunnels that are loaded"
        found.add("settings", "note", text, "sysctl -w net.core.fb_tunnels_only_for_init_net=2")
    most, have = _setting("user/max_net_namespaces"), agent.told("namespaces") or 0
    if most is not None and have > most * 3 // 4:
        text = f"{have} namespaces are in use, and user.max_net_namespaces is {most}"
        found.add("settings", "warning", text, f"sysctl -w user.max_net_namespaces={max(have, most) * 4}")
    found.add(
        "settings",
        "ok",
        "looked at: gc_thresh3, promote_secondaries, disable_ipv6, fb_tunnels_only_for_init_net, max_net_namespaces",
    )


def _setting(name: str) -> int | None:
    try:
        return int((SYSCTL / name).read_text())
    except (OSError, ValueError):
        return None


def look_at_networkd(agent: Agent, found: Findings, root: Path = Path("/")) -> None:
    """systemd-networkd deletes what it does not know, when it starts and whenever a link comes."""
    if not (root / NETWORKD.relative_to("/")).exists():
        found.add("networkd", "ok", "systemd-networkd does not run")
        return
    given = _networkd_settings(root)
    manages = [name for name in MANAGES if given.get(name.lower(), "yes").lower() not in ("no", "false", "0", "off", "n", "f")]
    if manages:
        text = f"systemd-networkd runs with {', '.join(manages)}: it deletes routes, rules and next hops that are not its own"
        found.add("networkd", "warning", text, NETWORKD_MEND)
    else:
        found.add("networkd", "ok", "systemd-networkd leaves what is not its own")


def _networkd_settings(root: Path) -> dict[str, str]:
    """Later files win; a drop-in hides others of its name in the folders behind."""
    drop_ins: dict[str, Path] = {}
    mains = []
    for folder in reversed(FOLDERS):
        mains.append(root / folder / "systemd/networkd.conf")
        drop_ins |= {path.name: path for path in (root / folder / "systemd/networkd.conf.d").glob("*.conf")}
    given: dict[str, str] = {}
    for file in (*mains, *(path for _, path in sorted(drop_ins.items()))):
        parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
        try:
            parser.read_string(file.read_text())
        except (OSError, configparser.Error):
            continue
        if parser.has_section("Network"):
            given |= {name: value or "" for name, value in parser.items("Network")}
    return given

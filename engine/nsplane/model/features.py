"""The features of links, by the names that `ethtool -k` has for them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from nsplane.errors import ItemError

Setting = bool | str
"""True and `on`, or False and `off`."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "rx-checksumming": ("rx-checksum",),
    "tx-checksumming": (
        "tx-checksum-ipv4",
        "tx-checksum-ip-generic",
        "tx-checksum-ipv6",
        "tx-checksum-fcoe-crc",
        "tx-checksum-sctp",
    ),
    "scatter-gather": ("tx-scatter-gather", "tx-scatter-gather-fraglist"),
    "tcp-segmentation-offload": (
        "tx-tcp-segmentation",
        "tx-tcp-ecn-segmentation",
        "tx-tcp-mangleid-segmentation",
        "tx-tcp6-segmentation",
    ),
    "generic-segmentation-offload": ("tx-generic-segmentation",),
    "generic-receive-offload": ("rx-gro",),
    "large-receive-offload": ("rx-lro",),
    "rx-vlan-offload": ("rx-vlan-hw-parse",),
    "tx-vlan-offload": ("tx-vlan-hw-insert",),
    "ntuple-filters": ("rx-ntuple-filter",),
    "receive-hashing": ("rx-hashing",),
}
"""What `ethtool -k` shows as one, and the kernel's names of it."""
SHORT: Mapping[str, str] = {
    "rx": "rx-checksumming",
    "tx": "tx-checksumming",
    "sg": "scatter-gather",
    "tso": "tcp-segmentation-offload",
    "gso": "generic-segmentation-offload",
    "gro": "generic-receive-offload",
    "lro": "large-receive-offload",
    "rxvlan": "rx-vlan-offload",
    "txvlan": "tx-vlan-offload",
    "ntuple": "ntuple-filters",
    "rxhash": "receive-hashing",
}
"""What `ethtool -K` calls them too."""
_NAMES = """
    tx-scatter-gather tx-checksum-ipv4 tx-checksum-ip-generic tx-checksum-ipv6 highdma tx-scatter-gather-fraglist
    tx-vlan-hw-insert rx-vlan-hw-parse rx-vlan-filter tx-vlan-stag-hw-insert rx-vlan-stag-hw-parse rx-vlan-stag-filter
    vlan-challenged tx-generic-segmentation tx-lockless netns-local rx-gro rx-gro-hw rx-lro tx-tcp-segmentation
    tx-gso-robust tx-tcp-ecn-segmentation tx-tcp-mangleid-segmentation tx-tcp-accecn-segmentation tx-tcp6-segmentation
    tx-fcoe-segmentation tx-gre-segmentation tx-gre-csum-segmentation tx-ipxip4-segmentation tx-ipxip6-segmentation
    tx-udp_tnl-segmentation tx-udp_tnl-csum-segmentation tx-gso-partial tx-tunnel-remcsum-segmentation tx-sctp-segmentation
    tx-esp-segmentation tx-gso-list tx-udp-segmentation tx-checksum-fcoe-crc tx-checksum-sctp fcoe-mtu rx-ntuple-filter
    rx-hashing rx-checksum tx-nocache-copy loopback rx-fcs rx-all l2-fwd-offload hw-tc-offload esp-hw-offload
    esp-tx-csum-hw-offload rx-udp_tunnel-port-offload tls-hw-record tls-hw-tx-offload tls-hw-rx-offload rx-gro-list
    macsec-hw-offload rx-udp-gro-forwarding hsr-tag-ins-offload hsr-tag-rm-offload hsr-fwd-offload hsr-dup-offload
"""
KERNEL_NAMES = frozenset(_NAMES.split())
"""Those of net/ethtool/common.c, netdev_features_strings, of Linux 6.1 to 6.18."""
NAMES = tuple(sorted({*GROUPS, *SHORT, *KERNEL_NAMES}))


def check_features(features: Mapping[str, Setting]) -> None:
    """ItemError where there is no such feature, or one is named twice in two spellings."""
    seen: dict[str, str] = {}
    for name, setting in features.items():
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1, 0)
            raise ItemError(f"features.{name[:48]}", f"there is no such feature; {near[0]} has the nearest name")
        if not isinstance(setting, bool) and setting not in ("on", "off"):
            raise ItemError(f"features.{name}", f"{setting[:48]!r} is neither on nor off")
        other = seen.setdefault(SHORT.get(name, name), name)
        if other != name:
            raise ItemError(f"features.{name}", f"is {other}, which is there too")


def kernel_names(name: str) -> tuple[str, ...]:
    """The kernel's names of what an item calls so."""
    return GROUPS.get(SHORT.get(name, name), (name,))


def is_group(name: str) -> bool:
    return SHORT.get(name, name) in GROUPS


def is_on(setting: Setting) -> bool:
    return setting is True or setting == "on"

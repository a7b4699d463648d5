"""Permanent neighbours, and static entries of forwarding tables."""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_ntop

from nsplane.capture.found import Found, Item, Netns
from nsplane.capture.links import remotes_of
from nsplane.kernel import PROTOCOL
from nsplane.kernel.codecs import BE16, U8, U16, U32

NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_PORT, NDA_VNI, NDA_MASTER, NDA_SRC_VNI, NDA_PROTOCOL = 1, 2, 5, 6, 7, 9, 11, 12
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_PROXY, NTF_EXT_LEARNED, NTF_STICKY, NTF_ROUTER = 0x08, 0x10, 0x40, 0x80
MAC_BYTES = 6
_NDMSG = struct.Struct("=BxxxiHBB")


def neighbour_items(netns: Netns, found: Found) -> list[Item]:
    items = []
    agents = 0
    for told in netns.neighbours:
        family, index, state, flags, _ = _NDMSG.unpack(told.head)
        if family not in (AF_INET, AF_INET6) or index not in netns.links or NDA_DST not in told.attributes:
            continue
        ip = inet_ntop(family, told.attributes[NDA_DST])
        what = f"neighbour {ip} on {netns.links[index].name}"
        mac = told.attributes.get(NDA_LLADDR, b"")
        if flags & NTF_PROXY:
            found.note(netns.place, what, "it is answered for (proxy), which is no item")
        elif not state & NUD_PERMANENT:
            continue
        elif U8.unpack(told.attributes.get(NDA_PROTOCOL, b"\0")) == PROTOCOL:
            agents += 1
        elif len(mac) != MAC_BYTES:
            found.note(netns.place, what, f"it has a link-layer address of {len(mac)} bytes")
        else:
            items.append({"kind": "arp", **netns.on(index), "ip": ip, "mac": mac.hex(":"), "override": True})
    if agents:
        found.note(netns.place, f"{agents} neighbours", "an agent has made them: `nsplane get --items` has their items")
    return items


def forwarding_items(netns: Netns, found: Found) -> list[Item]:
    """Of bridges' tables and vxlans' own, without what the kernel enters by itself: its own MACs, and what it listens to."""
    own = {link.mac for link in netns.links.values()}
    ends_of = {index: remotes_of(link) for index, link in netns.links.items() if link.kind == "vxlan"}
    items = []
    for told in netns.forwarding:
        _, index, state, flags, _ = _NDMSG.unpack(told.head)
        link = netns.links.get(index)
        mac = told.attributes.get(NDA_LLADDR, b"")
        if link is None or len(mac) != MAC_BYTES or not state & (NUD_NOARP | NUD_PERMANENT):
            continue
        what = f"forwarding entry {mac.hex(':')} on {link.name}"
        item: Item = {"kind": "fdb", **netns.on(index), "mac": mac.hex(":")}
        if flags & NTF_EXT_LEARNED:
            found.note(netns.place, what, "a program that learns has made it (extern_learn)")
            continue
        if NDA_DST in told.attributes and link.kind == "vxlan":
            dst = told.attributes[NDA_DST]
            item["dst"] = inet_ntop(AF_INET if len(dst) == 4 else AF_INET6, dst)
            if not any(mac) and item["dst"] in ends_of[index]:
                continue  # the vxlan's own `remote` or `group`
            for name, attribute, number in (("port", NDA_PORT, BE16), ("vni", NDA_VNI, U32), ("src_vni", NDA_SRC_VNI, U32)):
                if attribute in told.attributes:
                    item[name] = number.unpack(told.attributes[attribute])
        elif NDA_MASTER in told.attributes and link.slave_kind == "bridge" and mac not in own:
            if NDA_VLAN in told.attributes:
                item["vlan"] = U16.unpack(told.attributes[NDA_VLAN])
            if state & NUD_PERMANENT:
                item["local"] = True
        else:
            continue  # what the kernel enters by itself
        item |= {name: True for name, flag in (("sticky", NTF_STICKY), ("router", NTF_ROUTER)) if flags & flag}
        items.append(item)
    return items

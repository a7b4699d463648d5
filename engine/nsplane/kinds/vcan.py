"""vcan: CAN buses within the host."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.model.items import Interface
from nsplane.model.links import Adopt, CanMtu, Enabled, Override


class Vcan(Interface, frozen=True, kw_only=True, tag="vcan"):
    """A CAN bus within the host."""

    least_mtu, has_fixed_mtu, has_own_mac = 16, True, False

    mtu: CanMtu = 72
    enabled: Enabled = True
    override: Override = False
    adopt: Adopt = False


KIND = CreatedKind(Vcan, "vcan")

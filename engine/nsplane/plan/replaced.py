"""What overrides have replaced: recorded before it is, so that it comes back after a kill too; csrc/core/replaced.c."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from nsplane.errors import NotRecorded
from nsplane.kernel import Core, errno_name
from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.saved_state import SavedState

log = logging.getLogger(__name__)
KIND = "replaced"


class Replaced:
    """Somebody else's routes and neighbours in whose place rows of ours are: {where, message} by key."""

    def __init__(
        self,
        core: Core,
        saved: SavedState,
        namespaces: Namespaces,
        note: Callable[[str, Callable[[], dict[str, object]]], None],
    ) -> None:
        self._core = core
        self._state = saved
        self._namespaces = namespaces
        self._note = note
        self._earlier: dict[str, dict[str, Any]] = {}
        self._orphans: dict[tuple[object, ...], dict[str, bytes]] = {}
        core.record_replaced(True)

    def take(self) -> None:
        """Records what is about to be replaced, all of it at once, and has it be; forgets what has been put back. Where it cannot
        be recorded, it is replaced all the same."""
        told = self._core.replaced()
        for one in told:
            netns = next((netns for netns in self._namespaces if netns.number == one.netns), None)
            if one.message is None:
                self.forget(one.key, one.errno, one.text)
            elif netns is not None:
                self._state.save(KIND, one.key, {"where": netns.location(), "message": one.message})
        with contextlib.suppress(NotRecorded):
            self._state.commit()
        for one in told:
            if one.message is not None:
                self._core.replace(one.key)

    def forget(self, key: str, error: int, text: str) -> None:
        """It has been put back or, with an error, could not be."""
        self._state.save(KIND, key, None)
        if error in (0, errno.EEXIST):  # or somebody has it there again
            return
        text = f"what it had replaced could not be put back: {text or os.strerror(error)}"
        log.warning("%s: %s", key, text, extra={"key": key})
        row = self._core.row(key)
        entry: dict[str, object] = {
            "key": key,
            "state": "removed",
            "source": None,
            "missing": [],
            "since": time.time(),
            "tries": 0,
            "item": None,
        }
        if row is not None:
            entry = msgspec.msgpack.decode(row)
        self._note(f"drift/{key}", lambda: entry | {"errno": errno_name(error), "message": text, "found": "lost"})

    def resume(self, boot: str) -> None:
        """What an earlier life has left: in namespaces of another boot, nothing."""
        for key, known in dict(self._state.saved(KIND)).items():
            if known["where"][0] != boot:
                self._state.save(KIND, key, None)
            elif self._core.row(key) is not None:
                self._earlier.setdefault(key.split("/")[1], {})[key] = known
            else:
                self._orphans.setdefault(tuple(known["where"]), {})[key] = known["message"]

    def slot_ready(self, slot: str, netns: Netns) -> None:
        """A slot is about to be ready in a namespace: its rows are told what they replaced there in an earlier life."""
        for key, known in self._earlier.pop(slot, {}).items():
            if known["where"] == netns.location():
                self._core.remember(key, known["message"])
            else:  # it was in another namespace, which has gone
                self._state.save(KIND, key, None)

    def orphans(self, netns: Netns) -> dict[str, bytes]:
        """What was replaced in a namespace by rows that nobody wants any more: to be put back."""
        return self._orphans.pop(tuple(netns.location()), {})

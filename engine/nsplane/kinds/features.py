"""What an item says of its link's features. What it does not name is left alone; what it names no more becomes what it was."""

from __future__ import annotations

import errno
from collections.abc import Mapping

import msgspec

from nsplane.kernel import KernelError, Link
from nsplane.kernel.ethtool import Features, features_request, read_features
from nsplane.model.features import Setting, is_group, is_on, kernel_names
from nsplane.plan.operation import Operation
from nsplane.world.netns import Netns
from nsplane.world.saved_state import SavedState, save_now

KIND = "features"


class FeatureChanges(msgspec.Struct, frozen=True):
    """`settings` are to be made, by the kernel's names, for the sake of these `fields`. `refusal`: an errno, and what cannot be."""

    settings: dict[str, bool] = msgspec.field(default_factory=dict)
    fields: list[str] = msgspec.field(default_factory=list)
    refusal: tuple[int, str] | None = None


NO_FEATURES = FeatureChanges()


class LinkFeatures:
    """Those of one item's link. What somebody wanted of them before is known after a restart."""

    def __init__(self, state: SavedState, key: str, wanted: Mapping[str, Setting]) -> None:
        self._state = state
        self._key = key
        self._wanted = {name: is_on(setting) for name, setting in wanted.items()}

    def changes(self, netns: Netns, link: Link) -> FeatureChanges:
        """What is to be changed, or cannot be, so that the link has the features that are wanted."""
        try:
            has = read_features(netns.fd, link.index)
        except KernelError as error:
            return FeatureChanges(refusal=(error.errno or errno.EIO, f"features: {error.strerror}"))
        given = self._given(has)
        before = self._before(netns, link.index)
        for name in given:
            before.setdefault(name, name in has.wanted)
        settings = {name: value for name, value in before.items() if name in has.changeable} | given
        settings = {name: value for name, value in settings.items() if (name in has.wanted) != value}
        self._remember(netns, link.index, {name: value for name, value in before.items() if name in given or name in settings})
        fields = [f"features.{name}" for name in self._wanted if not settings.keys().isdisjoint(kernel_names(name))]
        return FeatureChanges(settings, fields, None if settings else self._refusal(has))

    def give_back(self, netns: Netns, link: Link) -> dict[str, bool]:
        """The settings that make the features what they were."""
        before = self._before(netns, link.index)
        if not before:
            return {}
        has = read_features(netns.fd, link.index)
        return {name: value for name, value in before.items() if name in has.changeable and (name in has.wanted) != value}

    def forget(self) -> None:
        """The link has gone, or was given back."""
        self._state.save(KIND, self._key, None)

    def _given(self, has: Features) -> dict[str, bool]:
        """What is wanted of what can be changed: one by its own name before one of a group."""
        given: dict[str, bool] = {}
        for name in sorted(self._wanted, key=is_group, reverse=True):
            given |= dict.fromkeys(has.changeable.intersection(kernel_names(name)), self._wanted[name])
        return given

    def _refusal(self, has: Features) -> tuple[int, str] | None:
        """Of a device that is told what to have, and has it not."""
        for name, value in self._wanted.items():
            names = set(kernel_names(name)) - (self._wanted.keys() if is_group(name) else set())
            on = bool(has.active.intersection(names))
            if names and on != value:
                return errno.EOPNOTSUPP, _why(name, value, names, has)
        return None

    def _before(self, netns: Netns, index: int) -> dict[str, bool]:
        known = self._state.saved(KIND).get(self._key)
        return dict(known["was"]) if known is not None and netns.is_location(known["where"], index) else {}

    def _remember(self, netns: Netns, index: int, before: dict[str, bool]) -> None:
        save_now(self._state, KIND, self._key, {"where": netns.location(index), "was": before} if before else None)


def link_features(state: SavedState, key: str, wanted: Mapping[str, Setting]) -> LinkFeatures | None:
    """None where none is wanted, or was otherwise before: then they cost nothing."""
    return LinkFeatures(state, key, wanted) if wanted or key in state.saved(KIND) else None


def give_back_features(op: Operation, features: LinkFeatures | None, netns: Netns, link: Link) -> None:
    """Has the operation make the features of a link what they were."""
    settings = {} if features is None else features.give_back(netns, link)
    if settings:
        op.stage_in(netns, generic=True)
        op.request(features_request(link.index, settings))


def _why(name: str, value: bool, names: set[str], has: Features) -> str:
    state = "off" if value else "on"
    if has.known.isdisjoint(names):
        return f"features.{name}: this kernel has no such feature"
    if has.changeable.isdisjoint(names):
        return f"features.{name}: is fixed {state}: this device cannot change it"
    return f"features.{name}: the kernel took it, but the device keeps it {state}: another feature may be in its way"

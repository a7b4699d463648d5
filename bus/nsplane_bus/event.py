"""What a subscriber hears of, each kind a Struct: `match` tells them apart.

    match event:
        case ItemChanged(key=key, state="failed", message=why): ...
        case MicroserviceStarted(label=label): ...
        case EventsLost(count=count): ...

What the agent publishes has its `topic`, its `seq` and, as it came, its `body`. A topic, or a word in it, that this version does
not know is an Event by itself: a newer agent breaks nobody.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from .result import Entry


class Event(msgspec.Struct, kw_only=True):
    """What has happened; by itself, something that this version does not know."""

    topic: str = ""
    """Such as `item/route/web0/10.0.0.0/8` or `microservice/web`; empty of what the subscription has found out by itself."""
    seq: int = 0
    """Numbers the events that are published."""
    _data: bytes = b"\x80"

    @property
    def body(self) -> dict[str, Any]:
        """The map of the event as it came: docs/protocol.md, "Events"."""
        body: dict[str, Any] = _decode(self._data)
        return body


class _OfItem(Event, kw_only=True):
    key: str
    state: str
    source: str | None
    missing: list[str]
    """What a pending item waits for."""
    errno: str | None
    """The name of the errno, such as ENETUNREACH."""
    message: str
    since: float
    """Seconds since the epoch."""
    tries: int
    """How often it was refused."""
    item: Entry | None
    """As it is wanted, defaults left out."""


class ItemChanged(_OfItem, kw_only=True):
    """An item has another state, or another reason for it."""

    previous: str
    """The state before; `none` of what had no verdict yet."""


class Drift(_OfItem, kw_only=True):
    """Somebody else has changed in the kernel what an item wants. It is being repaired."""

    found: str
    """`missing`, `altered`, `stale` (no item wants it: it was removed), or `lost` (what was replaced could not be put back)."""
    fields: list[str] = []
    """What of an `altered` link is another."""


class _OfMicroservice(Event, kw_only=True, tag_field="event"):
    key: str
    label: str
    pid: int
    container: str | None
    name: str | None
    source: str
    started_at: float | None
    current: bool
    """Does it stand behind the label now?"""
    time: float


class MicroserviceStarted(_OfMicroservice, tag="started"):
    """A microservice runs."""


class MicroserviceStopped(_OfMicroservice, tag="stopped"):
    """It does no longer."""


class MicroserviceRenamed(_OfMicroservice, tag="renamed"):
    """Its container has another name."""


class MicroserviceTookOver(_OfMicroservice, tag="took-over"):
    """An older one stands behind the label again."""


class _OfNamespace(Event, kw_only=True, tag_field="event"):
    key: str
    """`namespace/NAME`, `file/PATH` or `pid/PID`."""
    time: float


class NamespaceCreated(_OfNamespace, tag="created"):
    """nsplane has made a namespace."""


class NamespaceDeleted(_OfNamespace, tag="deleted"):
    """nsplane has deleted one that it had made."""


class NamespaceLost(_OfNamespace, tag="lost"):
    """Somebody else has taken one away."""


class TakenBack(Event, kw_only=True, tag_field="event", tag="taken-back"):
    """A request was not confirmed in its time."""

    key: str
    """`revision/N`."""
    left: list[str]
    """Keys that have been changed since, and stay."""
    time: float

    @property
    def revision(self) -> int:
        return int(self.key.removeprefix("revision/"))


# What a subscription with `health` finds out by itself


class EventsLost(Event, kw_only=True):
    """Events of what was subscribed to did not come."""

    count: int


class AgentGone(Event):
    """There is no connection: what happens now is not heard of."""


class AgentBack(Event):
    """There is one again."""


class AgentRestarted(Event, kw_only=True):
    """It is another life of the agent's: what was asked of the one before may be asked again."""

    instance: str


_MICROSERVICE = MicroserviceStarted | MicroserviceStopped | MicroserviceRenamed | MicroserviceTookOver
_NAMESPACE = NamespaceCreated | NamespaceDeleted | NamespaceLost

AnyEvent = ItemChanged | Drift | _MICROSERVICE | _NAMESPACE | TakenBack | EventsLost | AgentGone | AgentBack | AgentRestarted
"""Every kind that this version knows."""

_decode = msgspec.msgpack.Decoder().decode
_decode_any: Callable[[bytes], Event] = msgspec.msgpack.Decoder(Event).decode


def _decoder(kind: Any) -> Callable[[bytes], Event]:
    decode: Callable[[bytes], Event] = msgspec.msgpack.Decoder(kind).decode
    return decode


_DECODERS = {
    "item": _decoder(ItemChanged),
    "drift": _decoder(Drift),
    "microservice": _decoder(_MICROSERVICE),
    "namespace": _decoder(_NAMESPACE),
    "file": _decoder(_NAMESPACE),
    "pid": _decoder(_NAMESPACE),
    "revision": _decoder(TakenBack),
}


def event_of(topic: str, data: bytes) -> Event:
    """What was published."""
    decode = _DECODERS.get(topic.partition("/")[0], _decode_any)
    try:
        event = decode(data)
    except msgspec.ValidationError:
        event = _decode_any(data)
    event.topic, event._data = topic, data
    return event

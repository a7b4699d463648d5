"""The C core, as Python sees it: the only place that touches the cffi bindings.

Namespaces and operations on links are thin functions and builders; the rows of the bulk kinds stay in C and are reached through
`Core` by whole frames. csrc/include/nsplane has the contracts; every failure is a `KernelError` that carries the errno.
"""

from nsplane._core import ffi, lib
from nsplane.kernel.core import (
    NOTICE_EMPTY,
    NOTICE_REPLACED,
    NOTICE_RETRY,
    NOTICE_TOUCHED,
    RECHECK_ALL,
    RECHECK_FDB,
    RECHECK_GATEWAYS,
    RECHECK_NEIGHS,
    RECHECK_NEXTHOPS,
    RECHECK_REFUSED,
    RECHECK_ROUTES4,
    RECHECK_ROUTES6,
    RECHECK_SOURCES,
    STATES,
    Answer,
    Answers,
    Core,
    RequestResult,
)
from nsplane.kernel.directories import Directories
from nsplane.kernel.failure import KernelError, errno_name
from nsplane.kernel.figures import BUCKET_BOUNDS, DRIFT, PERIOD_SECONDS, Figures, Histogram
from nsplane.kernel.frames import BULK_KINDS, Fault, FieldInfo, Frame, FrameError, bulk_fields
from nsplane.kernel.generic import GenericAnswer, GenericRequest, GenericSocket
from nsplane.kernel.links import (
    ADDR_GEN_MODE_EUI64,
    ADDR_GEN_MODE_NONE,
    FOREVER,
    IFA_F_HOMEADDRESS,
    IFA_F_MANAGETEMPADDR,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    IFA_F_TENTATIVE,
    IPV6_MIN_MTU,
    LIMITS,
    METRIC_OF_IPV6,
    PROTOCOL,
    SAW_DOWN,
    SAW_LOW_MTU,
    SAW_MAC,
    SAW_NO_CARRIER,
    Address,
    AddressIdentity,
    Event,
    EventsLost,
    Link,
    Monitor,
    is_far,
    since_boot,
)
from nsplane.kernel.namespaces import (
    NetnsId,
    RouteKey,
    create_anonymous_netns,
    delete_netns,
    enter_netns,
    identify_netns,
    is_known_netns,
    list_netns,
    netns_cookie,
    open_netns,
    open_netns_name,
    open_netns_pid,
    survey_routes,
    unshare_netns,
    write_sysctl,
)
from nsplane.kernel.operations import NO_LIMITS, LinkChange, Op, OpResult, Tun, limits_of
from nsplane.kernel.timer import Timer
from nsplane.kernel.turn import EXPRESS_ITEMS, GATHERED_MAX, Message, Run, Turn


def trim() -> None:
    """Gives memory back to the system that was freed and is kept."""
    lib.nsp_trim()


def library_version() -> str:
    """The version of the C library that is loaded."""
    return str(ffi.string(lib.nsp_version()).decode())


__all__ = [
    "ADDR_GEN_MODE_EUI64",
    "ADDR_GEN_MODE_NONE",
    "BUCKET_BOUNDS",
    "BULK_KINDS",
    "DRIFT",
    "EXPRESS_ITEMS",
    "FOREVER",
    "GATHERED_MAX",
    "IFA_F_HOMEADDRESS",
    "IFA_F_MANAGETEMPADDR",
    "IFA_F_NODAD",
    "IFA_F_NOPREFIXROUTE",
    "IFA_F_TENTATIVE",
    "IPV6_MIN_MTU",
    "LIMITS",
    "METRIC_OF_IPV6",
    "NOTICE_EMPTY",
    "NOTICE_REPLACED",
    "NOTICE_RETRY",
    "NOTICE_TOUCHED",
    "NO_LIMITS",
    "PERIOD_SECONDS",
    "PROTOCOL",
    "RECHECK_ALL",
    "RECHECK_FDB",
    "RECHECK_GATEWAYS",
    "RECHECK_NEIGHS",
    "RECHECK_NEXTHOPS",
    "RECHECK_REFUSED",
    "RECHECK_ROUTES4",
    "RECHECK_ROUTES6",
    "RECHECK_SOURCES",
    "SAW_DOWN",
    "SAW_LOW_MTU",
    "SAW_MAC",
    "SAW_NO_CARRIER",
    "STATES",
    "Address",
    "AddressIdentity",
    "Answer",
    "Answers",
    "Core",
    "Directories",
    "Event",
    "EventsLost",
    "Fault",
    "FieldInfo",
    "Figures",
    "Frame",
    "FrameError",
    "GenericAnswer",
    "GenericRequest",
    "GenericSocket",
    "Histogram",
    "KernelError",
    "Link",
    "LinkChange",
    "Message",
    "Monitor",
    "NetnsId",
    "Op",
    "OpResult",
    "RequestResult",
    "RouteKey",
    "Run",
    "Timer",
    "Tun",
    "Turn",
    "bulk_fields",
    "create_anonymous_netns",
    "delete_netns",
    "enter_netns",
    "errno_name",
    "identify_netns",
    "is_far",
    "is_known_netns",
    "library_version",
    "limits_of",
    "list_netns",
    "netns_cookie",
    "open_netns",
    "open_netns_name",
    "open_netns_pid",
    "since_boot",
    "survey_routes",
    "unshare_netns",
    "write_sysctl",
]

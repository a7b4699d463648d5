"""nsplane capture."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator

import click

from nsplane.capture import Found, Place, capture
from nsplane.kernel import KernelError, identify_netns, list_netns, open_netns, open_netns_name
from nsplane.model.items import ByFile, ByMicroservice, ByName, ByPid, Namespace

from ..printable import printable
from ..privileges import require
from ..process import open_microservice, open_process
from ..rootless import join
from .completion import asked, captured
from .output import print_json
from .settings import Settings, pass_settings, where
from .written import written


@click.command("capture")
@click.argument("namespaces", metavar="[NAMESPACE...]", nargs=-1, shell_complete=asked(captured))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of `items` and `notes`.")
@where()
@pass_settings
def capture_command(settings: Settings, namespaces: tuple[str, ...], as_json: bool) -> None:
    """Print what the kernel has in these namespaces, by whomever it was made, as a file that `apply` takes. There it is taken
    over as it is: no link is made anew, and none loses a packet. Without a NAMESPACE: in this one and in all that have a name.

    A NAMESPACE is a name below /run/netns, `.` for this one, or pid:PID, file:PATH, microservice:LABEL. What items cannot say is
    named in comments.
    """
    join(settings.endpoints.bus)
    names = namespaces or (".", *list_netns())
    if names != (".",):
        require("capture", "CAP_SYS_ADMIN")
    with contextlib.ExitStack() as opened:
        places: dict[object, Place] = {}
        for name in names:
            place = opened_place(settings, name)
            if place.fd is not None:
                opened.callback(os.close, place.fd)
            places.setdefault(identity_of(place), place)  # the same namespace may have two names
        found = capture(list(places.values()))
    if as_json:
        print_json({"items": found.items, "notes": [str(note) for note in found.notes]})
        return
    for line in document(found):
        click.echo(line)


def opened_place(settings: Settings, name: str) -> Place:
    sort, colon, value = name.partition(":")
    reference: Namespace
    try:
        match sort:
            case "." if not colon:
                return Place("", None, None)
            case "pid" if value.isdecimal():
                return Place(name, ByPid(int(value)), open_process(int(value)))
            case "file" if value:
                return Place(value.rpartition("/")[2] or value, ByFile(value), open_netns(value))
            case "microservice" if value:
                with settings.client() as client:
                    entry = client.entry(name.replace(":", "/", 1))
                if entry is None or entry["state"] == "awaited":
                    raise click.UsageError(f"nothing runs as the microservice {value!r}.")
                return Place(value, ByMicroservice(value), open_microservice(entry))
            case "name":
                name = value
        reference = ByName(name)
        return Place(name, reference, open_netns_name(name))
    except KernelError as error:
        raise click.UsageError(f"{name}: {error.strerror}.") from None


def identity_of(place: Place) -> object:
    if place.fd is not None:
        return identify_netns(place.fd)
    found = os.stat("/proc/self/ns/net")
    return (found.st_dev, found.st_ino)


def document(found: Found) -> Iterator[str]:
    """The lines of a file, for which what is left out is named by its comments."""
    yield f"# Captured on {printable(platform.node())}, {time.strftime('%Y-%m-%d %H:%M:%S')}."
    if found.notes:
        yield "# Not in it, or other than it was:"
        yield from (f"# - {printable(str(note))}" for note in found.notes)
    for name, items in found.by_place.items():
        if items:
            yield ""
            yield f"# {printable(name)}" if name else "# this namespace"
            yield from written(items)
    if not found.items:
        yield "[]"

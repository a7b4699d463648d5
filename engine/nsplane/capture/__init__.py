"""What the kernel has, by whomever it was made, as items that take it over as it is.

    found = capture([Place("red", ByName("red"), fd)])
    found.items   # to be put
    found.notes   # what they leave out, and why

It reads the kernel as anybody with the right to enter the namespaces could, and asks no agent.
"""

from nsplane.capture.found import Found, Note, Place
from nsplane.capture.namespaces import capture

__all__ = ["Found", "Note", "Place", "capture"]

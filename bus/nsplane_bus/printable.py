"""Text that comes from a peer, as it may be shown."""


def printable(text: str) -> str:
    """What comes from a peer could move the cursor, hide what stands behind it or turn its direction: of what is no letter, mark or
    space only the escape is shown."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

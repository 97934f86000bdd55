"""Names in addresses: whatever a folder or a hotkey is called, it is one harmless part of a path."""

import re

__all__ = ["name_of", "part"]

_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def part(name: str) -> str:
    """A name as one part of a path: as it stands where that is harmless, else "~" and its bytes.

    Browsers resolve "..", also as %2e%2e, and some proxies decode %2F; hexadecimal means nothing to
    any of them.
    """
    if _HARMLESS.fullmatch(name):
        return name
    return "~" + name.encode("utf-8", "surrogatepass").hex()


def name_of(address: str) -> str:
    """The name that `part` wrote; what is no such part stands for itself."""
    if address.startswith("~"):
        try:
            return bytes.fromhex(address[1:]).decode("utf-8", "surrogatepass")
        except ValueError:
            return address
    return address

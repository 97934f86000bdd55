"""The scripts and styles that pages and server share, out of `static`, as a page holds them."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from markupsafe import Markup

__all__ = ["PageScript", "page_script", "static_bytes"]

UPLOT = "uplot/uPlot.iife.min.js"
_LICENCE = "uplot/LICENSE"


class PageScript(NamedTuple):
    """All that a page runs.

    text: goes into one script element as it is. digest: lets the page's policy run just that.
    """

    text: Markup
    digest: str


@cache
def page_script(*names: str) -> PageScript:
    """Scripts one after the other, uPlot with its licence."""
    parts = [static_bytes(name).decode() for name in names]
    if UPLOT in names:
        notice = static_bytes(_LICENCE).decode().strip()
        parts.insert(0, f"/* uPlot\n\n{notice}\n*/")
    text = "\n".join(parts)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return PageScript(Markup(text), digest)  # noqa: S704 - our own files, no input in it


def static_bytes(name: str) -> bytes:
    """A file by its path within `static`."""
    return files("ptn_backtest.report").joinpath("static", *name.split("/")).read_bytes()

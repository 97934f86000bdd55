"""Where a candle store is: a local folder, or a URL that fsspec reads (`s3://...`, `zip://...`)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

from ptn_backtest.errors import CandleError

if TYPE_CHECKING:
    from upath import UPath

StorePath: TypeAlias = "Path | UPath"
"""A folder or file of a store; both kinds are used alike, but only a `Path` is written to."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_LOCAL = ("file", "local")
_AT_ONCE = 16  # over a network a file is mostly waited for


def is_url(place: object) -> bool:
    """Whether a text names a place by URL, and not by a folder's path."""
    return isinstance(place, str) and _URL.match(place) is not None


def checked_place(place: Path | str) -> Path | str:
    """A folder as a `Path`; a URL that is no local folder's as it is.

    Raises:
        CandleError: the URL holds credentials, which would end up in run folders.
    """
    if not isinstance(place, str) or not is_url(place):
        return Path(place).expanduser()
    for part in place.split("::"):
        parts = urlsplit(part)
        if parts.password is not None or parts.query:
            raise CandleError(
                f"the URL of a candle store must not hold credentials ({parts.scheme}://...): give "
                "them to fsspec, in its configuration file or the environment (docs/parallel.md)"
            )
    parts = urlsplit(place)
    if parts.scheme.lower() in _LOCAL and "::" not in place:
        return Path(unquote(parts.netloc + parts.path))
    return place


def store_path(place: Path | str) -> StorePath:
    """A store's folder, ready to read.

    Raises:
        CandleError: a package that reads such URLs is missing, or the URL holds credentials.
    """
    checked = checked_place(place)
    if isinstance(checked, Path):
        return checked
    try:
        from upath import UPath  # noqa: PLC0415 - an extra
    except ImportError:
        raise CandleError(
            f"{checked}: a store that is no local folder needs fsspec: "
            "pip install 'ptn-backtest[remote]'"
        ) from None
    try:
        path = UPath(checked)
        path.fs  # noqa: B018 - made here, to see whether it can be
    except (ImportError, ValueError, OSError) as fault:
        raise CandleError(f"{checked} cannot be read: {fault}") from None
    return path


def local_folder(path: StorePath) -> Path:
    """The folder, to be written to.

    Raises:
        CandleError: it is a URL.
    """
    if isinstance(path, Path):
        return path
    raise CandleError(
        f"{path} can be read, but not written: write to a local folder, and copy it there"
    )


@contextmanager
def reaching(path: StorePath) -> Iterator[None]:
    """What goes wrong on the way to a store that is far away, as a `CandleError`.

    Each of fsspec's file systems has faults of its own: that no credentials were found, that nobody
    answers. That a file is not there is left as it is, and so is whatever happens nearby.
    """
    try:
        yield
    except (FileNotFoundError, CandleError):
        raise
    except Exception as fault:
        if isinstance(path, Path):
            raise
        reason = f"{type(fault).__name__}: {fault}".partition("\n")[0]
        raise CandleError(
            f"{path} cannot be reached ({reason}): see whether its service answers, and whether fsspec "
            "finds credentials for it (docs/parallel.md)"
        ) from fault


def reads_at_once(path: StorePath) -> int:
    """How many files of a store may be read at once.

    More than one only over a network, by a file system that says that it is made for it: S3, Google
    Cloud, Azure, HTTP. A local file is not waited for; and an FTP connection does one thing at a time.
    """
    return 1 if isinstance(path, Path) or not path.fs.async_impl else _AT_ONCE

"""From what a user writes as a location to the source that is meant."""

import os
import re
from pathlib import Path

from ptn_backtest.errors import ConfigError, SourceError, SourceUnavailable
from ptn_backtest.sources.checkpoint_file import CheckpointPositionSource
from ptn_backtest.sources.disk import DiskPositionSource, is_miners_folder
from ptn_backtest.sources.passwords import hide_passwords
from ptn_backtest.sources.records import PositionSource

ACCEPTED_LOCATIONS = """\
  sqlite:///positions.db, postgresql://user:password@host/database, mysql://...  a database
  positions.db              a SQLite file
  validation/               a validator's folder, with miners/<hotkey>/positions/... in it
  checkpoint.json[.gz]      a validator's checkpoint, or a plain list of positions
  taoshi                    the private package taoshi.ts.ptn
  test                      the bundled synthetic test positions
  database                  the database whose URL is in PTN_BACKTEST_DATABASE_URL"""
"""What `open_source` takes, one kind a line."""

WORDS = ("database", "taoshi", "test")
"""Locations that are no place, but the name of one."""

DATABASE_VARIABLE = "PTN_BACKTEST_DATABASE_URL"

_URL = re.compile(r"[A-Za-z][\w+.-]*://")
_SQLITE_MAGIC = b"SQLite format 3\x00"
_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"


def open_source(location: str, *, mapping: Path | None = None) -> PositionSource:
    """The source at a location; a file's kind is told by its content, not by its name.

    Args:
        location: see `ACCEPTED_LOCATIONS`. A file called "test" or "taoshi" is "./test".
            "database" keeps a password out of the command line, which all users can list.
        mapping: a mapping file, for a database whose tables are not ours.

    Raises:
        SourceUnavailable: nothing is there.
        SourceError: something is there, but no source of positions.
        ConfigError: a mapping with a location that is not a database; "database" without its
            environment variable.
    """
    location = resolve_word(location)
    url = _database_url(location)
    if url is not None:
        from ptn_backtest.sources.database import (  # noqa: PLC0415 - slow to import
            DatabasePositionOrderSource,
        )
        from ptn_backtest.sources.database.mapping import load_mapping  # noqa: PLC0415

        return DatabasePositionOrderSource(url, None if mapping is None else load_mapping(mapping))
    if mapping is not None:
        raise ConfigError(
            f"a mapping file is for a database, which {hide_passwords(location)} is not: leave it out"
        )
    if location == "taoshi":
        from ptn_backtest.sources.taoshi import TaoshiPositionOrderSource  # noqa: PLC0415

        return TaoshiPositionOrderSource()
    if location == "test":
        from ptn_backtest.sources.bundled import BundledPositionSource  # noqa: PLC0415

        return BundledPositionSource()
    return _at_path(Path(location).expanduser())


def resolve_word(location: str) -> str:
    """The location itself, or, for the word `database`, what its environment variable holds.

    Raises:
        ConfigError: the variable is not set.
    """
    if location != "database":
        return location
    url = os.environ.get(DATABASE_VARIABLE)
    if not url:
        raise ConfigError(
            f"`database` is the one whose URL {DATABASE_VARIABLE} holds, which is not set: set it as "
            "docs/connect.md says (a file of this name is ./database)"
        )
    return url


def _database_url(location: str) -> str | None:
    if _URL.match(location):
        return location
    path = Path(location).expanduser()
    if location in ("taoshi", "test") or _first_bytes(path) != _SQLITE_MAGIC:
        return None
    from sqlalchemy import URL  # noqa: PLC0415 - slow to import

    # a file's name may hold what would be an option in a URL
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def _at_path(path: Path) -> PositionSource:
    shown = hide_passwords(str(path))
    if not path.exists():
        raise SourceUnavailable(
            f"there is no file or folder {shown}; accepted are:\n{ACCEPTED_LOCATIONS}"
        )
    if path.is_dir():
        if (path / "miners").is_dir() or is_miners_folder(path):
            return DiskPositionSource(path)
    elif _may_be_json(_first_bytes(path)):
        return CheckpointPositionSource(path)
    raise SourceError(f"{shown} is not a source of positions; accepted are:\n{ACCEPTED_LOCATIONS}")


def _may_be_json(start: bytes) -> bool:
    text = start.removeprefix(_UTF8_MARK).lstrip()
    return start.startswith(_GZIP_MAGIC) or text[:1] in (b"{", b"[")


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error}") from error

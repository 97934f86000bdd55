"""One Parquet file of candles: its columns, reading a range of it, replacing it in one step."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Windows, touches
from ptn_backtest.prices.place import StorePath, reaching

EVER: Windows = np.array([[-NEVER_MS, NEVER_MS]])
"""One window without end."""

VALUES = ("open", "high", "low", "close", "volume", "bid", "ask")
REPLAY_COLUMNS = ("timestamp_ms", "close")
"""What a replay reads, and what every candle has; the other columns may be null."""

SCHEMA = pa.schema(
    {
        name: pa.int64() if name == "timestamp_ms" else pa.float64()
        for name in ("timestamp_ms", *VALUES)
    }
)
"""Columns of every file: start of the candle in ms, prices in the quote currency, volume in base."""

_ROW_GROUP = 10_800  # a week of minutes, or three hours of seconds: what a range read can skip
_COMPRESSION: dict[str, Any] = {
    # the columns of a replay stay plain, so that reading them is hardly more than copying
    name: "none" if name in REPLAY_COLUMNS else "zstd"
    for name in SCHEMA.names
}


@dataclass(frozen=True, slots=True)
class Extent:
    """First and last candle start in ms, and how many candles there are."""

    first_ms: int
    last_ms: int
    n_candles: int


@contextmanager
def opened_parquet(path: StorePath, *, footer_only: bool = False) -> Iterator[pq.ParquetFile]:
    """The file, ready to read.

    Args:
        path: where it is.
        footer_only: of a file that is far away, fetch nothing but its footer.

    Raises:
        CandleError: it is far away, and cannot be reached.
    """
    with (
        _bytes_of(path, footer_only) as opened,
        # what is nearby is not read ahead
        pq.ParquetFile(opened, pre_buffer=False, page_checksum_verification=True) as file,
    ):
        yield file


def _bytes_of(path: StorePath, footer_only: bool) -> Any:  # noqa: ANN401 - kinds of open files
    if isinstance(path, Path):
        # quicker than by its path, which is looked for in file systems; and than mapped, where each
        # page of memory that is met first interrupts
        return pa.OSFile(str(path), "r")
    with reaching(path):
        if footer_only:
            return path.open("rb")
        # one question and one answer: a file that is opened is asked for its size, its end and the rest
        return pa.BufferReader(path.fs.cat_file(path.path))


@contextmanager
def _opened(
    path: StorePath, columns: Sequence[str], *, footer_only: bool = False
) -> Iterator[pq.ParquetFile]:
    """The file; whatever Parquet has to complain about becomes a `CandleError`."""
    try:
        with opened_parquet(path, footer_only=footer_only) as file:
            found = file.schema_arrow  # made anew each time
            for name in columns:
                index = found.get_field_index(name)
                if index < 0 or found.field(index).type != SCHEMA.field(name).type:
                    raise CandleError(
                        f"{path} has no column {name!r} of type {SCHEMA.field(name).type}: delete "
                        "the file and import those candles again"
                    )
            yield file
    except (OSError, pa.ArrowException) as fault:
        reason = str(fault).partition("\n")[0]
        raise CandleError(
            f"{path} cannot be read as Parquet ({reason}): if it is damaged, delete it and import "
            "those candles again"
        ) from fault


def read_file(path: StorePath, columns: Sequence[str], windows: Windows = EVER) -> pa.Table:
    """These columns of the row groups in which a candle may start in one of these windows.

    Raises:
        CandleError: the file is damaged, or lacks a column.
    """
    with _opened(path, columns) as file:
        groups = [
            index
            for index, bounds in enumerate(_group_bounds(file))
            if bounds is None or touches(windows, *bounds)
        ]
        return file.read_row_groups(groups, columns=list(columns), use_threads=False)


def _group_bounds(file: pq.ParquetFile) -> list[tuple[int, int] | None]:
    """Smallest and largest time of each row group, None where the file does not say."""
    metadata = file.metadata
    index = metadata.schema.names.index("timestamp_ms")
    bounds: list[tuple[int, int] | None] = []
    for group in range(metadata.num_row_groups):
        known = metadata.row_group(group).column(index).statistics
        # a file written elsewhere may lack statistics
        low, high = (known.min, known.max) if known is not None else (None, None)
        bounds.append(None if low is None or high is None else (int(low), int(high)))
    return bounds


def file_extent(path: StorePath) -> Extent | None:
    """First and last candle from the file's footer alone; None where it says nothing."""
    with _opened(path, ["timestamp_ms"], footer_only=True) as file:
        bounds = [each for each in _group_bounds(file) if each is not None]
        n_candles = file.metadata.num_rows
    if not bounds:
        return None
    return Extent(min(b[0] for b in bounds), max(b[1] for b in bounds), n_candles)


def write_file(path: Path, table: pa.Table) -> None:
    """Replace the file by this table of `SCHEMA`."""
    with replacing(path) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=_ROW_GROUP,
            compression=_COMPRESSION,
            use_dictionary=False,
            write_statistics=["timestamp_ms"],
            write_page_checksum=True,
        )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file that takes the place of `path` in one step, once it is safely on disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file, or what a folder lists, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The candles of a bundle: one Parquet file for all pairs and timespans.

Columns: trade_pair_id and timespan ("minute" or "second") as text, timestamp_ms (int64, start of
the candle), close (float64). Rows stand in any order; we write them sorted, so that reading one pair
skips the others.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ptn_backtest.errors import BundleError
from ptn_backtest.prices.candles import Candles, Timespan

_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "trade_pair_id": _TEXT,
        "timespan": _TEXT,
        "timestamp_ms": pa.int64(),
        "close": pa.float64(),
    }
)
_ROW_GROUP = 1_000_000
_ENCODING: dict[str, Any] = {
    # measured on a million candles of five pairs: 5 MB in place of 9 MB with plain zstd
    "compression": "zstd",
    "use_dictionary": ["trade_pair_id", "timespan"],
    "column_encoding": {"timestamp_ms": "DELTA_BINARY_PACKED", "close": "BYTE_STREAM_SPLIT"},
}


class BundleCandles:
    """A bundle's candle file; implements `prices.candles.CandleSource`.

    The file's columns are checked at once; each pair and timespan is read when it is first asked
    for, and kept.
    """

    def __init__(self, file: Path) -> None:
        """Check the file's columns.

        Raises:
            BundleError: it is missing, damaged, or has other columns.
        """
        self._file = file
        self._read: dict[tuple[str, Timespan], Candles] = {}
        if not file.exists():
            raise BundleError(
                f"{file} is missing: it holds the prices of the replay, in the columns "
                f"{', '.join(SCHEMA.names)}"
            )
        try:
            found = pq.read_schema(file)
        except (OSError, pa.ArrowException) as fault:
            raise _unreadable(file, fault) from fault
        for wanted in SCHEMA:
            index = found.get_field_index(wanted.name)
            kind = found.field(index).type if index >= 0 else None
            if kind is None or not _is_like(kind, wanted.type):
                has = "has no column" if kind is None else f"has the type {kind} in column"
                plain = "string" if wanted.type == _TEXT else wanted.type
                raise BundleError(f"{file} {has} {wanted.name!r}: {plain} is expected")

    def describe(self) -> str:
        """The file."""
        return f"bundle file {self._file}"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        """Candles that start in [start_ms, end_ms]; empty where there are none.

        Raises:
            BundleError: the file is damaged, or holds candles no replay can use.
        """
        key = (trade_pair_id, timespan)
        if key not in self._read:
            self._read[key] = self._load(trade_pair_id, timespan)
        candles = self._read[key]
        first = int(np.searchsorted(candles.start_ms, start_ms))
        last = int(np.searchsorted(candles.start_ms, end_ms, side="right"))
        return Candles(candles.start_ms[first:last], candles.close[first:last])

    def _load(self, trade_pair_id: str, timespan: Timespan) -> Candles:
        wanted = (pc.field("trade_pair_id") == trade_pair_id) & (
            pc.field("timespan") == timespan.value
        )
        try:
            table = pq.read_table(self._file, columns=["timestamp_ms", "close"], filters=wanted)
        except (OSError, pa.ArrowException) as fault:
            raise _unreadable(self._file, fault) from fault
        where = f"{self._file}: {trade_pair_id} {timespan} candles"
        if any(column.null_count for column in table.columns):
            raise BundleError(f"{where}: empty cells; every candle needs timestamp_ms and close")
        start_ms, close = table["timestamp_ms"].to_numpy(), table["close"].to_numpy()
        if np.any(start_ms[1:] <= start_ms[:-1]):
            order = np.argsort(start_ms, kind="stable")
            start_ms, close = start_ms[order], close[order]
        _refuse(where, "two of one time", start_ms[1:], start_ms[1:] == start_ms[:-1])
        _refuse(where, f"start off the whole {timespan}", start_ms, start_ms % timespan.ms != 0)
        _refuse(where, "close not above 0", start_ms, ~((close > 0) & (close < np.inf)))
        return Candles(start_ms, close)


def write_candles(file: Path, parts: Iterable[tuple[str, Timespan, Candles]]) -> int:
    """Write a bundle's candle file.

    Args:
        file: where to.
        parts: candles by pair and timespan, each part ascending and after the one before it.

    Returns:
        How many candles were written.
    """
    written = 0
    with pq.ParquetWriter(file, SCHEMA, **_ENCODING) as writer:
        for trade_pair_id, timespan, candles in parts:
            table = pa.table(
                [
                    _repeated(trade_pair_id, len(candles)),
                    _repeated(timespan.value, len(candles)),
                    pa.array(candles.start_ms, pa.int64()),
                    pa.array(candles.close, pa.float64()),
                ],
                schema=SCHEMA,
            )
            writer.write_table(table, row_group_size=_ROW_GROUP)
            written += len(candles)
    return written


def _repeated(text: str, n: int) -> "pa.Array[Any]":
    return pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), [text])


def _is_like(kind: pa.DataType, wanted: pa.DataType) -> bool:
    if wanted != _TEXT:
        return bool(kind == wanted)
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _refuse(where: str, what: str, start_ms: np.ndarray, bad: np.ndarray) -> None:
    if bad.any():
        raise BundleError(
            f"{where}: {what}, {int(bad.sum())} times, first at {int(start_ms[bad][0])} ms; "
            "correct the file, or get an undamaged copy"
        )


def _unreadable(file: Path, fault: Exception) -> BundleError:
    reason = str(fault).partition("\n")[0]
    return BundleError(f"{file} cannot be read as Parquet ({reason}): get an undamaged copy")

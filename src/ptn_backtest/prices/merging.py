"""Candles that come to those of a file: which count, and what that changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candle_file import REPLAY_COLUMNS, SCHEMA, VALUES
from ptn_backtest.prices.candles import Timespan

_N_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Change:
    """A candle that a later one replaced: its start in ms, its close before and after."""

    start_ms: int
    old_close: float
    new_close: float


@dataclass(frozen=True, slots=True)
class Written:
    """What writing did, in candles.

    Attributes:
        added: candles that the store did not have.
        repeated: candles equal to one already there (or earlier in the same table).
        changed: candles that replaced one with other values.
        changes: the first few of those.
    """

    added: int = 0
    repeated: int = 0
    changed: int = 0
    changes: tuple[Change, ...] = ()

    def plus(self, other: "Written") -> "Written":
        """Both together."""
        return Written(
            self.added + other.added,
            self.repeated + other.repeated,
            self.changed + other.changed,
            (self.changes + other.changes)[:_N_EXAMPLES],
        )


def conforming(table: pa.Table, timespan: Timespan) -> pa.Table:
    """The table with the columns of `SCHEMA`, checked."""
    unknown = sorted(set(table.column_names) - set(SCHEMA.names))
    lacking = [name for name in REPLAY_COLUMNS if name not in table.column_names]
    if unknown or lacking:
        raise CandleError(
            f"candles need the columns {', '.join(REPLAY_COLUMNS)}"
            f" and may have {', '.join(name for name in VALUES if name != 'close')}:"
            f" found {', '.join(table.column_names)}"
        )
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in SCHEMA
    ]
    for name, column in zip(SCHEMA.names, columns, strict=True):
        if name in REPLAY_COLUMNS and column.null_count:
            raise CandleError(f"{column.null_count} of {len(table)} candles have no {name}")
    times, closes = columns[0].to_numpy(), columns[SCHEMA.names.index("close")].to_numpy()
    _refuse(times % timespan.ms != 0, times, f"start off the grid of one {timespan}")
    _refuse(~((closes > 0) & (closes < np.inf)), closes, "have a close that is not above 0")
    return pa.table(columns, schema=SCHEMA)


def _refuse(bad: NDArray[np.bool_], values: NDArray[Any], fault: str) -> None:
    if bad.any():
        raise CandleError(f"{bad.sum()} candles {fault}; the first is {values[bad.argmax()]}")


def merge(old: pa.Table, new: pa.Table) -> tuple[pa.Table, Written, NDArray[np.int64]]:
    """Both tables as one in time order, and the times of new closes; of equal times the last row counts.

    A row with the same close as the one that it replaces takes over what it does not have itself,
    so that closes alone do not wipe out highs and lows.
    """
    both = pa.concat_tables([old, new])
    columns = {name: both[name].to_numpy() for name in SCHEMA.names}  # nulls are NaN here
    order = np.argsort(columns["timestamp_ms"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    times, closes = columns["timestamp_ms"], columns["close"]
    replaces = np.append(False, times[1:] == times[:-1])[: len(times)]
    differs = np.zeros(len(times), dtype=np.bool_)
    for rows in _by_rank(replaces):
        same_close = closes[rows] == closes[rows - 1]
        for name in VALUES:
            before, after = columns[name][rows - 1], columns[name][rows]
            after = np.where(np.isnan(after) & same_close, before, after)
            columns[name][rows] = after
            differs[rows] |= (before != after) & ~(np.isnan(before) & np.isnan(after))
    changed = np.flatnonzero(differs)
    last = np.append(~replaces[1:], True)[: len(times)]
    merged = pa.table(
        [pa.array(values[last], from_pandas=True) for values in columns.values()], schema=SCHEMA
    )
    n_again, n_changed = int(np.count_nonzero(replaces)), len(changed)
    examples = tuple(
        Change(int(times[i]), float(closes[i - 1]), float(closes[i])) for i in changed[:_N_EXAMPLES]
    )
    other_close = ~replaces & ~np.isin(times, old["timestamp_ms"].to_numpy())
    other_close[1:] |= replaces[1:] & (closes[1:] != closes[:-1])
    written = Written(len(new) - n_again, n_again - n_changed, n_changed, examples)
    return merged, written, times[other_close]


def _by_rank(replaces: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Rows that replace the one before, the second of every time first, then the third, ..."""
    rows = np.flatnonzero(replaces)
    firsts = np.flatnonzero(~replaces)
    ranks = rows - firsts[np.searchsorted(firsts, rows) - 1]
    for rank in range(1, int(ranks.max(initial=0)) + 1):
        yield rows[ranks == rank]

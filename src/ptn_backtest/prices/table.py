"""Candles of many pairs as one table, the shape in which the kernel reads them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.prices.candles import Candles, CandleSource, Timespan
from ptn_backtest.sessions import session_edges
from ptn_backtest.trade_pairs import TradePair

PRICE_ROW = np.dtype(
    [
        ("minute_first", np.int64),
        ("minute_last", np.int64),
        ("second_first", np.int64),
        ("second_last", np.int64),
        ("session_first", np.int64),
        ("session_last", np.int64),
    ]
)
"""Where a pair's candles and sessions are in the arrays of a `PriceTable`: first to before last."""


_NO_TIMES, _NO_PRICES = np.empty(0, dtype=np.int64), np.empty(0)


class PriceTable(NamedTuple):
    """Closes and market hours of several pairs.

    `rows`: a PRICE_ROW per pair. `minute_ms`, `minute_close`: starts (ms, ascending) and closes of
    minute candles. `second_ms`, `second_close`: of second candles. `session_ms`: times at which the
    market opens and closes in turn (`sessions.session_edges`).
    """

    rows: NDArray[np.void]
    minute_ms: NDArray[np.int64]
    minute_close: NDArray[np.float64]
    second_ms: NDArray[np.int64]
    second_close: NDArray[np.float64]
    session_ms: NDArray[np.int64]


def price_table(
    source: CandleSource,
    pairs: Sequence[TradePair],
    ranges: Mapping[str, tuple[int, int]],
) -> PriceTable:
    """Read the candles of these pairs, each within its range [start, end] in ms."""
    rows = np.zeros(len(pairs), dtype=PRICE_ROW)

    def read(timespan: Timespan) -> Candles:
        parts = []
        for pair in pairs:
            start_ms, end_ms = ranges[pair.trade_pair_id]
            floor = start_ms - start_ms % timespan.ms
            parts.append(source.read(pair.trade_pair_id, timespan, floor, end_ms))
        _place(rows, timespan.value, [len(part) for part in parts])
        return Candles(
            np.concatenate([*(part.start_ms for part in parts), _NO_TIMES]),
            np.concatenate([*(part.close for part in parts), _NO_PRICES]),
        )

    minutes, seconds = read(Timespan.MINUTE), read(Timespan.SECOND)
    sessions = [session_edges(pair.category) for pair in pairs]
    _place(rows, "session", [len(edges) for edges in sessions])
    return PriceTable(
        rows=rows,
        minute_ms=minutes.start_ms,
        minute_close=minutes.close,
        second_ms=seconds.start_ms,
        second_close=seconds.close,
        session_ms=np.concatenate([*sessions, _NO_TIMES]),
    )


def fingerprint(table: PriceTable) -> str:
    """SHA-256 of everything in the table, in whatever files it lay."""
    digest = hashlib.sha256()
    for name, array in zip(table._fields, table, strict=True):
        digest.update(f"{name} {len(array)}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _place(rows: NDArray[np.void], name: str, lengths: Sequence[int]) -> None:
    last = np.cumsum(lengths, dtype=np.int64)
    rows[f"{name}_last"] = last
    rows[f"{name}_first"][1:] = last[:-1]

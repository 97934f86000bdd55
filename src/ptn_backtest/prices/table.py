"""Candles of many pairs as one table, the shape in which the kernel reads them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.prices.candles import Candles, CandleSource, Timespan
from ptn_backtest.sessions import session_edges
from ptn_backtest.trade_pairs import TradePair

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


class PriceTable(NamedTuple):
    """Closes and market hours of p pairs; each pair owns a slice of every array.

    `minute_ms`, `minute_close`: starts (ms, ascending) and closes of minute candles; pair j owns
    `minute_first[j]` to `minute_first[j + 1]`. `second_*`: likewise for second candles. `session_ms`:
    `sessions.session_edges` of each pair.
    """

    minute_ms: _Ints
    minute_close: _Floats
    minute_first: _Ints
    second_ms: _Ints
    second_close: _Floats
    second_first: _Ints
    session_ms: _Ints
    session_first: _Ints


def price_table(
    source: CandleSource,
    pairs: Sequence[TradePair],
    ranges: Mapping[str, tuple[int, int]],
) -> PriceTable:
    """Read the candles of these pairs, each within its range [start, end] in ms."""

    def read(timespan: Timespan) -> tuple[_Ints, _Floats, _Ints]:
        parts = []
        for pair in pairs:
            start_ms, end_ms = ranges[pair.trade_pair_id]
            floor = start_ms - start_ms % timespan.ms
            parts.append(source.read(pair.trade_pair_id, timespan, floor, end_ms))
        return _joined(parts)

    minute_ms, minute_close, minute_first = read(Timespan.MINUTE)
    second_ms, second_close, second_first = read(Timespan.SECOND)
    sessions = [session_edges(pair.category) for pair in pairs]
    return PriceTable(
        minute_ms=minute_ms,
        minute_close=minute_close,
        minute_first=minute_first,
        second_ms=second_ms,
        second_close=second_close,
        second_first=second_first,
        session_ms=np.concatenate([*sessions, np.empty(0, dtype=np.int64)]),
        session_first=_bounds([len(edges) for edges in sessions]),
    )


def fingerprint(table: PriceTable) -> str:
    """SHA-256 of everything in the table, in whatever files it lay."""
    digest = hashlib.sha256()
    for name, array in zip(table._fields, table, strict=True):
        digest.update(f"{name} {len(array)}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _joined(parts: Sequence[Candles]) -> tuple[_Ints, _Floats, _Ints]:
    times = np.concatenate([*(part.start_ms for part in parts), np.empty(0, dtype=np.int64)])
    closes = np.concatenate([*(part.close for part in parts), np.empty(0)])
    return times, closes, _bounds([len(part) for part in parts])


def _bounds(lengths: Sequence[int]) -> _Ints:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)

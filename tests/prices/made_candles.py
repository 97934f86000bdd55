"""Small candle tables for tests."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ptn_backtest.clock import MINUTE_MS, parse_time

JANUARY_31 = parse_time("2025-01-31T23:58:00")
"""Two minutes before a month ends, so that few candles fill two files."""


def table(
    times: Sequence[int], closes: Sequence[float], **others: Sequence[float | None]
) -> pa.Table:
    """Candles with these starts and closes, and other columns by name."""
    columns = {"timestamp_ms": pa.array(times, pa.int64()), "close": pa.array(closes, pa.float64())}
    return pa.table(columns | {name: pa.array(v, pa.float64()) for name, v in others.items()})


def minutes(count: int, start_ms: int = JANUARY_31, step_ms: int = MINUTE_MS) -> pa.Table:
    """`count` candles in a row, closes 100, 101, ..."""
    times = start_ms + np.arange(count) * step_ms
    return table(times.tolist(), (100.0 + np.arange(count)).tolist())

"""Numbers as a page holds them: columns of whole numbers in base64, which its script reads at once.

A page of hundreds of traders holds hundreds of thousands of numbers. As text they would take several
times the room, and longer to write than all the rest of the page. `static/columns.js` reads them back.

A table's rows are those of the first trader, then those of the second, and so on; each column is one
of

    {"type": "f8", "data": ...}            numbers as they are; also "f4", "u4", "u2", "u1"
    {"type": "scaled", "data": ...         u2 codes, 65535 for NaN: low + step x code,
     "low": ..., "step": ...}              with a low and a step (f8) per trader
    {"type": "times", "data": ...          u2 differences, in `unit` seconds,
     "begin": ..., "unit": 60}             from the time in `begin` (f8, seconds) of each trader
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import MINUTE_MS

__all__ = ["Column", "plain", "scaled", "table", "times"]

Column: TypeAlias = dict[str, Any]
"""JSON-ready."""
_NOT_A_NUMBER = 65_535
_LEVELS = _NOT_A_NUMBER - 1


def table(counts: Sequence[int], columns: Mapping[str, Column]) -> dict[str, Any]:
    """A table: how many rows each trader has, and its columns."""
    return {"counts": list(counts), "columns": dict(columns)}


def plain(values: NDArray[Any], kind: str) -> Column:
    """Numbers in a type that holds them all."""
    return {"type": kind, "data": _text(values.astype(f"<{kind}"))}


def scaled(values: NDArray[np.float64], counts: Sequence[int]) -> Column:
    """Numbers to 1/65534 of each trader's range; what is not finite becomes NaN."""
    known = np.isfinite(values)
    low = _reduced(np.minimum, np.where(known, values, np.inf), counts)
    high = _reduced(np.maximum, np.where(known, values, -np.inf), counts)
    low, high = (np.where(np.isfinite(edge), edge, 0.0) for edge in (low, high))
    step = high / _LEVELS - low / _LEVELS  # not the difference: it may be beyond all floats
    step[step == 0] = 1.0
    steps = np.repeat(step, counts)
    parts = np.where(known, values, 0.0) / steps - np.repeat(low, counts) / steps
    codes = np.where(known, np.clip(np.rint(parts), 0, _LEVELS), _NOT_A_NUMBER)
    return {
        "type": "scaled",
        "data": _text(codes.astype("<u2")),
        "low": _text(low.astype("<f8")),
        "step": _text(step.astype("<f8")),
    }


def times(time_ms: NDArray[np.int64], counts: Sequence[int]) -> Column:
    """Ascending times, to the minute; to more where gaps of a minute's steps would not fit."""
    some = np.flatnonzero(np.asarray(counts) > 0)
    begins = _begins(counts)[some]

    def steps(values: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.diff(values, prepend=values[:1])
        found[begins] = 0
        return found

    largest_ms = int(steps(time_ms).max(initial=0))
    unit_ms = MINUTE_MS * max(1, -(-largest_ms // (MINUTE_MS * (_LEVELS - 1))))
    units = time_ms // unit_ms
    first = np.zeros(len(counts))
    first[some] = units[begins] * (unit_ms / 1_000)
    return {
        "type": "times",
        "data": _text(steps(units).astype("<u2")),
        "begin": _text(first.astype("<f8")),
        "unit": unit_ms // 1_000,
    }


def _begins(counts: Sequence[int]) -> NDArray[np.int64]:
    lengths = np.asarray(counts, np.int64)
    begins: NDArray[np.int64] = np.cumsum(lengths) - lengths
    return begins


def _reduced(
    function: np.ufunc, values: NDArray[np.float64], counts: Sequence[int]
) -> NDArray[np.float64]:
    """The function over each trader's values; NaN for one without any."""
    found = np.full(len(counts), np.nan)
    some = np.flatnonzero(np.asarray(counts) > 0)
    if len(some):
        found[some] = function.reduceat(values, _begins(counts)[some])
    return found


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")

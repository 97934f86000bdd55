"""Whether the candles that a run needs are there."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, format_time
from ptn_backtest.errors import MissingCandles
from ptn_backtest.prices.candles import CandleSource, Timespan
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

Ranges: TypeAlias = Sequence[tuple[int, int]]
"""(start, end) in ms, in any order; they may overlap."""

_CHUNK_CANDLES = 1_000_000  # looked at together, so that a year of seconds needs little memory


@dataclass(frozen=True, slots=True)
class MissingRange:
    """Candles that are not there, in one stretch of market time.

    Attributes:
        trade_pair_id: the pair.
        timespan: length of the candles.
        start_ms: start of the first missing candle.
        end_ms: end of the last missing candle.
        n_candles: how many are missing; while the market is closed none is.
    """

    trade_pair_id: str
    timespan: Timespan
    start_ms: int
    end_ms: int
    n_candles: int

    def __str__(self) -> str:
        start, end = _moment(self.start_ms, self.timespan), _moment(self.end_ms, self.timespan)
        candles = "candle" if self.n_candles == 1 else "candles"
        return (
            f"{self.trade_pair_id} {self.timespan} {start} .. {end} ({self.n_candles:,} {candles})"
        )


def merged_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same times in ascending ranges that do not touch; empty ranges are left out."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def missing_ranges(
    candles: CandleSource, needs: Mapping[str, Ranges], timespan: Timespan = Timespan.MINUTE
) -> list[MissingRange]:
    """Candles that are missing while a position is open and its market too.

    A replay asks for the minute candle at every whole minute that lies in the range and more than
    60 s before its end (the last minute is asked for by seconds), and for second candles at whole
    seconds, so these are the candles that are looked for.

    Args:
        candles: where the replay reads them.
        needs: {trade pair id: ranges (start, end) in ms in which a position is open}.
        timespan: minute, or second: those are rarely complete, and a run without them is usual.

    Returns:
        Missing stretches by pair (as in `needs`), then time. A stretch goes on over a market's
        closure, so that a week without candles is one.
    """
    missing: list[MissingRange] = []
    for trade_pair_id, ranges in needs.items():
        for start_ms, end_ms in merged_ranges(ranges):
            missing += _missing_in(candles, trade_pair_id, timespan, start_ms, end_ms)
    return missing


def describe_missing(missing: Sequence[MissingRange], limit: int = 10) -> list[str]:
    """One sentence for each of the first `limit` stretches, and one for the rest."""
    sentences = [str(each) for each in missing[:limit]]
    rest = missing[limit:]
    if rest:
        n_candles = sum(each.n_candles for each in rest)
        pairs = len({each.trade_pair_id for each in rest})
        sentences.append(
            f"and {len(rest):,} more ({n_candles:,} candles, {_plural(pairs, 'trade pair')})"
        )
    return sentences


def require_candles(
    candles: CandleSource,
    needs: Mapping[str, Ranges],
    missing_candles: Literal["error", "hold"] = "error",
) -> list[str]:
    """See to it before a run that its minute candles are there.

    Args:
        candles: where the replay will read them.
        needs: as for `missing_ranges`.
        missing_candles: "error", or "hold": a missing candle leaves a position's value as it was.

    Returns:
        With "hold", sentences that say what is missing, for the run's warnings.

    Raises:
        MissingCandles: with "error"; the message names pairs and ranges, and what to do.
    """
    missing = missing_ranges(candles, needs)
    if not missing:
        return []
    n_candles = sum(each.n_candles for each in missing)
    pairs = len({each.trade_pair_id for each in missing})
    sentences = describe_missing(missing)
    total = (
        f"{_plural(n_candles, 'minute candle')} of {_plural(pairs, 'trade pair')} missing in "
        f"{candles.describe()}"
    )
    if missing_candles == "hold":
        log.warning("%s; the last value is held", total)
        return [f"{total}; the last value was held:", *sentences]
    raise MissingCandles(
        "\n  ".join([f"{total}:", *sentences])
        + "\nimport them ('ptn-backtest candles import'), or set missing_candles = \"hold\" to keep "
        "the last value where one is missing"
    )


def _missing_in(
    candles: CandleSource, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int
) -> list[MissingRange]:
    category = TradePair.from_trade_pair_id(trade_pair_id).category
    first = -(-start_ms // timespan.ms) * timespan.ms
    last = end_ms - (timespan.ms if timespan is Timespan.MINUTE else 0) - 1
    absent: list[NDArray[np.int64]] = []
    positions: list[NDArray[np.int64]] = []
    n_expected = 0
    for chunk_start, chunk_end in _chunks(first, last, timespan):
        starts = np.arange(chunk_start, chunk_end + 1, timespan.ms, dtype=np.int64)
        found = candles.read(trade_pair_id, timespan, int(starts[0]), int(starts[-1])).start_ms
        there = np.zeros(len(starts), dtype=np.bool_)
        there[(found[found % timespan.ms == 0] - starts[0]) // timespan.ms] = True
        is_open = open_at(category, starts)
        expected, there = starts[is_open], there[is_open]
        gone = np.flatnonzero(~there)
        absent.append(expected[gone])
        positions.append(gone + n_expected)
        n_expected += len(expected)
    if not absent:
        return []
    return _stretches(trade_pair_id, timespan, np.concatenate(absent), np.concatenate(positions))


def _stretches(
    trade_pair_id: str,
    timespan: Timespan,
    starts_ms: NDArray[np.int64],
    positions: NDArray[np.int64],
) -> list[MissingRange]:
    """Missing candles as ranges; `positions` count expected candles, so closures do not part them."""
    if not len(starts_ms):
        return []
    breaks = np.flatnonzero(np.diff(positions) > 1) + 1
    return [
        MissingRange(trade_pair_id, timespan, int(part[0]), int(part[-1]) + timespan.ms, len(part))
        for part in np.split(starts_ms, breaks)
    ]


def _chunks(start_ms: int, end_ms: int, timespan: Timespan) -> Iterable[tuple[int, int]]:
    """[start, end] in parts that end together with a day, both ends included."""
    while start_ms <= end_ms:
        beyond = start_ms + _CHUNK_CANDLES * timespan.ms
        beyond -= beyond % DAY_MS
        yield start_ms, min(beyond - 1, end_ms)
        start_ms = beyond


def _moment(ms: int, timespan: Timespan) -> str:
    text = format_time(ms)
    return text.replace(":00 UTC", " UTC") if timespan is Timespan.MINUTE else text


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")

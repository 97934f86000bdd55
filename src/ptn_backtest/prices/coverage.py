"""Whether the candles that a run needs are there."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, MINUTE_MS, format_time
from ptn_backtest.errors import MissingCandles
from ptn_backtest.prices.candles import (
    CandleSource,
    KnowsMissing,
    Ranges,
    Timespan,
    merged_ranges,
)
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

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
        known: a provider was asked for them and has none (`CandleStore.known_missing`).
    """

    trade_pair_id: str
    timespan: Timespan
    start_ms: int
    end_ms: int
    n_candles: int
    known: bool = False

    def __str__(self) -> str:
        start, end = _moment(self.start_ms, self.timespan), _moment(self.end_ms, self.timespan)
        candles = "candle" if self.n_candles == 1 else "candles"
        return (
            f"{self.trade_pair_id} {self.timespan} {start} .. {end} ({self.n_candles:,} {candles})"
        )


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
        closure, so that a week without candles is one; it is `known` as a whole or not at all.
    """
    missing: list[MissingRange] = []
    for trade_pair_id, ranges in needs.items():
        for start_ms, end_ms in merged_ranges(ranges):
            missing += _missing_in(candles, trade_pair_id, timespan, start_ms, end_ms)
    return missing


def count_known_missing(store: CandleStore, trade_pair_id: str, timespan: Timespan) -> int:
    """Candles of open market hours that are not stored, and that some provider is known to lack."""
    known = store.known_missing(trade_pair_id, timespan)
    # a minute candle is asked for only where its range goes on for more than a minute
    beyond = MINUTE_MS + 1 - timespan.ms if timespan is Timespan.MINUTE else 0
    needs = {trade_pair_id: [(start, end + beyond) for start, end in known]}
    return sum(each.n_candles for each in missing_ranges(store, needs, timespan) if each.known)


def count_wanted(trade_pair_id: str, ranges: Ranges, timespan: Timespan = Timespan.MINUTE) -> int:
    """How many candles a replay asks for in these ranges, by the rules of `missing_ranges`."""
    category = TradePair.from_trade_pair_id(trade_pair_id).category
    wanted = 0
    for start_ms, end_ms in merged_ranges(ranges):
        for first, last in _chunks(*_asked_for(timespan, start_ms, end_ms), timespan):
            wanted += int(open_at(category, np.arange(first, last + 1, timespan.ms)).sum())
    return wanted


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

    Candles that are known to be missing at their provider are no error: nobody can bring them, and
    the network's own replay would hold the last value too.

    Args:
        candles: where the replay will read them.
        needs: as for `missing_ranges`.
        missing_candles: "error", or "hold": a missing candle leaves a position's value as it was.

    Returns:
        Sentences for the run's warnings: what is known to be missing, and with "hold" all else.

    Raises:
        MissingCandles: with "error"; the message names pairs and ranges, and what to do.
    """
    found = missing_ranges(candles, needs)
    known = [each for each in found if each.known]
    missing = [each for each in found if not each.known]
    warnings: list[str] = []
    if known:
        total = f"{_total(known)} in {candles.describe()}, and their provider has none"
        log.warning("%s; the last value is held", total)
        warnings += [f"{total}; the last value was held:", *describe_missing(known)]
    if not missing:
        return warnings
    sentences = describe_missing(missing)
    total = f"{_total(missing)} in {candles.describe()}"
    if missing_candles == "hold":
        log.warning("%s; the last value is held", total)
        return [*warnings, f"{total}; the last value was held:", *sentences]
    raise MissingCandles(
        "\n  ".join([f"{total}:", *sentences])
        + "\nbring them ('ptn-backtest candles pull' or 'candles import'), or set "
        'missing_candles = "hold" to keep the last value where one is missing'
    )


def _total(missing: Sequence[MissingRange]) -> str:
    n_candles = sum(each.n_candles for each in missing)
    pairs = len({each.trade_pair_id for each in missing})
    return f"{_plural(n_candles, 'minute candle')} of {_plural(pairs, 'trade pair')} missing"


def _missing_in(
    candles: CandleSource, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int
) -> list[MissingRange]:
    category = TradePair.from_trade_pair_id(trade_pair_id).category
    first, last = _asked_for(timespan, start_ms, end_ms)
    known = merged_ranges(
        candles.known_missing(trade_pair_id, timespan, first, last)
        if isinstance(candles, KnowsMissing)
        else ()
    )
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
    starts = np.concatenate(absent)
    return _stretches(
        trade_pair_id, timespan, starts, np.concatenate(positions), _inside(starts, known)
    )


def _asked_for(timespan: Timespan, start_ms: int, end_ms: int) -> tuple[int, int]:
    """Starts of the first candle asked for, and a time between the last one and the next."""
    first = -(-start_ms // timespan.ms) * timespan.ms
    return first, end_ms - (timespan.ms if timespan is Timespan.MINUTE else 0) - 1


def _inside(times_ms: NDArray[np.int64], ranges: Ranges) -> NDArray[np.bool_]:
    """Whether each time lies in one of these ranges [start, end), ascending and apart."""
    edges = np.array(ranges, dtype=np.int64).reshape(-1)
    passed = np.searchsorted(edges, times_ms, side="right")
    return (passed % 2).astype(np.bool_)


def _stretches(
    trade_pair_id: str,
    timespan: Timespan,
    starts_ms: NDArray[np.int64],
    positions: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> list[MissingRange]:
    """Missing candles as ranges; `positions` count expected candles, so closures do not part them."""
    if not len(starts_ms):
        return []
    breaks = np.flatnonzero((np.diff(positions) > 1) | (known[1:] != known[:-1])) + 1
    return [
        MissingRange(
            trade_pair_id,
            timespan,
            int(starts_ms[rows[0]]),
            int(starts_ms[rows[-1]]) + timespan.ms,
            len(rows),
            bool(known[rows[0]]),
        )
        for rows in np.split(np.arange(len(starts_ms)), breaks)
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

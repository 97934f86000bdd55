"""Looks at candles as they arrive, before any is stored."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.clock import HOUR_MS, format_time
from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.candle_file import VALUES
from ptn_backtest.prices.candles import Candles
from ptn_backtest.prices.checking import SPIKE_THRESHOLD, spike_excess
from ptn_backtest.prices.providers.contract import CandleRequest, Page
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePairCategory

LARGEST_STEP: Mapping[TradePairCategory, float] = {
    TradePairCategory.CRYPTO: 2.0,
    TradePairCategory.FOREX: 1.1,
    TradePairCategory.EQUITIES: 1.5,
    TradePairCategory.INDICES: 1.5,
}
"""Prices within an hour of each other differ by less than this factor, or are of something else."""

_NEIGHBOURS = 3  # candles on each side of a seam, so that one odd candle refuses nothing
_CONTEXT = 60  # stored candles before an answer that tell a usual move


@dataclass(frozen=True, slots=True)
class Arrival:
    """What of an answer can be stored, and what was found.

    Attributes:
        table: new candles in ascending order, each once.
        counts: {"out of order" | "repeated" | "contradicting" | "unusable" | "market closed" |
            "stored already" | "other times" | "spikes": candles}, without zeros.
        remarks: a sentence on the first spike, and on the first unusable candle.
    """

    table: pa.Table
    counts: Mapping[str, int]
    remarks: tuple[str, ...] = ()


def judge(store: CandleStore, request: CandleRequest, page: Page) -> Arrival:
    """Order, duplicates, plausibility against neighbours.

    Candles out of order are sorted; of two with one time the last counts; what is no candle, or
    lies outside the request or the market's hours, is left out; a candle that is stored already
    stays as it is. Spikes are kept and reported: they may be real, and `candles check` lists them.

    Raises:
        ProviderError: prices that do not fit to the stored ones around them; nothing is stored.
        CandleError: the store is damaged.
    """
    counts: Counter[str] = Counter()
    remarks: list[str] = []
    table = _usable(request, page.table, counts, remarks)
    times = table["timestamp_ms"].to_numpy()
    counts["out of order"] = int(np.count_nonzero(np.diff(times) < 0))
    table = table.take(np.argsort(times, kind="stable"))
    table = table.filter(_last_of_each(table, counts))
    pair, timespan = request.pair, request.timespan
    stored = store.read(
        pair.trade_pair_id,
        timespan,
        request.start_ms - max(HOUR_MS, _CONTEXT * timespan.ms),
        request.end_ms + HOUR_MS,
    )
    times, closes = table["timestamp_ms"].to_numpy(), table["close"].to_numpy()
    new = ~np.isin(times, stored.start_ms, assume_unique=True)
    counts["stored already"] = int(np.count_nonzero(~new))
    table = table.filter(new)
    arrived = Candles(times[new], closes[new])
    _refuse_other_prices(request, stored, arrived)
    _note_spikes(request, stored, arrived, counts, remarks)
    return Arrival(table, +counts, tuple(remarks))


def _usable(
    request: CandleRequest, table: pa.Table, counts: Counter[str], remarks: list[str]
) -> pa.Table:
    """Rows that are candles of the request; values beside the close that mean nothing are null."""
    # nulls of integers would become floats: 0 is the start of no candle that is asked for
    times = table["timestamp_ms"].fill_null(pa.scalar(0, pa.int64())).to_numpy()
    closes = table["close"].to_numpy()
    inside = (times >= request.start_ms) & (times < request.end_ms)
    whole = times % request.timespan.ms == 0
    priced = (closes > 0) & (closes < math.inf)
    candle = whole & priced
    unreadable = times == 0
    counts["other times"] = int(np.count_nonzero(~inside & ~unreadable))
    counts["unusable"] = int(np.count_nonzero((inside & ~candle) | unreadable))
    if counts["unusable"]:
        row = int(np.argmax((inside & ~candle) | unreadable))
        remarks.append(
            f"{request.pair.trade_pair_id} {request.timespan}: no candle is "
            f"(start {int(times[row])}, close {closes[row]})"
        )
    market_open = open_at(request.pair.category, times)
    counts["market closed"] = int(np.count_nonzero(inside & candle & ~market_open))
    table = table.filter(inside & candle & market_open)
    for name in VALUES:
        if name in table.column_names and name != "close":
            values = table[name].to_numpy()
            good = np.isfinite(values) & ((values > 0) | ((values == 0) & (name == "volume")))
            at = table.column_names.index(name)
            table = table.set_column(at, name, pa.array(values, mask=~good))
    return table


def _last_of_each(table: pa.Table, counts: Counter[str]) -> NDArray[np.bool_]:
    times, closes = table["timestamp_ms"].to_numpy(), table["close"].to_numpy()
    again = times[1:] == times[:-1]
    counts["contradicting"] = int(np.count_nonzero(again & (closes[1:] != closes[:-1])))
    counts["repeated"] = int(np.count_nonzero(again)) - counts["contradicting"]
    return np.append(~again, True)[: len(times)]


def _refuse_other_prices(request: CandleRequest, stored: Candles, arrived: Candles) -> None:
    """Refuse an answer whose prices jump away from stored ones less than an hour off."""
    if not len(arrived):
        return
    largest = math.log(LARGEST_STEP[request.pair.category])
    before = stored.start_ms < arrived.start_ms[0]
    after = stored.start_ms > arrived.start_ms[-1]
    head, tail = slice(0, _NEIGHBOURS), slice(-_NEIGHBOURS, None)
    for side, near, edge in ((before, tail, head), (after, head, tail)):
        times, closes = stored.start_ms[side][near], stored.close[side][near]
        if not len(times):
            continue
        apart_ms = int(np.abs(times[:, None] - arrived.start_ms[edge][None, :]).min())
        there, here = float(np.median(closes)), float(np.median(arrived.close[edge]))
        if apart_ms <= HOUR_MS and abs(math.log(here / there)) > largest:
            raise ProviderError(
                f"the answer to {request} does not fit to what is stored: {here:g} beside "
                f"{there:g} at {format_time(int(times[0]))}; nothing of it is stored. Another "
                "instrument, or wrong candles in the store ('ptn-backtest candles check')?"
            )


def _note_spikes(
    request: CandleRequest,
    stored: Candles,
    arrived: Candles,
    counts: Counter[str],
    remarks: list[str],
) -> None:
    times = np.concatenate((stored.start_ms, arrived.start_ms))
    closes = np.concatenate((stored.close, arrived.close))
    order = np.argsort(times)
    excess, usual = spike_excess(closes[order])
    spikes = (excess > SPIKE_THRESHOLD * usual) & np.isin(times[order], arrived.start_ms)
    counts["spikes"] = int(np.count_nonzero(spikes))
    if counts["spikes"]:
        row = int(np.argmax(spikes))
        remarks.append(
            f"{request.pair.trade_pair_id} {request.timespan}: close {closes[order][row]:g} at "
            f"{format_time(int(times[order][row]))} is {math.expm1(excess[row]):.2%} off its "
            "neighbours; see 'ptn-backtest candles check'"
        )

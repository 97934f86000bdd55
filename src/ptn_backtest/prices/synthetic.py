"""Made-up candles, the same for the same seed: for tests and demonstrations, never for results.

Minute closes are a random walk tied to a few given prices; second candles fill chosen minutes and
end on the minute's close, within its high and low.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.clock import MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.prices.candle_file import SCHEMA
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePair

_Floats: TypeAlias = NDArray[np.float64]

_REOPENING = 20.0  # how much further than in a minute the price moves while the market is closed
_SECONDS = MINUTE_MS // SECOND_MS


@dataclass(frozen=True, slots=True)
class PriceModel:
    """How the price of one pair is made up.

    Attributes:
        trade_pair_id: the pair.
        anchors: (time as `clock.parse_time` reads it, price): the walk passes through these.
        volatility: standard deviation of a minute's log return between them.
        spread: ask - bid in the quote currency.
        decimals: to which prices are rounded.
    """

    trade_pair_id: str
    anchors: Sequence[tuple[str, float]]
    volatility: float
    spread: float
    decimals: int


def minute_candles(model: PriceModel, start_ms: int, end_ms: int, seed: int) -> pa.Table:
    """Minute candles (columns of the store's `SCHEMA`) that start in [start_ms, end_ms) while open.

    Args:
        model: the pair and its prices; the first anchor is the price at the start.
        start_ms: start of the first candle, a whole minute.
        end_ms: end of the last candle.
        seed: another seed gives other prices between the same anchors.
    """
    starts = np.arange(start_ms, end_ms, MINUTE_MS, dtype=np.int64)
    category = TradePair.from_trade_pair_id(model.trade_pair_id).category
    starts = starts[open_at(category, starts)]
    random = _random(model, seed, "minute")
    moves = random.standard_normal(len(starts)) * model.volatility
    moves[1:][np.diff(starts) > MINUTE_MS] *= _REOPENING
    walk = np.cumsum(moves)
    anchor_ms = [parse_time(moment) for moment, _ in model.anchors]
    anchor_log = np.log([price for _, price in model.anchors])
    # a Brownian bridge: whatever the walk has strayed at an anchor is taken back along the way,
    # candle by candle, so that nothing of it falls on a weekend
    anchor_rows = np.clip(np.searchsorted(starts, anchor_ms), 0, len(starts) - 1)
    taken_back = np.interp(np.arange(len(starts)), anchor_rows, anchor_log - walk[anchor_rows])
    path = walk + taken_back
    close = np.asarray(np.round(np.exp(path), model.decimals), dtype=np.float64)
    first = round(model.anchors[0][1], model.decimals)
    opened = np.append(first, close[:-1])
    reach = np.abs(random.standard_normal((2, len(starts)))) * model.volatility / 2
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    high = np.round(top * (1 + reach[0]), model.decimals)
    low = np.round(bottom * (1 - reach[1]), model.decimals)
    volume = np.round(np.exp(random.standard_normal(len(starts))) * 10, 3)
    return _table(model, starts, opened, high, low, close, volume)


def second_candles(
    model: PriceModel, minutes: pa.Table, windows: Sequence[tuple[int, int]], seed: int
) -> pa.Table:
    """Second candles of the minutes that touch a window (start, end) in ms, without volumes.

    Args:
        model: the pair.
        minutes: its minute candles.
        windows: where seconds are wanted; they may overlap.
        seed: as for the minute candles.
    """
    starts = minutes["timestamp_ms"].to_numpy()
    wanted = np.zeros(len(starts), dtype=np.bool_)
    for start_ms, end_ms in windows:
        wanted |= (starts + MINUTE_MS > start_ms) & (starts <= end_ms)
    chosen = minutes.filter(wanted)
    begin, end, low, high = (
        chosen[name].to_numpy()[:, np.newaxis] for name in ("open", "close", "low", "high")
    )
    elapsed = np.arange(1, _SECONDS + 1) / _SECONDS
    shocks = _random(model, seed, "second").standard_normal((len(chosen), _SECONDS))
    walk = np.cumsum(shocks, axis=1) * model.volatility / np.sqrt(_SECONDS)
    bridge = walk - walk[:, -1:] * elapsed
    path = np.exp(np.log(begin) * (1 - elapsed) + np.log(end) * elapsed + bridge)
    close = np.clip(np.round(path, model.decimals), low, high)
    opened = np.hstack([begin, close[:, :-1]])
    times = chosen["timestamp_ms"].to_numpy()[:, np.newaxis] + np.arange(_SECONDS) * SECOND_MS
    volume = np.full(close.size, np.nan)
    return _table(
        model,
        times.ravel(),
        opened.ravel(),
        np.maximum(opened, close).ravel(),
        np.minimum(opened, close).ravel(),
        close.ravel(),
        volume,
    )


def _random(model: PriceModel, seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for each pair and purpose, so that one more pair changes no other."""
    stream = zlib.crc32(f"{model.trade_pair_id} {purpose}".encode())
    return np.random.Generator(np.random.PCG64([seed, stream]))


def _table(
    model: PriceModel,
    starts: NDArray[np.int64],
    opened: _Floats,
    high: _Floats,
    low: _Floats,
    close: _Floats,
    volume: _Floats,
) -> pa.Table:
    bid = np.round(close - model.spread / 2, model.decimals)
    ask = np.round(close + model.spread / 2, model.decimals)
    columns = [starts, opened, high, low, close, volume, bid, ask]
    return pa.table([pa.array(column, from_pandas=True) for column in columns], schema=SCHEMA)

from dataclasses import replace

import numpy as np
import pytest

from ptn_backtest.clock import DAY_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.prices.synthetic import PriceModel, minute_candles, second_candles
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePair

START, END = parse_time("2025-09-01"), parse_time("2025-09-15")
ANCHORS = (("2025-09-01", 100.0), ("2025-09-08T12:00", 120.0), ("2025-09-15", 90.0))


def model(pair="BTCUSD", **changes):
    usual = PriceModel(pair, anchors=ANCHORS, volatility=0.0005, spread=0.02, decimals=2)
    return replace(usual, **changes)


def columns(table):
    return {name: table[name].to_numpy() for name in table.column_names}


def test_the_same_seed_gives_the_same_and_another_one_others():
    assert minute_candles(model(), START, END, 1).equals(minute_candles(model(), START, END, 1))
    first, second = (columns(minute_candles(model(), START, END, s))["close"] for s in (1, 2))
    assert np.mean(first != second) > 0.9


def test_pairs_do_not_move_together():
    moves = [
        np.diff(np.log(columns(minute_candles(model(pair), START, END, 1))["close"]))
        for pair in ("BTCUSD", "ETHUSD")
    ]
    assert abs(np.corrcoef(*moves)[0, 1]) < 0.05


@pytest.mark.parametrize("pair", ["BTCUSD", "EURUSD"])
def test_there_is_a_candle_for_every_open_minute(pair):
    grid = np.arange(START, END, MINUTE_MS)
    category = TradePair.from_trade_pair_id(pair).category
    times = columns(minute_candles(model(pair), START, END, 1))["timestamp_ms"]
    assert times.tolist() == grid[open_at(category, grid)].tolist()


def test_the_path_passes_through_the_anchors():
    minutes = columns(minute_candles(model(), START, END, 1))
    assert minutes["open"][0] == 100.0
    at = np.searchsorted(minutes["timestamp_ms"], parse_time("2025-09-08T12:00"))
    assert minutes["close"][at] == pytest.approx(120.0, rel=0.001)
    assert minutes["close"][-1] == pytest.approx(90.0, rel=0.001)


def test_a_minute_moves_as_much_as_it_should():
    close = columns(minute_candles(model(decimals=8), START, END, 1))["close"]
    assert np.std(np.diff(np.log(close))) == pytest.approx(0.0005, rel=0.03)


@pytest.mark.parametrize("pair", ["BTCUSD", "EURUSD"])
def test_candles_are_consistent(pair):
    c = columns(minute_candles(model(pair), START, END, 1))
    assert np.all(c["low"] <= np.minimum(c["open"], c["close"]))
    assert np.all(c["high"] >= np.maximum(c["open"], c["close"]))
    assert np.all(c["open"][1:] == c["close"][:-1])
    assert np.all((c["bid"] < c["close"]) & (c["close"] < c["ask"]))
    assert np.all(c["volume"] > 0)


def test_a_weekend_moves_the_price_more_than_a_minute():
    year = minute_candles(model("EURUSD", decimals=8), START, START + 364 * DAY_MS, 1)
    c = columns(year)
    moves = np.log(c["close"] / c["open"])
    first = np.append(False, np.diff(c["timestamp_ms"]) > MINUTE_MS)
    assert first.sum() >= 50
    assert np.std(moves[first]) > 10 * np.std(moves[~first])


def test_seconds_lie_within_their_minute_and_end_on_its_close():
    fine = model(decimals=6)
    minutes = minute_candles(fine, START, END, 1)
    first = START + DAY_MS
    seconds = columns(second_candles(fine, minutes, [(first, first + DAY_MS - 1)], 1))
    assert seconds["timestamp_ms"].tolist() == [first + k * SECOND_MS for k in range(86_400)]
    of_day = {name: c[1440:2880] for name, c in columns(minutes).items()}
    close = seconds["close"].reshape(1440, 60)
    assert close[:, -1].tolist() == of_day["close"].tolist()
    assert np.all(close.min(axis=1) >= of_day["low"])
    assert np.all(close.max(axis=1) <= of_day["high"])
    # the first second starts where the minute does, up to a second's own move
    assert np.abs(close[:, 0] / of_day["open"] - 1).max() < 6 * 0.0005 / np.sqrt(60)
    assert np.all(np.diff(close, axis=1).std(axis=1) > 0)


def test_seconds_are_only_where_they_are_wanted():
    minutes = minute_candles(model(), START, END, 1)
    assert len(second_candles(model(), minutes, [], 1)) == 0
    windows = [(START + MINUTE_MS, START + MINUTE_MS), (START + DAY_MS, START + DAY_MS + 1)]
    assert len(second_candles(model(), minutes, windows, 1)) == 120

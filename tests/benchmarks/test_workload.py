"""Made-up networks are what they claim: acceptable, reproducible, and shaped like the real one."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from benchmarks.market import NEAR_MS, PAIRS, MarketTime
from benchmarks.workload import SIZES, Workload, workload
from sqlalchemy import create_engine, text

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, parse_time
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.conversion import Conversion, convert
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.rulebook import load_rulebook
from ptn_backtest.sessions import open_at
from ptn_backtest.sources.database.source import DatabasePositionOrderSource
from ptn_backtest.trade_pairs import TradePair


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return workload("small", folder=tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def converted(made: Workload) -> Conversion:
    return convert(DatabasePositionOrderSource(made.url).read())


def test_the_network_size_is_that_of_the_network() -> None:
    """Rates, not the size itself: that takes half a minute."""
    size = SIZES["network"]
    per_trader_day = 20_000 / (size.n_traders * size.n_days)
    small = SIZES["small"]
    assert 310 <= small.n_traders * small.n_days * per_trader_day <= 315


def test_every_position_is_accepted(made: Workload, converted: Conversion) -> None:
    assert converted.rejections == []
    counts = {name: made.counts[name] for name in ("traders", "positions", "orders")}
    assert {name: converted.counts[name] for name in counts} == counts
    assert counts["positions"] == 312
    assert 4 <= counts["orders"] / counts["positions"] <= 6
    assert 16 <= counts["traders"] < 32  # some are idle


def test_orders_are_sent_while_the_market_is_open(converted: Conversion) -> None:
    categories = set()
    for position in converted.positions:
        times = np.array([order.processed_ms for order in position.orders])
        assert open_at(position.trade_pair.category, times).all()
        categories.add(position.trade_pair.category.value)
    assert categories == {"crypto", "forex"}


def test_a_traders_positions_on_a_pair_do_not_overlap(
    made: Workload, converted: Conversion
) -> None:
    held = defaultdict(list)
    for position in converted.positions:
        close_ms = replay(position, load_rulebook("2025-11")).close_ms
        assert (close_ms is None) == (position.orders[-1].order_type.value != "FLAT")
        key = (position.miner_hotkey, position.trade_pair)
        held[key].append((position.open_ms, close_ms or made.end_ms))
    for ranges in held.values():
        ranges.sort()
        for (_, closed), (opened, _) in pairwise(ranges):
            assert closed < opened
    lengths = [closed - opened for ranges in held.values() for opened, closed in ranges]
    assert min(lengths) < HOUR_MS
    assert max(lengths) > 3 * DAY_MS


def test_orders_are_filled_by_the_candles(made: Workload, converted: Conversion) -> None:
    store = CandleStore(made.candles)
    candles = {
        quoted.trade_pair_id: store.read(
            quoted.trade_pair_id, Timespan.SECOND, made.start_ms, made.end_ms
        )
        for quoted in PAIRS
    }
    spread = {quoted.trade_pair_id: quoted.spread for quoted in PAIRS}
    n_found = n_orders = 0
    for position in converted.positions:
        pair = position.trade_pair.trade_pair_id
        times, closes = candles[pair].start_ms, candles[pair].close
        for order in position.orders:
            second_ms = order.processed_ms - order.processed_ms % 1_000
            at = np.searchsorted(times, second_ms)
            n_orders += 1
            if at < len(times) and times[at] == second_ms:
                n_found += 1
                half = spread[pair] / 2
                assert abs(order.price / closes[at] - 1) == pytest.approx(half, rel=1e-6)
    assert 0.6 * n_orders < n_found < n_orders  # some seconds have no candle
    for pair, found in candles.items():
        orders = sorted(
            order.processed_ms
            for position in converted.positions
            if position.trade_pair.trade_pair_id == pair
            for order in position.orders
        )
        away = np.abs(found.start_ms[:, np.newaxis] - np.array(orders))
        assert (away <= NEAR_MS).any(axis=1).all()


def test_minutes_have_holes_but_few(made: Workload) -> None:
    store = CandleStore(made.candles)
    for quoted in PAIRS:
        found = store.read(quoted.trade_pair_id, Timespan.MINUTE, made.start_ms, made.end_ms)
        minutes = np.arange(made.start_ms, made.end_ms, MINUTE_MS)
        open_minutes = int(open_at(quoted.pair.category, minutes).sum())
        assert 0.99 * open_minutes < len(found) < open_minutes
        moves = np.diff(np.log(found.close))
        assert 0.5 * quoted.volatility < np.median(np.abs(moves)) / 0.6745 < 2 * quoted.volatility


def test_a_seed_makes_the_same_network_once(tmp_path: Path) -> None:
    first = workload("8x6", folder=tmp_path / "first")
    again = workload("8x6", folder=tmp_path / "again")
    assert _rows(again) == _rows(first)
    assert again.counts == first.counts
    about = tmp_path / "again" / "8x6-seed8-v1" / "workload.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "seconds": -1.0}))
    assert workload("8x6", folder=tmp_path / "again").seconds == -1.0  # taken, not made again
    assert _rows(workload("8x6", seed=9, folder=tmp_path / "other")) != _rows(first)


def _rows(made: Workload) -> list[object]:
    with create_engine(made.url).connect() as connection:
        tables = ("positions", "orders", "account_sizes")
        return [list(connection.execute(text(f"SELECT * FROM {table}"))) for table in tables]


def test_an_unknown_size_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="'huge': take small, network, year, large"):
        workload("huge", folder=tmp_path)


def test_market_time_skips_the_weekend() -> None:
    """Forex closes on Friday 2025-07-11 at 17:00 in New York, which is 21:00 UTC, until Sunday."""
    friday, monday = parse_time("2025-07-11"), parse_time("2025-07-14")
    forex = MarketTime.of(TradePair.from_trade_pair_id("EURUSD"), friday, monday)
    assert forex.total_ms == 24 * HOUR_MS  # 21 hours of Friday, 3 of Sunday
    moments = forex.clock_ms(np.array([0, 21 * HOUR_MS - 1, 21 * HOUR_MS, 24 * HOUR_MS - 1]))
    assert moments.tolist() == [
        friday,
        parse_time("2025-07-11T21:00") - 1,
        parse_time("2025-07-13T21:00"),
        monday - 1,
    ]
    crypto = MarketTime.of(TradePair.from_trade_pair_id("BTCUSD"), friday, monday)
    assert crypto.clock_ms(np.array([5])).tolist() == [friday + 5]
    assert crypto.total_ms == 3 * DAY_MS

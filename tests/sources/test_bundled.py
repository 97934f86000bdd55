import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ptn_backtest.clock import DAY_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.errors import CandleError
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.order import OrderType
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.checking import check_candles
from ptn_backtest.prices.coverage import missing_ranges
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from ptn_backtest.sessions import open_at
from ptn_backtest.sources import bundled
from ptn_backtest.sources.bundled import (
    END_MS,
    START_MS,
    BundledPositionSource,
    bundled_candles,
)
from ptn_backtest.sources.bundled_plot import ANNA, BRUNO, CHEN, DARA, EMEKA, FREYA
from ptn_backtest.sources.records import PositionQuery


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return bundled_candles(tmp_path_factory.mktemp("bundled") / "candles")


@pytest.fixture(scope="module")
def positions():
    conversion = convert(BundledPositionSource().read())
    assert conversion.rejections == []
    return conversion.positions


def closed(position):
    """Whether the last order is FLAT, or takes the leverage to 0 or beyond."""
    held = math.fsum(order.leverage for order in position.orders)
    flat = position.orders[-1].order_type is OrderType.FLAT
    return flat or held * position.orders[0].leverage <= 0


def of(positions, hotkey):
    return [position for position in positions if position.miner_hotkey == hotkey]


def test_hotkeys_look_like_hotkeys_and_like_fakes():
    for hotkey in (ANNA, BRUNO, CHEN, DARA, EMEKA, FREYA):
        assert len(hotkey) == 48
        assert hotkey.startswith("5TestTrader")
        assert not set(hotkey) & set("0OIl"), "not in the alphabet of addresses"


def test_it_says_that_it_is_synthetic(store):
    assert "synthetic" in BundledPositionSource().describe()
    assert store.synthetic
    assert "synthetic" in store.describe()


def test_orders_lie_in_the_range_after_fee_v6_and_slippage_v1(positions):
    times = [order.processed_ms for position in positions for order in position.orders]
    assert min(times) >= START_MS
    assert max(times) <= END_MS
    assert min(times) > max(DEFAULT_RULEBOOK.carry_from_ms, DEFAULT_RULEBOOK.slippage_v1_ms)


def test_ids_are_unique_and_records_ordered():
    records = list(BundledPositionSource().read())
    uuids = [order.fields["order_uuid"] for record in records for order in record.orders]
    assert len(set(uuids)) == len(uuids)
    keys = [
        tuple(r.fields[k] for k in ("miner_hotkey", "open_ms", "position_uuid")) for r in records
    ]
    assert keys == sorted(keys)


def test_every_order_is_filled_within_the_spread_of_its_second(positions, store):
    for position in positions:
        for order in position.orders:
            if order.src == 1:
                assert order.price == 0
                continue
            at = order.processed_ms - order.processed_ms % SECOND_MS
            pair = position.trade_pair.trade_pair_id
            [close] = store.read(pair, Timespan.SECOND, at, at).close
            assert order.bid < close < order.ask
            assert order.price in (order.bid, order.ask)
            bought = order.leverage > 0
            if order.order_type is OrderType.FLAT:
                bought = position.orders[0].order_type is OrderType.SHORT
            assert (order.price == order.ask) == bought
            assert 0 < order.slippage < 0.001
            assert open_at(position.trade_pair.category, np.array([order.processed_ms]))[0]


def test_the_candles_pass_the_check_with_these_orders(positions, store):
    orders: dict[str, list[tuple[int, float]]] = {}
    for position in positions:
        for order in position.orders:
            if order.price:
                orders.setdefault(position.trade_pair.trade_pair_id, []).append(
                    (order.processed_ms, order.price)
                )
    report = check_candles(store, orders=orders, price_tolerance=0.0001)
    assert report.findings == []
    assert report.n_orders == 43


def test_no_candle_is_missing_for_a_run_of_the_range(positions, store):
    pairs = {position.trade_pair.trade_pair_id for position in positions}
    assert missing_ranges(store, {pair: [(START_MS, END_MS + DAY_MS)] for pair in pairs}) == []


def test_second_and_minute_candles_agree(store):
    for pair in store.pairs():
        seconds = store.read(pair, Timespan.SECOND, START_MS, END_MS)
        last = seconds.start_ms % MINUTE_MS == MINUTE_MS - SECOND_MS
        minutes = store.read(pair, Timespan.MINUTE, START_MS, END_MS)
        closes = dict(zip(minutes.start_ms.tolist(), minutes.close.tolist(), strict=True))
        ends = (seconds.start_ms[last] - (MINUTE_MS - SECOND_MS)).tolist()
        assert len(ends) > 100
        assert [closes[at] for at in ends] == seconds.close[last].tolist()


def test_the_cases_that_they_are_there_for(positions):
    """Each case of the list in the documentation, by the trader who shows it."""
    anna, chen, dara, freya = (of(positions, key) for key in (ANNA, CHEN, DARA, FREYA))
    assert {p.trade_pair.category for p in positions} == {"crypto", "forex"}
    kinds = Counter(order.order_type for p in positions for order in p.orders)
    assert min(kinds[kind] for kind in OrderType) >= 5
    # adds, a reduction, FLAT with -L
    [_, add, reduction, flat] = anna[0].orders
    assert add.leverage > 0 > reduction.leverage
    assert flat.order_type is OrderType.FLAT
    assert flat.leverage == pytest.approx(-0.25)
    # an order that would flip only closes; an open end
    assert anna[1].orders[-1].order_type is OrderType.LONG
    assert closed(anna[1])
    assert not closed(anna[2])
    # FLAT with leverage 0
    assert any(o.order_type is OrderType.FLAT and o.leverage == 0 for p in chen for o in p.orders)
    # forex over a weekend
    saturday = parse_time("2025-09-06T12:00")
    assert chen[0].open_ms < saturday < chen[0].orders[-1].processed_ms
    # orders of one millisecond, on one pair and on two
    by_time = Counter((o.processed_ms, p.trade_pair.trade_pair_id) for p in dara for o in p.orders)
    assert max(by_time.values()) == 2
    opened = Counter(p.open_ms for p in dara)
    assert max(opened.values()) == 2
    # price-0 flats of an elimination
    assert [p.orders[-1].src for p in of(positions, EMEKA)] == [1, 1]
    assert [closed(p) for p in freya].count(False) == 2


def test_one_trader_has_a_drawdown_beyond_the_networks_limit(positions):
    lost = 1.0
    for position in of(positions, BRUNO):
        first, last = position.orders
        lost *= 1 + (last.price / first.price - 1) * first.leverage
    assert lost < 0.9


def test_what_is_asked_for_is_what_is_read():
    source = BundledPositionSource()
    cut = parse_time("2025-09-05")
    everything = list(source.read())
    by_hotkey = list(source.read(PositionQuery(hotkeys=(ANNA, CHEN))))
    assert {r.fields["miner_hotkey"] for r in by_hotkey} == {ANNA, CHEN}
    early = list(source.read(PositionQuery(end_ms=cut)))
    assert 0 < len(early) < len(everything)
    assert all(o.fields["processed_ms"] <= cut for r in early for o in r.orders)
    late = list(source.read(PositionQuery(start_ms=parse_time("2025-09-24"), history="range")))
    assert 0 < len(late) < len(everything)
    assert len(list(source.read(PositionQuery(start_ms=parse_time("2025-09-24"))))) == len(
        everything
    )


def test_account_sizes_and_the_elimination():
    source = BundledPositionSource()
    sizes = source.read_account_sizes()
    assert [size for _, size in sizes[ANNA]] == [100_000.0, 250_000.0]
    assert FREYA not in sizes
    assert list(source.read_account_sizes(PositionQuery(hotkeys=(CHEN,)))) == [CHEN]
    [elimination] = source.read_eliminations()
    assert elimination.fields["miner_hotkey"] == EMEKA
    assert source.read_eliminations(PositionQuery(end_ms=START_MS)) == []
    assert source.read_eliminations(PositionQuery(hotkeys=(ANNA,))) == []


def test_a_second_call_reuses_the_store(tmp_path):
    first = bundled_candles(tmp_path / "candles")
    made = {path: path.stat().st_mtime_ns for path in first.root.rglob("*.parquet")}
    bundled_candles(tmp_path / "candles")
    assert {path: path.stat().st_mtime_ns for path in first.root.rglob("*.parquet")} == made


def test_two_processes_make_the_same_bytes(store, tmp_path):
    program = (
        "import sys; from ptn_backtest.sources.bundled import bundled_candles; "
        "bundled_candles(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "other")], check=True)

    def contents(root: Path):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.parquet")}

    assert contents(tmp_path / "other") == contents(store.root)


def test_two_processes_at_once_share_one_store(tmp_path):
    program = (
        "import sys; from ptn_backtest.sources.bundled import bundled_candles; "
        "print(len(bundled_candles(sys.argv[1]).pairs()))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "candles")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in both] == ["5\n", "5\n"]
    assert [path.name for path in tmp_path.iterdir()] == ["candles"]


def test_another_recipe_is_made_anew(tmp_path, monkeypatch):
    bundled_candles(tmp_path / "candles")
    path = tmp_path / "candles/store.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"label": "synthetic, seed 1, recipe 0"}))
    monkeypatch.setattr(bundled, "LABEL", "synthetic, of a later version")
    assert bundled_candles(tmp_path / "candles").label == "synthetic, of a later version"


def test_real_candles_and_other_things_are_never_overwritten(tmp_path):
    CandleStore.create(tmp_path / "real")
    with pytest.raises(CandleError, match="holds real candles"):
        bundled_candles(tmp_path / "real")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.txt").write_text("years of work")
    with pytest.raises(CandleError, match="not empty and not a candle store"):
        bundled_candles(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "real"]
    assert (tmp_path / "other/thesis.txt").read_text() == "years of work"

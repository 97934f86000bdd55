import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.errors import UnknownTradePair
from ptn_backtest.prices.candle_file import SCHEMA, write_file
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.checking import FindingKind, check_candles
from ptn_backtest.prices.importing import import_candles
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import table

MONDAY = parse_time("2025-01-06")


@pytest.fixture
def store(tmp_path):
    return CandleStore.create(tmp_path / "prices")


def walk(count, start_ms=MONDAY, step_ms=MINUTE_MS):
    """A quiet random walk around 100, a usual move being some 0.01 %."""
    moves = np.random.default_rng(3).standard_normal(count) * 1e-4
    return [start_ms + k * step_ms for k in range(count)], (100 * np.exp(moves.cumsum())).tolist()


def kinds(report):
    return [finding.kind for finding in report.findings]


def test_a_quiet_day_has_no_findings(store):
    store.write("BTCUSD", Timespan.MINUTE, table(*walk(1440)))
    report = check_candles(store)
    assert report.findings == []
    assert report.checked == {("BTCUSD", Timespan.MINUTE): 1440}


def test_gaps_are_reported_as_stretches(store):
    times, closes = walk(1440)
    keep = [k for k in range(1440) if k not in (5, 6, 7, 100)]
    store.write(
        "BTCUSD", Timespan.MINUTE, table([times[k] for k in keep], [closes[k] for k in keep])
    )
    report = check_candles(store)
    assert [(f.kind, f.start_ms, f.end_ms, f.count) for f in report.findings] == [
        (FindingKind.GAP, times[5], times[8], 3),
        (FindingKind.GAP, times[100], times[101], 1),
    ]


def test_a_range_that_is_asked_for_must_be_covered_whole(store):
    store.write("BTCUSD", Timespan.MINUTE, table(*walk(120, MONDAY + HOUR_MS)))
    assert check_candles(store).findings == []
    report = check_candles(store, start_ms=MONDAY, end_ms=MONDAY + 4 * HOUR_MS - MINUTE_MS)
    assert [(f.start_ms, f.count) for f in report.problems] == [
        (MONDAY, 60),
        (MONDAY + 3 * HOUR_MS, 60),
    ]


def test_holes_between_second_candles_are_none(store):
    times, closes = walk(300, step_ms=SECOND_MS)
    store.write("BTCUSD", Timespan.SECOND, table(times[:100] + times[200:], closes[:200]))
    assert check_candles(store).findings == []


@pytest.mark.parametrize("factor", [1.02, 0.98])
@pytest.mark.parametrize("length", [1, 2])
def test_a_price_that_jumps_and_comes_back_is_a_spike(store, factor, length):
    times, closes = walk(600)
    closes[300 : 300 + length] = [close * factor for close in closes[300 : 300 + length]]
    store.write("BTCUSD", Timespan.MINUTE, table(times, closes))
    report = check_candles(store)
    assert kinds(report) == [FindingKind.SPIKE] * length
    assert report.findings[0].start_ms == times[300]
    assert "2.0" in report.findings[0].detail


def test_a_price_that_jumps_and_stays_is_none(store):
    times, closes = walk(600)
    closes[300:] = [close * 1.02 for close in closes[300:]]
    store.write("BTCUSD", Timespan.MINUTE, table(times, closes))
    assert check_candles(store).findings == []


def test_a_price_that_jumps_twice_in_one_direction_is_none(store):
    times, closes = walk(600)
    closes[300:] = [close * 1.02 for close in closes[300:]]
    closes[301:] = [close * 1.02 for close in closes[301:]]
    store.write("BTCUSD", Timespan.MINUTE, table(times, closes))
    assert check_candles(store).findings == []


def test_the_threshold_is_in_usual_moves(store):
    times, closes = walk(600)
    closes[300] *= 1 + 10 * 6.7e-5  # 10 medians of |N(0, 1e-4)|, up to the noise around it
    store.write("BTCUSD", Timespan.MINUTE, table(times, closes))
    assert check_candles(store, spike_threshold=20).findings == []
    assert kinds(check_candles(store, spike_threshold=5)) == [FindingKind.SPIKE]


def test_a_price_that_never_moves_has_no_spikes(store):
    times, _ = walk(100)
    store.write("BTCUSD", Timespan.MINUTE, table(times, [5.0] * 100))
    assert check_candles(store).findings == []


def test_a_close_outside_its_candle_is_inconsistent(store):
    times = [MONDAY, MONDAY + MINUTE_MS, MONDAY + 2 * MINUTE_MS]
    bad = table(
        times, [10.0, 11.5, 11.0], low=[9.0, 10.0, None], high=[11.0, 11.0, None], open=[10.0] * 3
    )
    store.write("BTCUSD", Timespan.MINUTE, bad)
    [finding] = check_candles(store).findings
    assert (finding.kind, finding.start_ms) == (FindingKind.INCONSISTENT, times[1])
    assert "close 11.5" in finding.detail


def test_a_file_changed_by_hand_is_seen_through(store):
    times, closes = walk(60)
    store.write("BTCUSD", Timespan.MINUTE, table(times, closes))
    path = store.root / "minute/BTCUSD/2025-01.parquet"
    rows = pq.read_table(path).slice(0, 6).to_pylist()
    rows[1]["timestamp_ms"] = rows[0]["timestamp_ms"]
    rows[3]["timestamp_ms"] = MONDAY
    rows[4]["close"] = -1.0
    rows[5]["timestamp_ms"] += 500
    write_file(path, pa.Table.from_pylist(rows, schema=SCHEMA))
    found = {(finding.kind, finding.start_ms) for finding in check_candles(store).findings}
    assert found == {
        (FindingKind.DUPLICATE, MONDAY),
        (FindingKind.OUT_OF_ORDER, MONDAY),
        (FindingKind.BAD_CLOSE, times[4]),
        (FindingKind.OFF_GRID, times[5] + 500),
    }


def test_a_file_that_cannot_be_read_is_a_finding_and_the_others_are_checked(store):
    store.write("BTCUSD", Timespan.MINUTE, table(*walk(60)))
    store.write("ETHUSD", Timespan.MINUTE, table(*walk(60)))
    (store.root / "minute/BTCUSD/2025-01.parquet").write_bytes(b"PAR1 no more")
    report = check_candles(store)
    assert kinds(report) == [FindingKind.UNREADABLE]
    assert "2025-01.parquet" in report.findings[0].detail
    assert report.checked == {("ETHUSD", Timespan.MINUTE): 60}


def test_candles_of_a_closed_market_are_mentioned_but_no_problem(store):
    saturday = parse_time("2025-01-11T12:00")
    store.write("EURUSD", Timespan.MINUTE, table(*walk(30, saturday)))
    report = check_candles(store)
    assert [(f.kind, f.count) for f in report.findings] == [(FindingKind.MARKET_CLOSED, 30)]
    assert report.problems == []


def test_orders_are_compared_with_their_candles(store):
    times = [MONDAY, MONDAY + MINUTE_MS]
    store.write(
        "BTCUSD", Timespan.MINUTE, table(times, [100.0, 101.0], low=[99.0] * 2, high=[102.0] * 2)
    )
    orders = {
        "BTCUSD": [
            (MONDAY + 59_999, 102.0),
            (MONDAY + 1, 102.3),
            (MONDAY + 61_000, 98.9),
            (MONDAY + MINUTE_MS + 5, 90.0),
        ]
    }
    report = check_candles(store, orders=orders)
    assert [(f.kind, f.start_ms) for f in report.findings] == [
        (FindingKind.ORDER_OUTSIDE_CANDLE, MONDAY + 1),
        (FindingKind.ORDER_OUTSIDE_CANDLE, MONDAY + MINUTE_MS + 5),
    ]
    assert "90.0 is 10.00% outside its candle, 99.0 to 102.0" in report.findings[1].detail
    assert report.n_orders == 4
    assert len(check_candles(store, orders=orders, price_tolerance=0.0).findings) == 3


def test_without_high_and_low_a_candle_reaches_from_the_close_before_to_its_own(store):
    times = [MONDAY, MONDAY + MINUTE_MS]
    store.write("BTCUSD", Timespan.MINUTE, table(times, [100.0, 110.0]))
    inside = {"BTCUSD": [(MONDAY + MINUTE_MS, 105.0)]}
    outside = {"BTCUSD": [(MONDAY + MINUTE_MS, 99.0)]}
    assert check_candles(store, orders=inside).findings == []
    assert kinds(check_candles(store, orders=outside)) == [FindingKind.ORDER_OUTSIDE_CANDLE]


def test_an_order_without_a_candle_is_found_also_for_a_pair_without_any(store):
    store.write("BTCUSD", Timespan.MINUTE, table(*walk(60)))
    orders = {"BTCUSD": [(MONDAY + DAY_MS, 100.0)], "ETHUSD": [(MONDAY, 2_000.0)]}
    report = check_candles(store, orders=orders)
    assert [(f.kind, f.trade_pair_id) for f in report.findings] == [
        (FindingKind.ORDER_WITHOUT_CANDLE, "BTCUSD"),
        (FindingKind.ORDER_WITHOUT_CANDLE, "ETHUSD"),
    ]
    assert check_candles(store, orders=orders, end_ms=MONDAY + 59 * MINUTE_MS).n_orders == 1


def test_only_the_pairs_asked_for(store):
    store.write("BTCUSD", Timespan.MINUTE, table(*walk(60)))
    store.write("ETHUSD", Timespan.MINUTE, table(*walk(60)))
    report = check_candles(store, trade_pair_ids=["ETHUSD"])
    assert list(report.checked) == [("ETHUSD", Timespan.MINUTE)]
    with pytest.raises(UnknownTradePair):
        check_candles(store, trade_pair_ids=["ETHUSDT"])


def test_real_crypto_candles_are_sound(store, shared):
    """Two years of real minutes with crashes in them: no gaps, and no move is taken for a spike."""
    files = sorted((shared / "data/candles").glob("[!E]*.parquet"))
    import_candles(store, files)
    report = check_candles(store)
    assert report.findings == []
    assert report.checked["BTCUSD", Timespan.MINUTE] == 480_960 + 527_040


def test_real_forex_candles_have_holes_in_market_hours_only(store, shared):
    import_candles(store, [shared / "data/candles/EURUSD_1m.parquet"])
    report = check_candles(store)
    assert {f.kind for f in report.findings} == {FindingKind.GAP, FindingKind.MARKET_CLOSED}
    gaps = [f for f in report.findings if f.kind is FindingKind.GAP]
    held = store.read("EURUSD", Timespan.MINUTE, 0, 2**62)
    # had weekends counted, each would be a gap of 2,880 minutes
    assert max(gap.count for gap in gaps) < 2 * 1440
    for gap in gaps:
        between = held.start_ms[(held.start_ms >= gap.start_ms) & (held.start_ms < gap.end_ms)]
        assert len(between) == 0
    # Boxing Day and Good Friday, which the provider has and the network's market hours do not
    closed = [f for f in report.findings if f.kind is FindingKind.MARKET_CLOSED]
    assert [f.start_ms for f in closed] == [
        parse_time("2023-12-26T08:00"),
        parse_time("2024-03-29T04:00"),
    ]

"""Expected figures are worked out by hand; the arithmetic stands beside them."""

import itertools
import math
import pickle
import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import parse_time
from ptn_backtest.errors import MissingCandles, SlippageError
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.slippage import (
    annualized_volatility,
    average_daily_volume,
    needs_market_data,
    slippage_of,
    with_slippage,
)
from ptn_backtest.prices.daily import NO_MARKET_DATA, MarketData
from ptn_backtest.rulebook.slippage_rules import DEFAULT_SLIPPAGE_RULES, SlippageRules
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

V2 = parse_time("2025-10-02T18:59:00")
EQUITIES_TABLE = parse_time("2025-01-01T08:00:00")
AFTER = V2 + 1


def pair_of(trade_pair_id: str) -> TradePair:
    return TradePair.from_trade_pair_id(trade_pair_id)


def order(leverage: float = 1.0, time_ms: int = AFTER, **others: Any) -> Order:
    kind = OrderType.LONG if leverage > 0 else OrderType.SHORT
    return Order("o", kind, leverage, 100.0, time_ms, **others)


def market(volatility: float = 0.1, adv: float = 1_000.0, usd: float | None = 1.25) -> MarketData:
    """Closes whose 30 log returns are +a, -a, ...: mean 0, sample variance 30 a^2 / 29.

    So volatility = a x sqrt(30 / 29) x sqrt(252); solved for a.
    """
    a = volatility / math.sqrt(252 * 30 / 29)
    return MarketData(np.exp([0.0, a] * 15 + [0.0]), np.full(10, adv), usd)


def crypto(trade_pair_id: str, size_usd: float, *, side: int = 1, time_ms: int = AFTER) -> float:
    return slippage_of(order(side, time_ms), pair_of(trade_pair_id), capital=size_usd)


def forex(time: str, **others: Any) -> float:
    quoted = order(1.0, parse_time(time), bid=1.0999, ask=1.1001)
    return slippage_of(quoted, pair_of("EURUSD"), capital=100_000, **others)


@pytest.mark.parametrize(
    ("size_usd", "long", "short"),
    [  # three times the table's value
        (1_000.0, 0.0, 0.0),
        (1_000.01, 3 * 2.2525308722996182e-06, 3 * 1.8714248763870289e-06),
        (9_999.99, 6.7575926168988546e-06, 5.6142746291610867e-06),
        (10_000.0, 3 * 3.578742993003588e-05, 3 * 3.163017440932063e-05),
        (49_999.99, 1.0736228979010764e-04, 9.489052322796189e-05),
        (50_000.0, 3 * 7.730425921053905e-05, 3 * 7.04906219251299e-05),
        (99_999.99, 2.3191277763161715e-04, 2.114718657753897e-04),
        (100_000.0, 3 * 0.0001578826316011314, 3 * 0.00015290367710506431),
        (499_999.99, 4.736478948033942e-04, 4.5871103131519293e-04),
        (500_000.0, 4.736478948033942e-04, 4.5871103131519293e-04),
        (9e9, 4.736478948033942e-04, 4.5871103131519293e-04),
    ],
)
def test_crypto_after_v2_goes_by_side_and_size(size_usd, long, short):
    assert crypto("BTCUSD", size_usd) == pytest.approx(long, rel=1e-12)
    assert crypto("BTCUSD", size_usd, side=-1) == pytest.approx(short, rel=1e-12)


@pytest.mark.parametrize(
    ("trade_pair_id", "smallest", "largest"),
    [
        ("ETHUSD", 1.8682436977079997e-05, 0.00024011625082572308),
        ("SOLUSD", 7.449112949871614e-05, 0.00024160269241262243),
        ("XRPUSD", 6.711624517606607e-05, 0.00028151913602232224),
        ("DOGEUSD", 0.00020455587198312718, 0.0008175811267262921),
        ("ADAUSD", 0.00022360736103387808, 0.0007308296913946291),
    ],
)
def test_every_crypto_pair_has_its_own_row(trade_pair_id, smallest, largest):
    assert crypto(trade_pair_id, 2_000) == pytest.approx(3 * smallest, rel=1e-12)
    assert crypto(trade_pair_id, 1e7) == pytest.approx(3 * largest, rel=1e-12)


@pytest.mark.parametrize(
    ("trade_pair_id", "expected"),
    [
        *(("BTCUSD", 0.00002), ("ETHUSD", 0.00002), ("SOLUSD", 0.0002)),
        *(("XRPUSD", 0.0002), ("DOGEUSD", 0.0002), ("ADAUSD", 0.0002)),
    ],
)
def test_crypto_up_to_v2_is_a_constant_and_v2_begins_strictly_after(trade_pair_id, expected):
    assert crypto(trade_pair_id, 100_000, time_ms=V2) == expected
    assert crypto(trade_pair_id, 100_000, time_ms=V2 + 1) != expected
    assert crypto(trade_pair_id, 1_000, time_ms=V2) == 0.0


def test_the_size_is_leverage_times_capital():
    bitcoin = pair_of("BTCUSD")
    # 0.5 x 20,000 = 10,000 USD: the second row; 0.25 x 20,000 = 5,000: the first
    second = slippage_of(order(0.5), bitcoin, capital=20_000)
    first = slippage_of(order(0.25), bitcoin, capital=20_000)
    assert second == pytest.approx(3 * 3.578742993003588e-05)
    assert first == pytest.approx(3 * 2.2525308722996182e-06)


def test_the_recorded_leverage_of_a_flat_counts():
    bitcoin = pair_of("BTCUSD")
    flat = Order("o", OrderType.FLAT, 0.0, 100.0, AFTER)
    assert slippage_of(flat, bitcoin, capital=100_000) == 0.0
    selling = slippage_of(replace(flat, leverage=-1.0), bitcoin, capital=9_000)
    assert selling == pytest.approx(3 * 1.8714248763870289e-06)


@pytest.mark.parametrize(
    ("time", "expected"),
    [  # summer time: New York is 4 hours behind; winter: 5
        ("2025-10-03T20:59:59.999", 0.0002),
        ("2025-10-03T21:00:00", 0.0005),
        ("2025-10-03T21:59:59.999", 0.0005),
        ("2025-10-03T22:00:00", 0.0002),
        ("2025-12-01T21:00:00", 0.0002),
        ("2025-12-01T21:59:59.999", 0.0002),
        ("2025-12-01T22:00:00", 0.0005),
        ("2025-12-01T22:59:59.999", 0.0005),
        ("2025-12-01T23:00:00", 0.0002),
        ("2026-03-06T22:30:00", 0.0005),  # the last working day of winter time
        ("2026-03-09T21:30:00", 0.0005),  # the first of summer time
        ("2026-03-09T22:30:00", 0.0002),
    ],
)
def test_forex_after_v2_is_dearer_from_17_to_18_in_new_york(time, expected):
    assert forex(time) == expected


def test_gold_and_silver_follow_the_forex_rule():
    for metal in ("XAUUSD", "XAGUSD"):
        quoted = order(1.0, parse_time("2025-12-01T22:00:00"), bid=1.0, ask=1.1)
        assert slippage_of(quoted, pair_of(metal), capital=100_000) == 0.0005


def before_v2(leverage: float, bid: float, ask: float) -> Order:
    return order(leverage, V2, bid=bid, ask=ask)


@pytest.mark.parametrize("capital", [100_000.0, 500_000.0])
@pytest.mark.parametrize("side", [1, -1])
def test_forex_up_to_v2(capital, side):
    # spread / mid = 0.0002 / 1.25 = 0.00016; x 0.433 = 6.928e-5
    # sqrt(0.1^2 / 3 / 250) = sqrt(1.33333e-5) = 0.00365148
    # lots = 3.75 x 100,000 / (100,000 x 1.25) = 3; sqrt(3 / (0.3 x 1,000)) = 0.1
    # 0.335 x 0.00365148 x 0.1 = 1.223247e-4; capital does not change the lots
    computed = slippage_of(
        before_v2(side * 3.75, 1.2499, 1.2501), pair_of("EURUSD"), capital=capital, market=market()
    )
    assert computed == pytest.approx(6.928e-5 + 1.223247e-4, rel=1e-6)


def test_lots_count_the_base_currency_and_not_the_price():
    # one unit of base at 0.8 USD: lots = 2.4 x 100,000 / (100,000 x 0.8) = 3, so 0.1 as above;
    # spread / mid = 0.03 / 150 = 0.0002; x 0.433 = 8.66e-5
    computed = slippage_of(
        before_v2(2.4, 149.985, 150.015), pair_of("CHFJPY"), capital=1e5, market=market(usd=0.8)
    )
    assert computed == pytest.approx(8.66e-5 + 1.223247e-4, rel=1e-6)


def test_forex_needs_nothing_of_the_market_from_v2_on():
    quoted = before_v2(1, 1.1, 1.2)
    assert slippage_of(replace(quoted, processed_ms=V2 + 1), pair_of("EURUSD"), capital=1e5) > 0
    with pytest.raises(MissingCandles):
        slippage_of(quoted, pair_of("EURUSD"), capital=1e5)


def test_equities_by_the_table():
    # mid 250, spread 0.1: 0.0004; shares = 0.05 x 100,000 / 250 = 20; 20 / 1e6 = 2e-5; size 5,000
    # -6.0712695e-6 + 0.5339598 x 0.0004 + 2.5430092e-5 x 0.1 + 3.2677497 x 2e-5
    # = -6.0712695e-6 + 2.135839202e-4 + 2.5430092e-6 + 6.53549940e-5 = 2.754106539e-4
    bought = order(0.05, EQUITIES_TABLE + 1, bid=249.95, ask=250.05)
    apple, seen = pair_of("AAPL"), market(adv=1e6)
    computed = slippage_of(bought, apple, capital=100_000, market=seen)
    assert computed == pytest.approx(2.754106539e-4, rel=1e-8)
    # sold: -7.4372533e-6 + 0.5679064307 x 0.0004 + 1.9024258e-5 x 0.1 + 3.3342386406 x 2e-5
    # = -7.4372533e-6 + 2.271625723e-4 + 1.9024258e-6 + 6.66847728e-5 = 2.883125176e-4
    sold = replace(bought, order_type=OrderType.SHORT, leverage=-0.05)
    computed = slippage_of(sold, apple, capital=100_000, market=seen)
    assert computed == pytest.approx(2.883125176e-4, rel=1e-8)


def test_equities_up_to_the_table_use_the_forex_formula_with_shares():
    # shares = 0.75 x 100,000 / 250 = 300; sqrt(300 / (0.3 x 100,000)) = 0.1
    # 0.433 x 0.0004 = 1.732e-4; 0.335 x 0.00365148 x 0.1 = 1.223247e-4
    quoted = order(0.75, EQUITIES_TABLE, bid=249.95, ask=250.05)
    computed = slippage_of(quoted, pair_of("AAPL"), capital=1e5, market=market(adv=1e5))
    assert computed == pytest.approx(1.732e-4 + 1.223247e-4, rel=1e-6)


@pytest.mark.parametrize(
    ("size_usd", "intercept"),
    [
        (1_000.0, 0.0),
        (1_000.01, 7.542982584750409e-06),
        (10_000.0, 7.542982584750409e-06),
        (10_000.01, 2.0603998817839753e-05),
        (50_000.0, 2.0603998817839753e-05),
        (50_000.01, 4.1831421748321704e-05),
        (100_000.0, 4.1831421748321704e-05),
        (100_000.01, 8.911458972487055e-05),
        (200_000.0, 8.911458972487055e-05),
        (200_000.01, 8.050970910635713e-05),
        (300_000.0, 8.050970910635713e-05),
    ],
)
def test_equities_buckets_take_their_upper_bound(size_usd, intercept):
    # no spread, no volatility, and a volume beside which the order vanishes: the intercept is left
    still = market(volatility=0.0, adv=1e15)
    quoted = order(1.0, AFTER, bid=250.0, ask=250.0)
    computed = slippage_of(quoted, pair_of("TSLA"), capital=size_usd, market=still)
    assert computed == pytest.approx(intercept, abs=1e-10)


def test_equities_above_the_table_are_an_error():
    quoted = order(1.0, AFTER, bid=250.0, ask=250.0)
    with pytest.raises(SlippageError, match="orders of TSLA above 300,000 USD"):
        slippage_of(quoted, pair_of("TSLA"), capital=300_000.01, market=market())


@pytest.mark.parametrize("trade_pair_id", ["TAOUSD", "SPX", "VIX", "GDAXI"])
@pytest.mark.parametrize("time_ms", [V2, AFTER])
def test_pairs_without_a_rule(trade_pair_id, time_ms):
    quoted = order(1.0, time_ms, bid=100.0, ask=101.0)
    with pytest.raises(SlippageError, match=f"no slippage rule for {trade_pair_id}"):
        slippage_of(quoted, pair_of(trade_pair_id), capital=100_000, market=market())


@pytest.mark.parametrize("quote", [{}, {"bid": 1.1}, {"ask": 1.1}])
@pytest.mark.parametrize("trade_pair_id", ["EURUSD", "XAUUSD", "AAPL"])
@pytest.mark.parametrize("time_ms", [EQUITIES_TABLE, V2, AFTER])
def test_without_a_quote_the_slippage_is_0(quote, trade_pair_id, time_ms):
    quoted = order(1.0, time_ms, **quote)
    assert slippage_of(quoted, pair_of(trade_pair_id), capital=100_000) == 0.0


def test_the_clip_comes_last():
    # 0.433 x 1 / 1.5 = 0.29 without the clip; a crossed quote gives -0.29
    euro = pair_of("EURUSD")
    wide, crossed = before_v2(1, 1.0, 2.0), before_v2(1, 2.0, 1.0)
    assert slippage_of(wide, euro, capital=1e5, market=market()) == 0.03
    assert slippage_of(crossed, euro, capital=1e5, market=market()) == 0.0
    # of Apple the intercept is negative
    quoted = order(1.0, AFTER, bid=250.0, ask=250.0)
    still = market(volatility=0.0, adv=1e15)
    assert slippage_of(quoted, pair_of("AAPL"), capital=5_000, market=still) == 0.0


def test_volatility_is_the_yearly_sample_deviation_of_the_last_30_log_returns():
    closes = [1.1 + 0.001 * (k * k % 17) for k in range(40)]
    returns = [math.log(b / a) for a, b in itertools.pairwise(closes[9:])]
    assert len(returns) == 30
    expected = statistics.stdev(returns) * math.sqrt(252)
    assert annualized_volatility(np.array(closes)) == pytest.approx(expected, rel=1e-12)
    assert annualized_volatility(np.array(closes[-31:])) == pytest.approx(expected, rel=1e-12)
    assert annualized_volatility(np.array(closes[-30:])) is None
    assert annualized_volatility(np.array([*closes[1:], 0.0])) is None


def test_volume_is_the_mean_of_the_last_10_days():
    volumes = [9e9, *range(1, 11)]  # 55 / 10
    assert average_daily_volume(np.array(volumes)) == 5.5
    assert average_daily_volume(np.arange(9.0)) is None
    assert average_daily_volume(np.zeros(10)) is None
    assert average_daily_volume(np.array([*[1.0] * 9, math.nan])) is None


@pytest.mark.parametrize(
    ("seen", "named"),
    [
        (NO_MARKET_DATA, ["31 daily candles", "10 daily candles", "EUR in USD"]),
        (replace(market(), base_currency_usd=None), ["EUR in USD"]),
        (replace(market(), volumes=np.full(10, math.nan)), ["volumes of the 10"]),
        (replace(market(), closes=np.ones(30)), ["closes of the 31"]),
    ],
)
def test_what_is_missing_is_named(seen, named):
    with pytest.raises(MissingCandles) as caught:
        slippage_of(before_v2(1, 1.1, 1.2), pair_of("EURUSD"), capital=1e5, market=seen)
    known = ("closes of the 31", "volumes of the 10", "EUR in USD")
    assert all(part in str(caught.value) for part in ["EURUSD", *named])
    assert sum(part in str(caught.value) for part in known) == len(named)


RULED = [
    pair
    for pair in TradePair.all()
    if pair.category is not TradePairCategory.INDICES and pair.trade_pair_id != "TAOUSD"
]
PRICES = st.one_of(st.just(0.0), st.floats(1e-6, 1e7))


@given(
    pair=st.sampled_from(RULED),
    leverage=st.floats(0.001, 500).flatmap(lambda size: st.sampled_from([size, -size])),
    time_ms=st.integers(1_700_000_000_000, 1_800_000_000_000),
    quote=st.tuples(PRICES, PRICES),
    capital=st.floats(1.0, 1e6),
    seen=st.builds(market, st.floats(0, 5), st.floats(1e-3, 1e12), st.floats(1e-3, 1e5)),
)
def test_slippage_is_never_outside_its_bounds(pair, leverage, time_ms, quote, capital, seen):
    quoted = order(leverage, time_ms, bid=quote[0], ask=quote[1])
    try:
        computed = slippage_of(quoted, pair, capital=capital, market=seen)
    except SlippageError:
        assert pair.category is TradePairCategory.EQUITIES
        assert abs(leverage) * capital > 300_000
        return
    assert 0.0 <= computed <= 0.03
    if not needs_market_data(quoted, pair, capital=capital):
        assert slippage_of(quoted, pair, capital=capital) == computed


def test_the_rules_are_a_value():
    assert DEFAULT_SLIPPAGE_RULES.v2_ms == V2
    assert DEFAULT_SLIPPAGE_RULES.equities_table_ms == EQUITIES_TABLE
    assert SlippageRules() == DEFAULT_SLIPPAGE_RULES
    assert hash(SlippageRules()) == hash(DEFAULT_SLIPPAGE_RULES)
    assert pickle.loads(pickle.dumps(DEFAULT_SLIPPAGE_RULES)) == DEFAULT_SLIPPAGE_RULES  # noqa: S301
    once = replace(DEFAULT_SLIPPAGE_RULES, crypto_factor=1.0)
    computed = slippage_of(order(1.0), pair_of("BTCUSD"), capital=9_000, rules=once)
    assert computed == 2.2525308722996182e-06


def test_the_tables_are_those_of_the_facts(shared):
    for name in ("slippage_crypto.csv", "slippage_equities.csv"):
        facts = [line.split(",") for line in (shared / "spec" / name).read_text().splitlines()]
        table = (
            DEFAULT_SLIPPAGE_RULES.crypto_table
            if "crypto" in name
            else DEFAULT_SLIPPAGE_RULES.equities_table
        )
        ours = [[getattr(row, column) for column in facts[0]] for row in table]
        assert ours == [[*row[:2], *map(float, row[2:])] for row in facts[1:]]


def position(trade_pair_id: str, *orders: Order) -> Position:
    return Position("hotkey", trade_pair_id, pair_of(trade_pair_id), V2, orders)


def never(pair: TradePair, time_ms: int) -> MarketData:
    raise AssertionError(f"{pair.trade_pair_id} at {time_ms} needs no market data")


def test_orders_without_slippage_are_filled_and_the_others_kept():
    first = order(0.5, slippage=0.0123)
    before = position("BTCUSD", first, order(-0.5))
    (after,), report = with_slippage([before], never, capital=10_000, recalculate=False)
    assert after.orders[0] is first
    assert after.orders[1].slippage == pytest.approx(3 * 1.8714248763870289e-06)
    assert before.orders[1].slippage == 0.0
    assert (report.n_orders, report.n_recorded, report.n_computed, report.n_changed) == (2, 1, 1, 1)
    assert report.warnings == ()


def test_recalculating_computes_them_all():
    before = position("BTCUSD", order(0.5, slippage=0.0123), order(-0.05, slippage=0.01))
    (after,), report = with_slippage([before], never, capital=10_000, recalculate=True)
    # 5,000 USD: the first row; 500 USD: nothing
    expected = [pytest.approx(3 * 2.2525308722996182e-06), 0.0]
    assert [each.slippage for each in after.orders] == expected
    assert (report.n_recorded, report.n_computed, report.n_changed) == (0, 2, 2)
    again, report = with_slippage([after], never, capital=10_000, recalculate=True)
    assert again[0] is after
    assert (report.n_computed, report.n_changed) == (2, 0)


def test_an_order_without_price_stays_as_it_is():
    closing = Order("o", OrderType.FLAT, -1.0, 0.0, AFTER, src=1)
    before = position("EURUSD", closing)
    (after,), report = with_slippage([before], never, capital=10_000, recalculate=True)
    assert after is before
    assert (report.n_priceless, report.n_computed, report.warnings) == (1, 0, ())


def test_market_data_is_asked_for_as_of_the_order():
    asked = []

    def lookup(pair: TradePair, time_ms: int) -> MarketData:
        asked.append((pair.trade_pair_id, time_ms))
        return market()

    before = position(
        "EURUSD",
        order(0.001, V2 - 5, bid=1.0, ask=2.0),  # 100 USD
        order(3.75, V2 - 4),  # no quote
        before_v2(3.75, 1.2499, 1.2501),
        order(3.75, V2 + 1, bid=1.0, ask=2.0),
    )
    (after,), report = with_slippage([before], lookup, capital=100_000, recalculate=False)
    assert asked == [("EURUSD", V2)]
    expected = [0.0, 0.0, pytest.approx(6.928e-5 + 1.223247e-4, rel=1e-6), 0.0002]
    assert [each.slippage for each in after.orders] == expected
    assert report.without_quote == {"EURUSD": 1}
    (warning,) = report.warnings
    assert "EURUSD: 1 orders have no bid or ask" in warning


def test_what_cannot_be_computed_keeps_its_slippage_and_is_reported():
    known = before_v2(1, 1.1, 1.2)
    before = [
        position("TAOUSD", order(1.0, slippage=0.001), order(2.0, slippage=0.002)),
        position("EURUSD", known, replace(known, order_uuid="p", processed_ms=V2 - 7)),
        position("BTCUSD", order(1.0)),
    ]
    after, report = with_slippage(before, lambda *_: NO_MARKET_DATA, capital=1e5, recalculate=True)
    assert after[:2] == before[:2]
    assert after[2].orders[0].slippage > 0
    assert (report.n_orders, report.n_computed, report.n_unfilled) == (5, 1, 4)
    assert [(each.trade_pair_id, each.n_orders) for each in report.unfilled] == [
        ("TAOUSD", 2),
        ("EURUSD", 2),
    ]
    assert "no slippage rule for TAOUSD" in report.warnings[0]
    assert "2025-10-02 18:59:00 UTC" in report.warnings[1]
    assert "31 daily candles" in report.warnings[1]

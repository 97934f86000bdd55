"""The history of leverage bounds, by hand from the network's dates."""

import math

import pytest

from ptn_backtest.rulebook import LeverageRules, load_rulebook, rulebook_from
from ptn_backtest.trade_pairs import TradePair

V2, V3 = 1_722_018_483_000, 1_739_937_600_000
PORTFOLIO = 1_727_161_200_000
NO_INDICES, NO_EQUITIES = 1_731_700_800_000, 1_744_700_399_000
RULES = LeverageRules()


def pair_of(trade_pair_id: str) -> TradePair:
    return TradePair.from_trade_pair_id(trade_pair_id)


@pytest.mark.parametrize(
    ("trade_pair_id", "t_ms", "largest"),
    [
        ("BTCUSD", V2 - 1, 20.0),
        ("BTCUSD", V2, 0.5),
        ("BTCUSD", V3, 0.5),
        ("EURUSD", 0, 500.0),
        ("EURUSD", V2 - 1, 500.0),
        ("EURUSD", V2, 5.0),
        ("EURUSD", V3, 5.0),
        ("XAUUSD", V2 - 1, 500.0),
        ("XAUUSD", NO_EQUITIES, 5.0),
        ("XAUUSD", NO_EQUITIES + 1, 0.0),
        ("XAGUSD", NO_EQUITIES + 1, 0.0),
        ("EURUSD", NO_EQUITIES + 1, 5.0),
        ("SPX", V2 - 1, 500.0),
        ("SPX", V2, 5.0),
        ("SPX", NO_INDICES, 5.0),
        ("SPX", NO_INDICES + 1, 0.0),
        ("SPX", V3, 0.0),
        ("NVDA", V2 - 1, 0.0),
        ("NVDA", V3 - 1, 5.0),
        ("NVDA", V3, 3.0),
        ("NVDA", NO_EQUITIES, 3.0),
        ("NVDA", NO_EQUITIES + 1, 0.0),
    ],
)
def test_largest(trade_pair_id: str, t_ms: int, largest: float) -> None:
    assert RULES.largest(pair_of(trade_pair_id), t_ms) == largest


@pytest.mark.parametrize(
    ("trade_pair_id", "t_ms", "smallest"),
    [
        ("BTCUSD", V2 - 1, 0.001),
        ("BTCUSD", V2, 0.01),
        ("EURUSD", V2 - 1, 0.001),
        ("EURUSD", V2, 0.1),
        ("NVDA", V3, 0.1),
    ],
)
def test_smallest(trade_pair_id: str, t_ms: int, smallest: float) -> None:
    assert RULES.smallest(pair_of(trade_pair_id), t_ms) == smallest


def test_portfolio() -> None:
    assert RULES.portfolio_cap(PORTFOLIO - 1) == math.inf
    assert RULES.portfolio_cap(PORTFOLIO) == RULES.portfolio_cap(V3) == 10.0
    ids = ("BTCUSD", "EURUSD", "XAUUSD", "SPX", "NVDA")
    assert [RULES.multiplier(pair_of(each)) for each in ids] == [10.0, 1.0, 1.0, 1.0, 2.0]
    assert RULES.orders_per_position == 100


def test_blocked_are_indices_equities_metals_yen_and_tao() -> None:
    blocked = {pair.trade_pair_id for pair in TradePair.all() if RULES.is_blocked(pair)}
    yen = {pair.trade_pair_id for pair in TradePair.all() if "JPY" in pair.trade_pair_id}
    assert len(yen) == 7
    assert blocked == yen | {
        *("SPX", "DJI", "NDX", "VIX", "FTSE", "GDAXI", "XAUUSD", "XAGUSD", "TAOUSD"),
        *("NVDA", "AAPL", "TSLA", "AMZN", "MSFT", "GOOG", "META"),
    }


def test_a_user_moves_a_date_adds_a_change_and_takes_one_out() -> None:
    changes = {
        "v2": {"from": "2024-08-01"},
        "mine": {"from": "2025-06-01", "largest": {"crypto": 2, "ETHUSD": 1}, "portfolio_cap": 30},
        "indices_retired": "none",
        "v3": {"from": "never"},
    }
    mine = rulebook_from({"leverage": {"changes": changes}}, "mine").leverage
    august, june = 1_722_470_400_000, 1_748_736_000_000
    bitcoin, ether, spx = map(pair_of, ("BTCUSD", "ETHUSD", "SPX"))
    assert [mine.largest(bitcoin, t) for t in (august - 1, august, june - 1, june)] == [
        *(20.0, 0.5, 0.5, 2.0)
    ]
    assert mine.largest(ether, june) == 1.0
    assert mine.largest(spx, june) == 5.0
    assert mine.largest(pair_of("NVDA"), V3) == 5.0
    assert (mine.portfolio_cap(june - 1), mine.portfolio_cap(june)) == (10.0, 30.0)
    assert load_rulebook("2025-11").leverage == RULES

"""Ranks, penalties and weights by hand; the golden replays' scores; what no score may depend on."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.bundles.comparing import Comparison
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, PORTFOLIO, PerfLedger
from ptn_backtest.ledger.daily import daily_pnl, daily_returns
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.conversion import convert
from ptn_backtest.rulebook.scoring_rules import METRICS, MinimumDays
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.class_ledgers import class_ledger
from ptn_backtest.rules.penalties import (
    Penalties,
    account_size_penalty,
    drawdown_penalty,
    risk_profile_penalty,
)
from ptn_backtest.rules.ranking import percentile_ranks, softmax
from ptn_backtest.rules.risk_profile import HeldPosition
from ptn_backtest.rules.scoring import (
    Trader,
    class_minimum_days,
    class_ranks,
    minimum_days,
    score,
)
from ptn_backtest.sources.shapes import position_record
from ptn_backtest.trade_pairs import TradePairCategory
from tests.results.made_runs import MIDNIGHT_MS, ledger

CRYPTO, FOREX = TradePairCategory.CRYPTO, TradePairCategory.FOREX
NO_RISK = 1 / (1 + math.exp(-4.8))
"""Penalty of a trader without reckless positions."""
TWO_DAYS = {CRYPTO: 2, FOREX: 2}


def trader(*day_returns: float, size: float = 200_000.0, mdd: float | None = None) -> Trader:
    """A trader on bitcoin only, each day's return booked in its first half."""
    values = np.repeat(np.cumprod(1 + np.array(day_returns)), 2)
    led = ledger(values.tolist())
    if mdd is not None:
        led.cps["mdd"] = mdd
    return Trader({PORTFOLIO: led, "BTCUSD": led}, (), size, Bucket.MAINCOMP)


BEST = trader(0.03, -0.001, 0.03, -0.001)
MIDDLE = trader(0.02, -0.002, 0.02, -0.002)
WORST = trader(0.005, -0.01, 0.005, -0.01)
"""In this order in each of the six metrics."""


def test_percentile_ranks_count_who_is_strictly_below():
    found = percentile_ranks(np.array([5.0, 1.0, 2.0, 2.0]))
    assert found.tolist() == [0.75, 0.0, 0.25, 0.25]
    assert percentile_ranks(np.array([-100.0])).tolist() == [1.0]
    assert percentile_ranks(np.zeros(0)).tolist() == []


def test_softmax_leaves_out_zeros():
    # a difference of 0.15 x ln 3 makes a factor of 3
    low, zero, high = softmax(np.array([0.1, 0.0, 0.1 + 0.15 * math.log(3)]))
    assert high == pytest.approx(1 / (4 / 3 + 1e-6), rel=1e-12)
    assert low == pytest.approx((1 / 3) / (4 / 3 + 1e-6), rel=1e-12)
    assert zero == 0
    assert softmax(np.zeros(2)).tolist() == [0.0, 0.0]
    assert softmax(np.array([0.3])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("days", "asked"),
    [
        (range(100, 119), 7),  # 19 take part
        ([*range(100, 119), 0, 0, 0], 7),  # who has no day takes no part
        (range(30, 50), 30),  # the 20th longest is 30, the median 39.5
        (range(1, 51), 25),  # the 20th longest is 31, the median 25.5
        ([100] * 40, 60),
        (range(1, 26), 7),  # the 20th longest is 6
    ],
)
def test_minimum_days(days, asked):
    assert minimum_days(list(days), MinimumDays()) == asked


def test_only_traders_in_the_network_decide_the_minimum():
    new = replace(BEST, bucket=Bucket.CHALLENGE)
    assert class_minimum_days({"a": new}) == {CRYPTO: 60, FOREX: 60}
    assert class_minimum_days({}) == {CRYPTO: 60, FOREX: 60}
    assert class_minimum_days({"a": new, "b": BEST}) == {CRYPTO: 7, FOREX: 7}
    twenty = {str(i): trader(*[0.01] * 8) for i in range(20)}
    assert class_minimum_days(twenty) == {CRYPTO: 8, FOREX: 7}
    probation = {h: replace(t, bucket=Bucket.PROBATION) for h, t in twenty.items()}
    assert class_minimum_days(probation) == {CRYPTO: 8, FOREX: 7}


@pytest.mark.parametrize(("mdd", "factor"), [(1.0, 1), (0.9, 1), (0.8999, 0), (0.0, 0)])
def test_drawdown_penalty(mdd, factor):
    assert drawdown_penalty(mdd) == factor


@pytest.mark.parametrize(
    ("size", "factor"), [(0.0, 0.01), (149_999.99, 0.01), (150_000.0, 1), (500_000.0, 1)]
)
def test_account_size_penalty(size, factor):
    assert account_size_penalty(size) == factor


@pytest.mark.parametrize(
    ("risk", "factor"), [(0.0, NO_RISK), (1.2, 0.5), (1.0, 1 / (1 + math.exp(-0.8))), (1e9, 0.0)]
)
def test_risk_profile_penalty(risk, factor):
    assert risk_profile_penalty(risk) == pytest.approx(factor, abs=1e-12)


def test_penalties_multiply():
    assert Penalties(drawdown=1.0, account_size=0.01, risk_profile=0.5).total == 0.005


def test_a_class_ledger_adds_up_its_pairs():
    btc, eth, euro = ledger([1.02, 1.01, 1.03]), ledger([1.10, 1.10]), ledger([2.0])
    eth.cps["mdd"], eth.cps["accum_ms"][1] = 0.5, 5
    led = class_ledger({PORTFOLIO: euro, "BTCUSD": btc, "EURUSD": euro, "ETHUSD": eth}, CRYPTO)
    assert led.cps["last_update_ms"].tolist() == btc.cps["last_update_ms"].tolist()
    assert led.cps["gain"] == pytest.approx(
        [math.log(1.02) + math.log(1.10), 0.0, math.log(1.03 / 1.01)]
    )
    assert led.cps["n_updates"].tolist() == [2, 2, 1]
    # drawdown and covered time are those of the pair traded first (quirk 26)
    assert led.cps["mdd"].tolist() == btc.cps["mdd"].tolist()
    assert led.cps["accum_ms"].tolist() == [CHECKPOINT_MS] * 3
    assert btc.cps["n_updates"].tolist() == [1, 1, 1]  # and they are left as they were
    other = class_ledger({"ETHUSD": eth, "BTCUSD": btc}, CRYPTO)
    assert other.cps["mdd"].tolist() == [0.5, 0.5, float(btc.cps["mdd"][2])]
    assert len(daily_returns(led)[0]) == 1
    assert len(daily_returns(other)[0]) == 0  # the second half of its first day is not full


def test_a_class_without_pairs_has_no_day():
    led = class_ledger(BEST.ledgers, FOREX)
    assert len(led.cps) == len(daily_pnl(led)[0]) == 0


def test_scores_of_three_traders_by_hand():
    small = replace(MIDDLE, account_size=100_000.0)
    scores = score({"w": WORST, "b": BEST, "m": small}, MIDNIGHT_MS, min_days=TWO_DAYS)
    found = {hotkey: each.classes[CRYPTO] for hotkey, each in scores.traders.items()}
    assert found["b"].percentiles == dict.fromkeys(METRICS, pytest.approx(2 / 3))
    assert found["m"].percentiles == dict.fromkeys(METRICS, pytest.approx(1 / 3))
    assert found["w"].percentiles == dict.fromkeys(METRICS, 0.0)
    best, middle = NO_RISK * 2 / 3, NO_RISK * 0.01 / 3
    assert found["b"].score == pytest.approx(best)
    assert found["m"].score == pytest.approx(middle)
    share = math.exp((middle - best) / 0.15)
    assert found["m"].weight == pytest.approx(share / (1 + share + 1e-6))
    # nobody has a day in forex, so all weight comes from crypto
    assert {h: t.weight for h, t in scores.traders.items()} == {
        "w": 0.0,
        "b": pytest.approx(1 / (1 + share)),
        "m": pytest.approx(share / (1 + share)),
    }
    assert [scores.traders[h].rank for h in "bmw"] == [1, 2, 3]
    assert class_ranks(scores)[CRYPTO] == [
        ("b", found["b"].score),
        ("m", found["m"].score),
        ("w", 0),
    ]
    assert class_ranks(scores)[FOREX] == [("w", 0.0), ("b", 0.0), ("m", 0.0)]


def test_too_few_days_leave_only_pnl():
    scores = score({"b": BEST, "m": MIDDLE}, MIDNIGHT_MS)
    assert scores.min_days == {CRYPTO: 7, FOREX: 7}
    best = scores.traders["b"].classes[CRYPTO]
    assert best.n_days == 4
    assert best.metrics["sharpe"] == -100
    assert best.score == pytest.approx(NO_RISK * 0.90 * 0.5)


def test_who_has_a_penalty_of_0_takes_no_part():
    alone = score({"m": MIDDLE, "w": WORST}, MIDNIGHT_MS, min_days=TWO_DAYS)
    beaten = score(
        {"m": MIDDLE, "out": replace(BEST, ledgers=trader(0.5, 0.5, mdd=0.85).ledgers), "w": WORST},
        MIDNIGHT_MS,
        min_days=TWO_DAYS,
    )
    out = beaten.traders["out"]
    assert (out.weight, out.classes[CRYPTO].score, out.classes[CRYPTO].percentiles) == (0, 0, {})
    assert out.classes[CRYPTO].metrics["pnl"] > 0
    for hotkey in "mw":
        assert beaten.traders[hotkey].weight == alone.traders[hotkey].weight
        assert beaten.traders[hotkey].classes[CRYPTO].score == (
            alone.traders[hotkey].classes[CRYPTO].score
        )


def test_a_lone_trader_takes_all():
    scores = score({"b": WORST}, MIDNIGHT_MS)
    assert scores.traders["b"].weight == 1.0
    assert scores.traders["b"].classes[CRYPTO].score == pytest.approx(NO_RISK)


def test_nobody_and_nobody_with_a_ledger():
    assert score({}, MIDNIGHT_MS).traders == {}
    assert score({"a": replace(BEST, ledgers={})}, MIDNIGHT_MS).traders == {}
    beyond = trader(0.1, -0.2)
    assert score({"a": beyond}, MIDNIGHT_MS).traders["a"].weight == 0


_RETURNS = st.lists(st.floats(-0.03, 0.05), min_size=1, max_size=9)


@given(st.lists(_RETURNS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_names_and_order_of_traders_change_nothing(returns, random):
    before = {f"trader {i}": trader(*own) for i, own in enumerate(returns)}
    shuffled = list(before.items())
    random.shuffle(shuffled)
    renamed = {f"{hotkey[::-1]}": each for hotkey, each in shuffled}
    first, second = score(before, MIDNIGHT_MS), score(renamed, MIDNIGHT_MS)
    assert first.min_days == second.min_days
    for hotkey, own in first.traders.items():
        other = second.traders[hotkey[::-1]]
        assert other.weight == pytest.approx(own.weight, abs=1e-15)
        assert other.penalties == own.penalties
        for category in (CRYPTO, FOREX):
            assert other.classes[category].score == own.classes[category].score


@given(st.lists(_RETURNS, min_size=1, max_size=8))
def test_final_weights_add_up_to_one_or_to_nothing(returns):
    scores = score({str(i): trader(*own) for i, own in enumerate(returns)}, MIDNIGHT_MS)
    total = sum(each.weight for each in scores.traders.values())
    assert total == 0 or total == pytest.approx(1.0)
    for category in (CRYPTO, FOREX):
        assert sum(t.classes[category].weight for t in scores.traders.values()) <= 1
        ranks = [t.classes[category].rank for t in scores.traders.values()]
        assert sorted(ranks) == list(range(1, len(ranks) + 1))


@pytest.mark.parametrize("name", ["daily_rules", "daily_rules_mixed", "daily_rules_time"])
def test_scores_of_the_golden_replays(name: str, shared: Path) -> None:
    folder = shared / "golden" / name
    expected = json.loads((folder / "expected.json").read_text())
    wanted = expected["scoring"]
    traders, end_ms = golden_traders(json.loads((folder / "scenario.json").read_text()), expected)
    scores = score(traders, end_ms)
    found: dict[str, Any] = {
        "min_days": {str(category): days for category, days in scores.min_days.items()},
        "raw": {},
        "combined": {},
        "softmax": {},
        "final": {hotkey: each.weight for hotkey, each in scores.traders.items()},
    }
    for category in scores.min_days:
        own = {hotkey: each.classes[category] for hotkey, each in scores.traders.items()}
        found["raw"][str(category)] = {
            metric: {hotkey: each.metrics[metric] for hotkey, each in own.items()}
            for metric in METRICS
        }
        found["raw"][str(category)]["penalties"] = {
            hotkey: each.penalties.total for hotkey, each in scores.traders.items()
        }
        found["combined"][str(category)] = {h: each.score for h, each in own.items()}
        found["softmax"][str(category)] = {h: each.weight for h, each in own.items()}
    comparison = Comparison()
    for key in ("min_days", "combined", "softmax"):
        comparison.compare(key, found[key], wanted[key])
    comparison.compare("final", found["final"], dict(wanted["final"]))
    for category, raw in wanted["raw"].items():
        table = {metric: dict(own["scores"]) for metric, own in raw["metrics"].items()}
        table["penalties"] = raw["penalties"]
        comparison.compare(f"raw/{category}", found["raw"][category], table)
    assert [str(difference) for difference in comparison.differences] == []
    # two classes of 6 metrics, penalty, score and softmax weight; a final weight; two minima
    assert comparison.n_values == (2 * 9 + 1) * len(traders) + 2
    order = sorted(scores.traders, key=lambda hotkey: scores.traders[hotkey].rank)
    assert order == [hotkey for hotkey, _ in wanted["final"]]
    for category, ranked in class_ranks(scores).items():
        assert [hotkey for hotkey, _ in ranked] == list(wanted["softmax"][str(category)])


def golden_traders(
    scenario: Mapping[str, Any], expected: Mapping[str, Any]
) -> tuple[dict[str, Trader], int]:
    """The traders of a golden folder as they stand at its last update, and its time."""
    end_ms = scenario["settings"]["update_times_ms"][-1]
    recorded = convert(
        position_record(raw, origin=f"positions[{i}]")
        for i, raw in enumerate(scenario["positions"])
    ).positions
    held: dict[str, list[HeldPosition]] = {}
    for position in recorded:
        known = tuple(order for order in position.orders if order.processed_ms <= end_ms)
        if known:
            now = replace(position, orders=known)
            held.setdefault(position.miner_hotkey, []).append(HeldPosition(now, replay(now)))
    return {
        hotkey: Trader(
            ledgers={k: PerfLedger.from_dict(v) for k, v in own.items()},
            positions=held[hotkey],
            account_size=expected["scoring"]["account_sizes"][hotkey],
            bucket=Bucket(expected["buckets"][hotkey][0]),
        )
        for hotkey, own in expected["ledgers"].items()
    }, end_ms

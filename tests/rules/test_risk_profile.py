"""Reckless positions, order by order, worked out by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ptn_backtest.clock import DAY_MS, MINUTE_MS
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.columns import position_columns
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from ptn_backtest.rules import risk_profile
from ptn_backtest.rules.risk_profile import HeldPosition, OrderGroups
from ptn_backtest.trade_pairs import TradePair

START_MS = 1_740_787_200_000
SCORED_MS = START_MS + 30 * DAY_MS
BITCOIN = TradePair.from_trade_pair_id("BTCUSD")


def orders(*steps: tuple[Any, ...]) -> tuple[Order, ...]:
    """Orders of (signed leverage, price, minute); FLAT for a leverage of 0."""
    return tuple(
        Order(f"o{i}", _kind(leverage), leverage, price, START_MS + int(minute * MINUTE_MS))
        for i, (leverage, price, minute) in enumerate(steps)
    )


def groups(*positions: Sequence[tuple[Any, ...]]) -> OrderGroups:
    made = [Position("5Test", "p", BITCOIN, START_MS, orders(*steps)) for steps in positions]
    return OrderGroups.of(position_columns(made, DEFAULT_RULEBOOK))


def held(*steps: tuple[Any, ...], return_at_close: float = 1.0) -> HeldPosition:
    made = orders(*steps)
    position = Position("5Test", "p", BITCOIN, made[0].processed_ms, made)
    return HeldPosition(position, replace(replay(position), return_at_close=return_at_close))


RECKLESS = (
    (0.1, 100.0, 0),
    (0.1, 90.0, 10),
    (0.1, 80.0, 15),
    (0.1, 70.0, 60),
    (0.0, 75.0, 90),
)
"""Three losing adds, leverage 0.1 to 0.4, intervals of 10, 5 and 45 minutes."""
EVEN = tuple((leverage, price, 20 * i) for i, (leverage, price, _) in enumerate(RECKLESS))
CALM = ((0.1, 100.0, 0), (0.0, 101.0, 5))


def test_losing_adds():
    found = risk_profile.losing_adds(
        groups(
            # 96 is better than the mean of 100 and 90; the reduction at 80 takes the mean to 91.5
            [(0.1, 100, 0), (0.1, 90, 1), (0.1, 96, 2), (-0.1, 80, 3), (0.1, 92, 4)],
            [(0.1, 100, 0), (0.1, 90, 1), (0.1, 96, 2), (-0.1, 80, 3), (0.1, 91, 4)],
            [(-0.1, 100, 0), (-0.1, 110, 1), (-0.1, 104, 2)],
            # the first order weighs 0.01 at least: the mean is 95, not 90.9
            [(0.001, 100, 0), (0.01, 90, 1), (0.01, 94, 2)],
            [(0.1, 100, 0), (-0.05, 90, 1)],
            [(0.1, 100, 0)],
        )
    )
    assert found.tolist() == [1, 2, 1, 2, 0, 0]


def test_losing_raises():
    found = risk_profile.losing_raises(
        groups(
            # 0.25 stays under the mark of 0.3; the mean then is (20 + 9 - 19 + 12) / 0.25 = 88
            [(0.2, 100, 0), (0.1, 90, 1), (-0.2, 95, 2), (0.15, 80, 3), (0.1, 70, 4)],
            # at 89 the position no longer loses
            [(0.2, 100, 0), (0.1, 90, 1), (-0.2, 95, 2), (0.15, 80, 3), (0.1, 89, 4)],
            # a winning order beyond the mark does not move it
            [(0.1, 100, 0), (0.4, 110, 1), (-0.3, 110, 2), (0.05, 90, 3)],
            [(-0.1, 100, 0), (-0.1, 110, 1)],
            [(0.1, 100, 0)],
        )
    )
    assert found.tolist() == [2, 1, 1, 1, 0]


def test_margin_use_is_a_share_of_the_range_of_leverage():
    steps = groups([(-0.13, 100, 0), (-0.13, 100, 1), (0.2, 100, 2)], [(0.5, 100, 0)])
    pairs = [replace(BITCOIN, min_leverage=0.01, max_leverage=0.51)] * 2
    assert risk_profile.margin_use(steps, steps.held(), pairs) == pytest.approx([0.5, 0.98])


def test_leverage_ratio():
    steps = groups(
        [(0.25, 100, 0), (-0.125, 100, 1)],
        [(-0.25, 100, 0)],
        [(0.005, 100, 0), (0.025, 100, 1)],
    )
    found = risk_profile.leverage_ratio(steps, steps.held())
    assert found == pytest.approx([2.0, 1.0, 3.0])
    first = steps._replace(last=steps.last - 1)
    assert risk_profile.leverage_ratio(first, steps.held()).tolist() == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("minutes", "uneven"),
    [
        ([0, 10, 40], 0.5),  # 10 and 30 around 20
        ([0, 10, 20], 0.0),
        ([0, 10], 0.0),
        ([0, 0, 0], 0.0),
    ],
)
def test_unevenness(minutes, uneven):
    steps = [(0.1, 100, minute) for minute in minutes]
    reduced = (-0.05, 100, 999)  # after the largest leverage, so not looked at
    mine = groups([*steps, reduced])
    found = risk_profile.unevenness(mine.rows["time_ms"], mine.held())
    assert found == pytest.approx(uneven)


def test_a_position_is_reckless_when_all_three_hold():
    positions = [
        (RECKLESS, True),
        (EVEN, False),
        (CALM, False),
        # the same prices in favour of the trader
        (tuple((-leverage, price, minute) for leverage, price, minute in RECKLESS), False),
        # one loser less
        ((*RECKLESS[:2], (0.1, 96.0, 15), RECKLESS[3], RECKLESS[4]), True),
        ((*RECKLESS[:2], (0.1, 96.0, 15), (0.1, 96.0, 60), RECKLESS[4]), False),
        (RECKLESS, True),
    ]
    found = risk_profile.reckless(
        groups(*(steps for steps, _ in positions)), [BITCOIN] * len(positions)
    )
    assert found.tolist() == [flagged for _, flagged in positions]


def test_score_weighs_by_the_hundredth_power_of_the_return():
    score = risk_profile.risk_score(
        [held(*RECKLESS, return_at_close=1.01), held(*CALM, return_at_close=1.0)], SCORED_MS
    )
    assert score == pytest.approx(2.7048138 / 3.7048138)  # 1.01^100 = 2.7048138


def test_score_of_a_huge_and_of_no_return():
    assert risk_profile.risk_score([held(*RECKLESS, return_at_close=1e9)], SCORED_MS) == 1
    assert risk_profile.risk_score([held(*RECKLESS, return_at_close=0.0)], SCORED_MS) == 1
    lost = [held(*RECKLESS, return_at_close=0.0), held(*CALM)]
    assert risk_profile.risk_score(lost, SCORED_MS) == 0


def test_what_does_not_count():
    reckless = held(*RECKLESS)
    open_still = held(*RECKLESS[:-1])
    seconds = held(*(((leverage, p, minute / 100) for leverage, p, minute in RECKLESS)))
    assert risk_profile.risk_score([], SCORED_MS) == 0
    assert risk_profile.risk_score([held(*CALM)], SCORED_MS) == 0
    assert risk_profile.risk_score([open_still, held(*CALM)], SCORED_MS) == 0
    assert risk_profile.risk_score([seconds, held(*CALM)], SCORED_MS) == 0
    assert risk_profile.risk_score([reckless], START_MS + 120 * DAY_MS) == 1
    assert risk_profile.risk_score([reckless], START_MS + 120 * DAY_MS + 1) == 0


def _kind(leverage: float) -> OrderType:
    if leverage == 0:
        return OrderType.FLAT
    return OrderType.LONG if leverage > 0 else OrderType.SHORT

"""Records from shared series equal those made of each update's ledgers, to the last bit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ptn_backtest.clock import DAY_MS, MINUTE_MS
from ptn_backtest.ledger.builder import build_ledgers
from ptn_backtest.ledger.columns import LedgerColumns, Resumed, taken
from ptn_backtest.ledger.state_columns import TraderLedgers
from ptn_backtest.ledger.timeline import TraderTimeline, build_timeline
from ptn_backtest.ledger.timelines import joined
from ptn_backtest.positions.accounting import position_states
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.table import price_table
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.closed_positions import closed_positions
from ptn_backtest.rules.record import record_of
from ptn_backtest.rules.record_history import RecordHistory, TraderHistories, record_history
from ptn_backtest.rules.records import Records, side_by_side
from ptn_backtest.rules.risk_profile import HeldPosition
from tests.ledger.strategies import GivenCandles, Trader, traders
from tests.rules.made_members import BEGIN_MS, closed_position

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)
RULES = ScoringRules()
HOTKEYS = ("first", "second", "third")


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_record_after_any_update_is_that_of_its_ledgers(trader: Trader) -> None:
    timeline = made_timeline(trader)
    check_records(timeline, advanced(trader, timeline, trader.update_times_ms), trader)


@settings(max_examples=30, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_updates_that_were_done_already_keep_their_record(trader: Trader) -> None:
    timeline = made_timeline(trader)
    before = advanced(trader, timeline, trader.update_times_ms[:1])
    check_records(timeline, advanced(trader, timeline, trader.update_times_ms, before), trader)


def test_without_traders_there_is_no_record() -> None:
    assert record_history([], (BEGIN_MS + DAY_MS,), RULES).after(0).hotkeys == ()


def test_a_trader_without_a_ledger_has_no_record() -> None:
    timeline = build_timeline([closed_position(MINUTE_MS).position])
    columns = built(timeline, GivenCandles({}), [BEGIN_MS - DAY_MS, BEGIN_MS - MINUTE_MS])
    records = records_of(timeline, columns, (BEGIN_MS - DAY_MS, BEGIN_MS - MINUTE_MS))
    assert records.after(1).hotkeys == ()


def made_timeline(trader: Trader) -> TraderTimeline:
    return build_timeline(trader.positions, trader.account_sizes, use_slippage=trader.use_slippage)


def advanced(
    trader: Trader,
    timeline: TraderTimeline,
    times_ms: Sequence[int],
    before: LedgerColumns | None = None,
) -> LedgerColumns:
    return built(
        timeline,
        trader.candles,
        times_ms,
        before,
        end_ms=trader.update_times_ms[-1],
        portfolio_only=trader.portfolio_only,
        window_ms=trader.window_ms,
    )


def built(
    timeline: TraderTimeline,
    candles: CandleSource,
    times_ms: Sequence[int],
    before: LedgerColumns | None = None,
    *,
    end_ms: int = 0,
    **settings: Any,
) -> LedgerColumns:
    """The ledgers of one trader, with what each update left."""
    ranges = {pair.trade_pair_id: (0, end_ms) for pair in timeline.pairs} if end_ms else {}
    only = np.zeros(1, dtype=np.int64)
    return build_ledgers(
        joined([timeline]),
        only,
        price_table(candles, timeline.pairs, ranges),
        np.arange(len(timeline.pairs)),
        times_ms,
        [Resumed(before, only, only)] if before else [],
        keep_history=True,
        **settings,
    )


def check_records(timeline: TraderTimeline, columns: LedgerColumns, trader: Trader) -> None:
    states = position_states(timeline.arrays.columns, timeline.arrays.accounts)
    held = list(map(HeldPosition, timeline.positions, states))
    times_ms = trader.update_times_ms
    records = records_of(timeline, columns, times_ms)
    history = TraderLedgers(columns, 0, timeline).history(times_ms)
    for k, t_ms in enumerate(times_ms):
        ledgers = history.ledgers_after(k)
        found = records.after(k)
        if not ledgers:
            assert found.hotkeys == ()
            continue
        known = [one for one in held if one.state.close_ms and one.state.close_ms <= t_ms]
        wanted = record_of(ledgers, known, timeline.account_size_at(t_ms), t_ms, RULES)
        both = dict.fromkeys(HOTKEYS, wanted)
        assert plain(found) == plain(side_by_side(both, RULES.asset_classes))
        second = found.of(["nobody", HOTKEYS[1]])
        assert plain(second) == plain(side_by_side({HOTKEYS[1]: wanted}, RULES.asset_classes))
        # added up in the order of closing, or as stored
        assert found.risk == pytest.approx([wanted.risk] * 3, rel=1e-12)


def records_of(
    timeline: TraderTimeline, columns: LedgerColumns, times_ms: Sequence[int]
) -> RecordHistory:
    """Of three traders that did the same, in two parts."""
    (closed,) = closed_positions([timeline], RULES.risk_profile)
    first, *others = (replace(timeline, miner_hotkey=hotkey) for hotkey in HOTKEYS)
    two = taken(columns, np.array([0, 0]))
    parts = [
        TraderHistories([first], columns, [closed]),
        TraderHistories(others, two, [closed, closed]),
    ]
    return record_history(parts, times_ms, RULES)


def plain(records: Records) -> object:
    classes = {
        category: (
            [(one.values.tolist(), one.counts.tolist()) for one in own.series()],
            own.n_days.tolist(),
            own.mdd.tolist(),
        )
        for category, own in records.classes.items()
    }
    portfolio = records.mdd.tolist(), records.full_days.tolist(), records.account_size.tolist()
    return records.hotkeys, portfolio, classes

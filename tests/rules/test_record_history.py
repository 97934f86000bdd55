"""Records from shared series equal those made of each update's ledgers, to the last bit."""

import pytest
from hypothesis import HealthCheck, given, settings

from ptn_backtest.clock import DAY_MS, MINUTE_MS
from ptn_backtest.ledger.builder import advance_ledgers
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline, build_timeline
from ptn_backtest.positions.accounting import position_states
from ptn_backtest.prices.table import price_table
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.closed_positions import closed_positions
from ptn_backtest.rules.record import record_of
from ptn_backtest.rules.record_history import RecordHistory, TraderHistory, record_history
from ptn_backtest.rules.records import Records, side_by_side
from ptn_backtest.rules.risk_profile import HeldPosition
from tests.ledger.strategies import Trader, traders
from tests.rules.made_members import BEGIN_MS, closed_position

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)
RULES = ScoringRules()
HOTKEYS = ("first", "second")


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_record_after_any_update_is_that_of_its_ledgers(trader: Trader) -> None:
    timeline = made_timeline(trader)
    state, history = advanced(trader, timeline, NEW, len(trader.update_times_ms))
    check_records(timeline, state, history)


@settings(max_examples=30, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_updates_that_were_done_already_keep_their_record(trader: Trader) -> None:
    timeline = made_timeline(trader)
    before, _ = advanced(trader, timeline, NEW, 1)
    state, history = advanced(trader, timeline, before, len(trader.update_times_ms))
    check_records(timeline, state, history)


def test_a_history_that_was_not_kept_has_no_record() -> None:
    timeline = build_timeline([closed_position(MINUTE_MS).position])
    history = LedgerHistory(times_ms=(BEGIN_MS + DAY_MS,))
    assert records_of(timeline, NEW, history).after(0).hotkeys == ()


def made_timeline(trader: Trader) -> TraderTimeline:
    return build_timeline(trader.positions, trader.account_sizes, use_slippage=trader.use_slippage)


def advanced(
    trader: Trader, timeline: TraderTimeline, state: LedgerState, n_updates: int
) -> tuple[LedgerState, LedgerHistory]:
    everything = (0, trader.update_times_ms[-1])
    ranges = {pair.trade_pair_id: everything for pair in timeline.pairs}
    return advance_ledgers(
        timeline,
        price_table(trader.candles, timeline.pairs, ranges),
        {pair.trade_pair_id: row for row, pair in enumerate(timeline.pairs)},
        trader.update_times_ms[:n_updates],
        state,
        portfolio_only=trader.portfolio_only,
        window_ms=trader.window_ms,
    )


def check_records(timeline: TraderTimeline, state: LedgerState, history: LedgerHistory) -> None:
    states = position_states(timeline.positions, timeline.arrays.accounts)
    held = list(map(HeldPosition, timeline.positions, states))
    records = records_of(timeline, state, history)
    for k, t_ms in enumerate(history.times_ms):
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
        assert found.risk == pytest.approx([wanted.risk] * 2, rel=1e-12)


def records_of(
    timeline: TraderTimeline, state: LedgerState, history: LedgerHistory
) -> RecordHistory:
    """Of two traders that did the same."""
    (closed,) = closed_positions([timeline], RULES.risk_profile)
    trader = TraderHistory(timeline, history, closed, state.liquidated_ms)
    return record_history(dict.fromkeys(HOTKEYS, trader), history.times_ms, RULES)


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

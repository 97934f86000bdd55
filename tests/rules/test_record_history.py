"""Records from shared series equal those made of each update's ledgers, to the last bit."""

import pytest
from hypothesis import HealthCheck, given, settings

from ptn_backtest.ledger.builder import advance_ledgers
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, WINDOW_MS
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline, build_timeline
from ptn_backtest.positions.accounting import position_states
from ptn_backtest.prices.table import price_table
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.record import Record, record_of
from ptn_backtest.rules.record_history import closed_positions, record_history
from ptn_backtest.rules.risk_profile import HeldPosition
from tests.ledger.strategies import Trader, traders

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)
RULES = ScoringRules()
SIZE_USD = 200_000.0


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


@pytest.mark.parametrize("window_ms", [WINDOW_MS, CHECKPOINT_MS])
def test_a_history_that_was_not_kept_has_no_record(window_ms: int) -> None:
    history = LedgerHistory(window_ms=window_ms)
    assert record_history(history, closed_positions([], RULES), RULES, None).classes == {}


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
    closed = closed_positions(held, RULES)
    records = record_history(history, closed, RULES, state.liquidated_ms)
    for k, t_ms in enumerate(history.times_ms):
        ledgers = history.ledgers_after(k)
        found = records.record(k, t_ms, SIZE_USD)
        if not ledgers:
            assert found is None
            continue
        known = [one for one in held if one.state.close_ms and one.state.close_ms <= t_ms]
        assert found is not None
        wanted = record_of(ledgers, known, SIZE_USD, t_ms, RULES)
        assert plain(found) == plain(wanted)
        # added up in the order of closing, or as stored
        assert found.risk == pytest.approx(wanted.risk, rel=1e-12)


def plain(record: Record) -> object:
    classes = {
        category: (one.returns.tolist(), one.pnl.tolist(), one.mdd)
        for category, one in record.classes.items()
    }
    return record.mdd, record.full_days, classes, record.account_size

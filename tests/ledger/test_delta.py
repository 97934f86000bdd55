"""What a stretch of updates added is enough to tell state and history again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.ledger.delta import LedgerDelta, apply_delta, delta_of
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.state import NEW, LedgerState
from tests.ledger.strategies import Trader, traders
from tests.ledger.test_breach import advanced
from tests.ledger.test_properties import differences

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)


def stored(delta: LedgerDelta) -> LedgerDelta:
    return replace(delta, summary=json.loads(json.dumps(delta.summary)))


def stretches(times_ms: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The first update, then two at a time."""
    return [times_ms[:1], *(times_ms[i : i + 2] for i in range(1, len(times_ms), 2))]


def same_history(mine: LedgerHistory, theirs: LedgerHistory) -> bool:
    return len(mine) == len(theirs) and all(
        differences(
            {name: ledger.to_dict() for name, ledger in mine.ledgers_after(k).items()},
            {
                name: replace(ledger, last_known_prices={}).to_dict()
                for name, ledger in theirs.ledgers_after(k).items()
            },
        )
        == []
        for k in range(theirs.n_kept)
    )


@settings(max_examples=100, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_deltas_in_turn_give_every_state_and_history(trader: Trader) -> None:
    computed = told = NEW
    for times_ms in stretches(trader.update_times_ms):
        after, history = advanced(trader, times_ms, computed)
        delta = stored(delta_of(computed, after, history))
        told, told_history = apply_delta(told, delta, times_ms)
        assert differences(told.to_dict(), after.to_dict()) == []
        if delta.summary:
            assert same_history(told_history, history)
        computed = after


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_whole_delta_needs_no_state_before(trader: Trader) -> None:
    state = NEW
    for times_ms in stretches(trader.update_times_ms):
        after, history = advanced(trader, times_ms, state)
        whole = stored(delta_of(state, after, history, whole=True))
        for before in (NEW, state):
            told, told_history = apply_delta(before, whole, times_ms)
            assert differences(told.to_dict(), after.to_dict()) == []
            assert same_history(told_history, history)
        state = after


@settings(max_examples=30, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_delta_holds_no_checkpoint_twice(trader: Trader) -> None:
    """What is added begins with the newest checkpoint of before, which has gone on."""
    first, rest = trader.update_times_ms[:1], trader.update_times_ms[1:]
    before, _ = advanced(trader, first)
    after, history = advanced(trader, rest, before)
    delta = delta_of(before, after, history)
    if not delta.summary or PORTFOLIO not in before.ledgers:
        return
    added = delta.cps[: delta.summary["added"][0]]
    begins = added["last_update_ms"] - added["accum_ms"]
    newest = before.ledgers[PORTFOLIO].cps[-1]
    assert begins[0] == newest["last_update_ms"] - newest["accum_ms"]
    assert np.all(np.diff(added["last_update_ms"]) > 0)


@settings(max_examples=30, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_delta_of_another_state_is_refused(trader: Trader) -> None:
    first, rest = trader.update_times_ms[:1], trader.update_times_ms[1:]
    before, _ = advanced(trader, first)
    after, history = advanced(trader, rest, before)
    delta = delta_of(before, after, history)
    if not delta.summary or not delta.summary["kept"][0]:
        return
    portfolio = before.ledgers[PORTFOLIO]
    shorter = replace(portfolio, cps=portfolio.cps[1:])
    with pytest.raises(LedgerError, match="build the ledgers anew"):
        apply_delta(LedgerState(ledgers={**before.ledgers, PORTFOLIO: shorter}), delta, rest)

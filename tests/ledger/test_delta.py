"""What a stretch of updates added is enough to tell the ledgers after it, and after each update."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from ptn_backtest.backtest.legs import Added
from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.builder import build_ledgers, rows_of_pairs
from ptn_backtest.ledger.columns import LedgerColumns, Resumed, side_by_side, taken
from ptn_backtest.ledger.delta import (
    LedgerDeltas,
    Stretch,
    deltas_of,
    ledgers_after,
    with_update,
)
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.state_columns import TraderLedgers
from ptn_backtest.ledger.timeline import TraderTimeline, build_timeline
from ptn_backtest.ledger.timelines import Timelines, joined
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.table import price_table
from ptn_backtest.results.stored_legs import added_of, leaver_rows
from tests.ledger.strategies import Trader, traders
from tests.ledger.test_properties import differences

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)
BOTH = np.arange(2)


class Pair(NamedTuple):
    """Two traders, of whom the second has the first position only."""

    trader: Trader
    timelines: Sequence[TraderTimeline]
    arrays: Timelines


def pair_of(trader: Trader) -> Pair:
    timelines = [
        build_timeline(mine, trader.account_sizes, use_slippage=trader.use_slippage)
        for mine in (trader.positions, trader.positions[:1])
    ]
    return Pair(trader, timelines, joined(timelines))


def advanced(pair: Pair, times_ms: Sequence[int], before: Sequence[Resumed]) -> LedgerColumns:
    trader = pair.trader
    pairs = {p.trade_pair_id: p for timeline in pair.timelines for p in timeline.pairs}
    everything = (0, trader.update_times_ms[-1])
    return build_ledgers(
        pair.arrays,
        BOTH,
        price_table(trader.candles, list(pairs.values()), dict.fromkeys(pairs, everything)),
        rows_of_pairs(pair.timelines, {name: row for row, name in enumerate(pairs)}),
        times_ms,
        before,
        portfolio_only=trader.portfolio_only,
        window_ms=trader.window_ms,
        keep_history=True,
    )


def stored(deltas: LedgerDeltas) -> LedgerDeltas:
    """As they come back from a file."""
    (added,) = added_of(leaver_rows([Added(["first", "second"], deltas)]))
    assert added.hotkeys == ["first", "second"]
    return added.deltas


def stretches(times_ms: Sequence[int]) -> list[tuple[int, ...]]:
    """The first update, then two at a time."""
    return [
        tuple(times_ms[:1]),
        *(tuple(times_ms[i : i + 2]) for i in range(1, len(times_ms), 2)),
    ]


def resumed(columns: LedgerColumns) -> list[Resumed]:
    return [Resumed(columns, BOTH, BOTH)]


def assert_same(pair: Pair, mine: LedgerColumns, theirs: LedgerColumns, times: Ints | None) -> None:
    """State of each trader, and its ledgers after each of the updates."""
    for place, timeline in enumerate(pair.timelines):
        told, made = (TraderLedgers(one, place, timeline) for one in (mine, theirs))
        assert differences(told.state().to_dict(), made.state().to_dict()) == []
        if times is not None:
            assert same_history(told.history(times.tolist()), made.history(times.tolist()))


def same_history(mine: LedgerHistory, theirs: LedgerHistory) -> bool:
    return len(mine) == len(theirs) and all(
        differences(
            {name: ledger.to_dict() for name, ledger in mine.ledgers_after(k).items()},
            {name: ledger.to_dict() for name, ledger in theirs.ledgers_after(k).items()},
        )
        == []
        for k in range(len(theirs))
    )


@settings(max_examples=100, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_deltas_in_turn_give_every_state_and_history(trader: Trader) -> None:
    pair, chain = pair_of(trader), []
    before: list[Resumed] = []
    for times_ms in stretches(trader.update_times_ms):
        after = advanced(pair, times_ms, before)
        deltas = stored(deltas_of(pair.arrays, BOTH, before, after))
        window_ms = trader.window_ms
        # on the ledgers before, and as the last of all deltas so far
        one = [Stretch(deltas, BOTH, BOTH)]
        told = ledgers_after(pair.arrays, BOTH, before, one, window_ms=window_ms, keep_history=True)
        assert_same(pair, told, after, np.array(times_ms))
        chain += one
        told = ledgers_after(pair.arrays, BOTH, (), chain, window_ms=window_ms)
        assert_same(pair, told, after, None)
        before = resumed(after)


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_whole_delta_needs_nothing_before(trader: Trader) -> None:
    pair = pair_of(trader)
    before: list[Resumed] = []
    for times_ms in stretches(trader.update_times_ms):
        after = advanced(pair, times_ms, before)
        whole = stored(deltas_of(pair.arrays, BOTH, (), after))
        for earlier in ((), before):
            told = ledgers_after(
                pair.arrays,
                BOTH,
                earlier,
                [Stretch(whole, BOTH, BOTH)],
                window_ms=trader.window_ms,
                keep_history=True,
            )
            assert_same(pair, told, after, np.array(times_ms))
        rest = with_update(taken(after, BOTH[::-1]).without_history())
        swapped = deltas_of(pair.arrays, BOTH[::-1], (), rest)
        told = ledgers_after(
            pair.arrays, BOTH, (), [Stretch(swapped, BOTH[::-1], BOTH)], window_ms=trader.window_ms
        )
        assert_same(pair, told, after, None)
        before = resumed(after)


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_deltas_hold_whatever_orders_come_later(trader: Trader) -> None:
    """Positions and pairs that begin later have other places then; deltas tell what had begun."""
    for n_updates in range(1, len(trader.update_times_ms)):
        times_ms = trader.update_times_ms[:n_updates]
        known = [p for p in trader.positions if p.open_ms <= times_ms[-1]]
        if not known:
            continue
        later, now = pair_of(trader), pair_of(replace(trader, positions=tuple(known)))
        if later.trader.positions[:1] != now.trader.positions[:1]:
            continue
        deltas = stored(deltas_of(now.arrays, BOTH, (), advanced(now, times_ms, ())))
        told = ledgers_after(
            later.arrays, BOTH, (), [Stretch(deltas, BOTH, BOTH)], window_ms=trader.window_ms
        )
        assert_same(later, told, advanced(later, times_ms, ()), None)


@settings(max_examples=30, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_delta_holds_no_checkpoint_twice(trader: Trader) -> None:
    """What is added begins with the newest checkpoint of before, which has gone on."""
    pair = pair_of(trader)
    before = advanced(pair, trader.update_times_ms[:1], ())
    after = advanced(pair, trader.update_times_ms[1:], resumed(before))
    deltas = deltas_of(pair.arrays, BOTH, resumed(before), after)
    ledgers = TraderLedgers(before, 0, pair.timelines[0]).state().ledgers
    if "portfolio" not in ledgers:
        return
    added = deltas.cps[: deltas.ledgers["added"][0]]
    begins = added["last_update_ms"] - added["accum_ms"]
    newest = ledgers["portfolio"].cps[-1]
    assert begins[0] == newest["last_update_ms"] - newest["accum_ms"]
    assert np.all(np.diff(added["last_update_ms"]) > 0)


@settings(max_examples=30, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_a_delta_of_another_state_is_refused(trader: Trader) -> None:
    pair, times_ms = pair_of(trader), trader.update_times_ms
    assume(len(times_ms) > 1)
    before = advanced(pair, times_ms[:1], ())
    after = advanced(pair, times_ms[1:], resumed(before))
    deltas = deltas_of(pair.arrays, BOTH, resumed(before), after)
    if not len(deltas.ledgers) or not deltas.ledgers["kept"][0]:
        return
    stretch = Stretch(deltas, BOTH, BOTH)
    shorter = before._replace(ledgers=before.ledgers.copy())
    shorter.ledgers["oldest"][0] += 1
    with pytest.raises(LedgerError, match="build the ledgers anew"):
        ledgers_after(pair.arrays, BOTH, resumed(shorter), [stretch], window_ms=trader.window_ms)
    with pytest.raises(LedgerError, match="lacks its beginning"):
        ledgers_after(pair.arrays, BOTH, (), [stretch], window_ms=trader.window_ms)


@settings(max_examples=30, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_columns_side_by_side_are_taken_apart_again(trader: Trader) -> None:
    pair = pair_of(trader)
    after = advanced(pair, trader.update_times_ms, ())
    one_by_one = side_by_side([taken(after, np.array([place])) for place in BOTH])
    assert_same(pair, one_by_one, after, np.array(trader.update_times_ms))
    four = side_by_side([after, after])
    swapped = pair._replace(timelines=pair.timelines[::-1])
    wanted = taken(after, BOTH[::-1])
    assert_same(swapped, taken(four, BOTH + 1), wanted, np.array(trader.update_times_ms))

"""What holds for every trader: the kernel is its definition, and state is all that an update needs."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, PORTFOLIO, WINDOW_MS
from ptn_backtest.ledger.definition import define_ledgers
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.prices.table import price_table
from tests.ledger.strategies import Trader, traders

# the first example compiles the kernel; a trader is a large value to draw
_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)

SUMS = ("gain", "loss", "pnl_gain", "pnl_loss")
DRAWDOWN_LIMIT = 0.5
"""Percent; random traders reach it often."""


def kernel_state(
    trader: Trader, update_times_ms: Sequence[int] | None = None, state: LedgerState = NEW
) -> LedgerState:
    timeline = build_timeline(
        trader.positions, trader.account_sizes, use_slippage=trader.use_slippage
    )
    everything = (0, trader.update_times_ms[-1])
    prices = price_table(
        trader.candles,
        timeline.pairs,
        {pair.trade_pair_id: everything for pair in timeline.pairs},
    )
    return update_ledgers(
        timeline,
        prices,
        {pair.trade_pair_id: row for row, pair in enumerate(timeline.pairs)},
        trader.update_times_ms if update_times_ms is None else update_times_ms,
        state,
        portfolio_only=trader.portfolio_only,
        window_ms=trader.window_ms,
        drawdown_limit=DRAWDOWN_LIMIT,
    )


def defined_state(trader: Trader) -> LedgerState:
    return define_ledgers(
        trader.positions,
        trader.candles,
        trader.update_times_ms,
        account_sizes=trader.account_sizes,
        use_slippage=trader.use_slippage,
        portfolio_only=trader.portfolio_only,
        window_ms=trader.window_ms,
        drawdown_limit=DRAWDOWN_LIMIT,
    )


def differences(mine: object, theirs: object, path: str = "") -> list[str]:
    """Where two JSON values differ in the least."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and list(mine) == list(theirs):
        return [d for key in mine for d in differences(mine[key], theirs[key], f"{path}/{key}")]
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        both = enumerate(zip(mine, theirs, strict=True))
        return [d for i, (a, b) in both for d in differences(a, b, f"{path}/{i}")]
    return [] if mine == theirs else [f"{path}: {mine!r} is not {theirs!r}"]


@settings(max_examples=150, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_the_kernel_is_its_definition_to_the_last_bit(trader: Trader) -> None:
    """Everything but sums of changes, which are added up in another order."""
    mine, theirs = kernel_state(trader).to_dict(), defined_state(trader).to_dict()
    for name, ledger in theirs["ledgers"].items():
        for cp, defined in zip(mine["ledgers"][name]["cps"], ledger["cps"], strict=True):
            for field in SUMS:
                assert cp[field] == pytest.approx(defined[field], rel=1e-11, abs=1e-16)
                assert (cp[field] == 0) == (defined[field] == 0)
                cp[field] = defined[field]
    assert differences(mine, theirs) == []


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_stopping_storing_and_continuing_is_running_through(trader: Trader) -> None:
    state = NEW
    for i, until_ms in enumerate(trader.update_times_ms):
        stored = json.dumps(state.to_dict())
        state = kernel_state(trader, [until_ms], LedgerState.from_dict(json.loads(stored)))
        through = kernel_state(trader, trader.update_times_ms[: i + 1])
        assert differences(state.to_dict(), through.to_dict()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_an_update_knows_nothing_of_later_orders(trader: Trader) -> None:
    until_ms = trader.update_times_ms[0]
    known = tuple(
        replace(position, orders=orders)
        for position in trader.positions
        if (orders := tuple(o for o in position.orders if o.processed_ms <= until_ms))
    )
    with_later_orders = kernel_state(trader, [until_ms])
    if not known:
        assert with_later_orders == NEW
        return
    without = kernel_state(replace(trader, positions=known), [until_ms])
    assert differences(with_later_orders.to_dict(), without.to_dict()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_what_a_ledger_promises(trader: Trader) -> None:
    state = kernel_state(trader)
    for ledger in state.ledgers.values():
        cps = ledger.cps
        assert len(cps) > 0
        assert cps["accum_ms"].sum() <= trader.window_ms
        assert np.all(cps["accum_ms"][:-1] == CHECKPOINT_MS)
        assert np.all(cps["last_update_ms"][:-1] % CHECKPOINT_MS == 0)
        assert np.all(np.diff(cps["last_update_ms"]) == cps["accum_ms"][1:])
        assert np.all((cps["open_ms"] >= 0) & (cps["open_ms"] <= cps["accum_ms"]))
        assert np.all(cps["n_updates"] >= 0)
        assert np.all((cps["mdd"] > 0) & (cps["mdd"] <= 1))
        assert np.all((cps["gain"] >= 0) & (cps["loss"] <= 0))
        assert np.all((cps["pnl_gain"] >= 0) & (cps["pnl_loss"] <= 0))
        assert np.all(cps["mpv"] >= cps["prev_portfolio_ret"])
        assert ledger.max_return >= 1
        assert ledger.max_return >= cps["mpv"].max()


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders())
def test_changes_add_up_to_the_value(trader: Trader) -> None:
    trader = replace(trader, window_ms=WINDOW_MS)
    for ledger in kernel_state(trader).ledgers.values():
        for changes, value in (
            (("gain", "loss"), "prev_portfolio_ret"),
            (("spread_fee_loss",), "prev_portfolio_spread_fee"),
            (("carry_fee_loss",), "prev_portfolio_carry_fee"),
        ):
            total = sum(float(ledger.cps[name].sum()) for name in changes)
            assert total == pytest.approx(math.log(ledger.cps[value][-1]), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders(orders_apart=True))
def test_the_portfolio_is_the_product_of_its_pairs(trader: Trader) -> None:
    """Where every order stands alone.

    At orders of one millisecond, or 1 ms after another order or update, the network corrects the
    portfolio and the pairs' ledgers differently, and may keep the difference (quirk 11).
    """
    trader = replace(trader, portfolio_only=False)
    state = kernel_state(trader)
    assume(state.liquidated_ms is None)
    pairs = [ledger for name, ledger in state.ledgers.items() if name != PORTFOLIO]
    for name in ("prev_portfolio_ret", "prev_portfolio_spread_fee", "prev_portfolio_carry_fee"):
        product = math.prod(float(ledger.cps[name][-1]) for ledger in pairs)
        portfolio = float(state.ledgers[PORTFOLIO].cps[name][-1])
        assert portfolio == pytest.approx(product, rel=1e-12)

"""Traders made by hand for the network's rules: one log return a day, and whatever else a test says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, parse_time
from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.checkpoint import CHECKPOINT, CHECKPOINT_MS, PORTFOLIO, PerfLedger
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.evaluation import Evaluation, evaluate
from ptn_backtest.rules.member import Member, records_of
from ptn_backtest.rules.risk_profile import HeldPosition
from ptn_backtest.rules.standing import NetworkState, Standing
from ptn_backtest.trade_pairs import TradePair

BEGIN_MS = parse_time("2025-10-10")
FIRST_ORDER_MS = BEGIN_MS + 3 * HOUR_MS
DAYS = DEFAULT_RULEBOOK.challenge.full_days


def daily_ledger(
    returns: Sequence[float], *, mdd: float = 1.0, begin_ms: int = BEGIN_MS
) -> PerfLedger:
    """Two full checkpoints a day; the first half of a day books its return.

    Its last checkpoint has the lowest value / running peak that is asked for.
    """
    cps = np.zeros(2 * len(returns), CHECKPOINT)
    cps["last_update_ms"] = begin_ms + CHECKPOINT_MS * np.arange(1, len(cps) + 1)
    cps["accum_ms"] = CHECKPOINT_MS
    change = np.array(returns, dtype=np.float64)
    cps["gain"][::2], cps["loss"][::2] = np.maximum(change, 0), np.minimum(change, 0)
    cps["pnl_gain"][::2] = np.maximum(np.expm1(change), 0) * 200_000
    cps["pnl_loss"][::2] = np.minimum(np.expm1(change), 0) * 200_000
    cps["prev_portfolio_ret"] = np.exp(np.repeat(np.cumsum(change), 2))
    cps["mpv"] = cps["prev_portfolio_ret"]
    cps["mdd"] = 1.0
    cps["mdd"][-1:] = mdd
    return PerfLedger(begin_ms + 3 * HOUR_MS, 1.0, cps)


def closed_position(lasting_ms: int, begin_ms: int = FIRST_ORDER_MS) -> HeldPosition:
    """A small position, opened and closed."""
    orders = (
        Order("1", OrderType.LONG, 0.1, 100.0, begin_ms),
        Order("2", OrderType.FLAT, 0.0, 101.0, begin_ms + lasting_ms),
    )
    pair = TradePair.from_trade_pair_id("BTCUSD")
    position = Position("", "closed", pair, begin_ms, orders)
    return HeldPosition(position, replay(position))


A_MINUTE = (closed_position(MINUTE_MS),)


def member(
    *returns: float,
    mdd: float = 1.0,
    pair: str = "BTCUSD",
    positions: Sequence[HeldPosition] = A_MINUTE,
    first_order_ms: int | None = FIRST_ORDER_MS,
    liquidation: Breach | None = None,
    collateral_theta: float | None = None,
) -> Member:
    """A trader of one pair; without returns it has no ledger."""
    ledger = daily_ledger(returns, mdd=mdd)
    return Member(
        ledgers={PORTFOLIO: ledger, pair: ledger} if returns else {},
        positions=positions,
        account_size=200_000.0,
        first_order_ms=first_order_ms,
        liquidation=liquidation,
        collateral_theta=collateral_theta,
    )


def steady(percent: float, *, days: int = DAYS, mdd: float = 1.0, pair: str = "BTCUSD") -> Member:
    """The same return every day: of such traders the higher is never behind in any metric."""
    return member(*[percent / 100] * days, mdd=mdd, pair=pair)


def standing_in(bucket: Bucket, hotkeys: Sequence[str], since_ms: int = BEGIN_MS) -> NetworkState:
    """Everybody in one bucket, since the beginning."""
    return network({hotkey: Standing(bucket, since_ms) for hotkey in hotkeys})


def network(standings: Mapping[str, Standing]) -> NetworkState:
    """A state between two evaluations."""
    return NetworkState(BEGIN_MS, dict(standings))


def evaluated(
    state: NetworkState,
    members: Mapping[str, Member],
    t_ms: int,
    rules: Rulebook = DEFAULT_RULEBOOK,
    **switches: Any,
) -> Evaluation:
    """One evaluation of these traders."""
    records = records_of(members, t_ms, rules.scoring)
    return evaluate(state, members, records, t_ms, rules, **switches)


def after(days: float) -> int:
    """A time so many days after the beginning."""
    return BEGIN_MS + round(days * DAY_MS)

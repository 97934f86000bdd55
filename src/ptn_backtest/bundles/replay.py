"""Replaying a bundle: results in the format of its expected.json."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.bundles.bundle import Bundle
from ptn_backtest.bundles.rule_sections import rule_sections
from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.ledger.daily import Dates, Floats, daily_pnl, daily_returns
from ptn_backtest.ledger.manager import LedgerSettings
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.accounting import PositionState, carry_fee_at, replay
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.positions.order import Order
from ptn_backtest.positions.position import Position
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.metric_report import metric_report

Results = dict[str, Any]
"""JSON-ready; numbers that are not finite stand as "inf", "-inf", "nan"."""

SECTIONS = (
    "positions",
    "ledgers",
    "daily",
    "daily_by_trade_pair",
    "daily_pnl",
    "metrics",
    "perf_ledger_eliminations",
    "buckets",
    "eliminations",
    "ledgers_last_seen",
    "scoring",
)
"""What this version computes; eliminations stand in the results where there are any, and what rules
did where the bundle runs them."""


def replay_bundle(
    bundle: Bundle, *, carry_fee_times: Mapping[str, Collection[int]] | None = None
) -> Results:
    """Replay a bundle; every time it gives the same results.

    Args:
        bundle: what to replay. A missing candle leaves a position's value as it was.
        carry_fee_times: {position_uuid: times in ms} to show each position's carry fee at, in place
            of its closing time and the end.

    Returns:
        The sections of `SECTIONS`, described in `docs/bundles.md`, and `failed_traders`
        ({hotkey: message}) where a trader could not be replayed.
    """
    manager = _replayed(bundle)
    results: Results = {
        "positions": [
            _position(bundle, position, (carry_fee_times or {}).get(position.position_uuid))
            for position in bundle.positions
        ],
        **_ledger_sections(
            {
                hotkey: mine
                for hotkey, mine in manager.get_perf_ledgers().items()
                if hotkey not in manager.network.state.eliminations
            }
        ),
    }
    if bundle.settings.mode == "backtest":
        results |= rule_sections(
            manager.network, manager.get_perf_ledgers(), _account_sizes(bundle, manager)
        )
    states = manager.perf_ledger_manager.states
    eliminations = [
        _elimination(bundle, hotkey, state, state.liquidation)
        for hotkey, state in sorted(states.items(), key=_liquidation_order)
        if state.liquidation is not None
    ]
    if eliminations:
        results["perf_ledger_eliminations"] = eliminations
    if manager.perf_ledger_manager.failed:
        results["failed_traders"] = dict(manager.perf_ledger_manager.failed)
    return {name: json_ready(section, sort_keys=False) for name, section in results.items()}


def _account_sizes(bundle: Bundle, manager: BacktestManager) -> dict[str, float]:
    """{hotkey: USD in force at the end} of those whose sizes the bundle has."""
    timelines = manager.perf_ledger_manager.timelines
    return {
        hotkey: timelines[hotkey].account_size_at(bundle.settings.end_ms)
        for hotkey in bundle.settings.account_sizes
        if hotkey in timelines
    }


def bundle_manager(bundle: Bundle) -> BacktestManager:
    """The replay of a bundle, ready to run. A missing candle leaves a value as it was."""
    settings = bundle.settings
    return BacktestManager(
        PositionManager(bundle.positions),
        bundle.candles,
        settings.start_ms,
        settings.end_ms,
        settings=LedgerSettings(
            rulebook=settings.rulebook,
            use_slippage=settings.use_slippage,
            portfolio_only=settings.build_portfolio_ledgers_only,
            window_ms=settings.target_ledger_window_ms,
        ),
        account_sizes=settings.account_sizes,
        missing_candles="hold",
        update_times_ms=settings.update_times_ms,
        plagiarism_events=settings.plagiarism_events,
    )


def _replayed(bundle: Bundle) -> BacktestManager:
    settings, manager = bundle.settings, bundle_manager(bundle)
    manager.run(
        run_challenge=settings.run_challenge,
        run_elimination=settings.run_elimination,
        run_scoring=settings.run_scoring,
    )
    return manager


def _ledger_sections(ledgers: Mapping[str, Mapping[str, PerfLedger]]) -> Results:
    return {
        "ledgers": {
            hotkey: {name: ledger.to_dict() for name, ledger in mine.items()}
            for hotkey, mine in ledgers.items()
        },
        "daily": {
            hotkey: _by_date(daily_returns, mine[PORTFOLIO]) for hotkey, mine in ledgers.items()
        },
        "daily_by_trade_pair": {
            hotkey: {
                name: _by_date(daily_returns, ledger)
                for name, ledger in mine.items()
                if name != PORTFOLIO
            }
            for hotkey, mine in ledgers.items()
        },
        "daily_pnl": {
            hotkey: _by_date(daily_pnl, mine[PORTFOLIO]) for hotkey, mine in ledgers.items()
        },
        "metrics": {hotkey: metric_report(mine[PORTFOLIO]) for hotkey, mine in ledgers.items()},
    }


def _position(bundle: Bundle, position: Position, times_ms: Collection[int] | None) -> Results:
    rulebook = bundle.settings.rulebook
    state = replay(position, rulebook, use_slippage=bundle.settings.use_slippage)
    if times_ms is None:
        times_ms = {bundle.settings.end_ms} | ({state.close_ms} if state.close_ms else set())
    return {
        "position_uuid": position.position_uuid,
        "miner_hotkey": position.miner_hotkey,
        "trade_pair_id": position.trade_pair.trade_pair_id,
        "open_ms": position.open_ms,
        "current_return": state.current_return,
        "return_at_close": state.return_at_close,
        "net_leverage": state.net_leverage,
        "average_entry_price": state.average_entry_price,
        "initial_entry_price": state.initial_entry_price,
        "cumulative_entry_value": state.cumulative_entry_value,
        "realized_pnl": state.realized_pnl,
        "close_ms": state.close_ms,
        "position_type": state.position_type.value,
        "is_closed_position": state.is_closed_position,
        "n_orders": len(position.orders),
        "cumulative_leverage": state.cumulative_leverage,
        "max_leverage_seen": state.max_leverage_seen,
        "orders": [_order(order) for order in position.orders],
        "carry_fee_at": {str(t): _fees(position, state, t, rulebook) for t in sorted(times_ms)},
        "spread_fee": state.spread_fee,
    }


def _order(order: Order) -> Results:
    return {
        "order_uuid": order.order_uuid,
        "order_type": order.order_type.value,
        "leverage": order.leverage,
        "price": order.price,
        "slippage": order.slippage,
        "processed_ms": order.processed_ms,
        "src": order.src,
    }


def _fees(position: Position, state: PositionState, at_ms: int, rulebook: Rulebook) -> Results:
    carry, next_ms = carry_fee_at(position, at_ms, rulebook)
    return {"carry_fee": carry, "next_update_ms": next_ms, "spread_fee": state.spread_fee}


def _by_date(
    daily: Callable[[PerfLedger], tuple[Dates, Floats]], ledger: PerfLedger
) -> dict[str, float]:
    dates, values = daily(ledger)
    return {str(date): float(value) for date, value in zip(dates, values, strict=True)}


def _liquidation_order(item: tuple[str, LedgerState]) -> tuple[int, str]:
    hotkey, state = item
    return state.liquidated_ms or 0, hotkey


def _elimination(bundle: Bundle, hotkey: str, state: LedgerState, lost: Breach) -> Results:
    found: Results = {
        "hotkey": hotkey,
        "elimination_initiated_time_ms": lost.time_ms,
        "dd": 0.0,
        "reason": "LIQUIDATED",
        "price_info": {k: list(v) for k, v in state.ledgers[PORTFOLIO].last_known_prices.items()},
    }
    mine = [position for position in bundle.positions if position.miner_hotkey == hotkey]
    returns = _last_returns(bundle, state, lost, mine)
    if returns is not None:
        found["return_info"] = {"dd_stats": {}, "returns": returns}
    return found


def _last_returns(
    bundle: Bundle, state: LedgerState, lost: Breach, positions: Collection[Position]
) -> dict[str, list[float]] | None:
    """Value and number of open positions of each ledger at the tick of a liquidation and the one before.

    None where a state does not tell: without pair ledgers, of a pair with nothing open, at an order,
    and where the record before is no tick.
    """
    pairs = [name for name in state.ledgers if name != PORTFOLIO]
    held = {one.position_uuid: one.return_at_close for one in lost.positions}
    open_pairs = [one.trade_pair_id for one in lost.positions]
    at_order = any(order.processed_ms == lost.time_ms for p in positions for order in p.orders)
    after_a_tick = lost.time_ms - state.ledgers[PORTFOLIO].last_update_ms > 1
    if not pairs or set(pairs) != set(open_pairs) or at_order or not after_a_tick:
        return None
    known = up_to(positions, lost.time_ms)
    rulebook, use_slippage = bundle.settings.rulebook, bundle.settings.use_slippage
    values = {
        one.position_uuid: replay(one, rulebook, use_slippage=use_slippage).return_at_close
        for one in known
    } | held
    now: dict[str, list[float]] = {
        pair: [
            math.prod(
                values[one.position_uuid] for one in known if one.trade_pair.trade_pair_id == pair
            ),
            open_pairs.count(pair),
        ]
        for pair in pairs
    }
    now[PORTFOLIO] = [lost.value, len(open_pairs)]
    before = {
        f"{name}_prev": [float(state.ledgers[name].cps["prev_portfolio_ret"][-1]), count]
        for name, (_, count) in now.items()
    }
    return now | before

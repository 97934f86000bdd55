"""Run results for tests: one made by hand, and those of the golden replays."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ptn_backtest.backtest.result import Liquidation, ReplayedPosition, RunResult
from ptn_backtest.clock import HOUR_MS
from ptn_backtest.ledger.checkpoint import CHECKPOINT, CHECKPOINT_MS, PORTFOLIO, PerfLedger
from ptn_backtest.positions.accounting import PositionState
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.trade_pairs import TradePair

MIDNIGHT_MS = 1_736_899_200_000
"""2025-01-15 00:00 UTC."""
FIRST_ORDER_MS = MIDNIGHT_MS + 3 * HOUR_MS


def ledger(values: Sequence[float], *, mdd: Sequence[float] = (), fee: float = 1.0) -> PerfLedger:
    """A ledger whose checkpoints end at these values, one per 12 h, the first order at 03:00.

    Within a checkpoint the value moves once, straight to its end.
    """
    cps = np.zeros(len(values), CHECKPOINT)
    before = np.array([1.0, *values[:-1]])
    change = np.log(np.array(values) / before)
    cps["last_update_ms"] = MIDNIGHT_MS + CHECKPOINT_MS * np.arange(1, len(values) + 1)
    cps["prev_portfolio_ret"] = values
    cps["prev_portfolio_spread_fee"] = fee
    cps["prev_portfolio_carry_fee"] = 1.0
    cps["accum_ms"] = CHECKPOINT_MS
    cps["open_ms"] = CHECKPOINT_MS
    cps["open_ms"][0] -= FIRST_ORDER_MS - MIDNIGHT_MS
    cps["n_updates"] = 1
    cps["gain"], cps["loss"] = np.maximum(change, 0), np.minimum(change, 0)
    cps["mpv"] = np.maximum(values, before)
    peak = np.maximum.accumulate(np.maximum(cps["mpv"], 1.0))
    cps["mdd"] = mdd or np.minimum(np.array(values) / peak, 1.0)
    cps["pnl_gain"] = np.maximum(np.array(values) / before - 1, 0) * 5_000
    cps["pnl_loss"] = np.minimum(np.array(values) / before - 1, 0) * 5_000
    return PerfLedger(FIRST_ORDER_MS, float(peak[-1]), cps)


def position(hotkey: str, uuid: str, pair: str = "BTCUSD", **stored: Any) -> ReplayedPosition:
    """A closed position of two orders."""
    orders = (
        Order(f"{uuid}-1", OrderType.LONG, 0.5, 100.0, FIRST_ORDER_MS),
        Order(f"{uuid}-2", OrderType.FLAT, 0.0, 110.0, FIRST_ORDER_MS + HOUR_MS),
    )
    state = PositionState(
        position_type=OrderType.FLAT,
        is_closed_position=True,
        close_ms=FIRST_ORDER_MS + HOUR_MS,
        current_return=1.05,
        return_at_close=1.04895,
        net_leverage=0.0,
        average_entry_price=100.0,
        initial_entry_price=100.0,
        cumulative_entry_value=50.0,
        realized_pnl=0.0,
        cumulative_leverage=1.0,
        max_leverage_seen=0.5,
        spread_fee=0.999,
    )
    trade_pair = TradePair.from_trade_pair_id(pair)
    recorded = Position(hotkey, uuid, trade_pair, FIRST_ORDER_MS, orders, stored=stored)
    return ReplayedPosition(recorded, state)


def made_run(**changes: Any) -> RunResult:
    """Three traders: one up with two pairs, one down, one liquidated; one rejected position."""
    up = {
        PORTFOLIO: replace(
            ledger([1.02, 0.98, 1.05], mdd=[1.0, 0.95, 0.97], fee=0.999),
            last_known_prices={"BTCUSD": (110.0, MIDNIGHT_MS), "BTCUSD_prev": (109.5, MIDNIGHT_MS)},
        ),
        "BTCUSD": ledger([1.02, 1.02, 1.10]),
        "EURUSD": ledger([1.0, 0.9607843137254902, 0.9545454545454546]),
    }
    result = RunResult(
        settings={"use_slippage": None, "candles": {"store": "candles"}, "fee": float("inf")},
        source="a made-up source",
        inputs={"positions": "12ab", "candles": "34cd"},
        counts={"traders": 3, "positions": 3},
        timings={"ledgers": 0.25},
        start_ms=MIDNIGHT_MS,
        end_ms=MIDNIGHT_MS + 3 * CHECKPOINT_MS,
        update_times_ms=[MIDNIGHT_MS + 2 * CHECKPOINT_MS, MIDNIGHT_MS + 3 * CHECKPOINT_MS],
        ledgers={
            "5Up": up,
            "5Down": {PORTFOLIO: ledger([0.99, 0.97, 0.96])},
            "5Zero": {PORTFOLIO: ledger([1.5, 1.4])},
        },
        positions=[
            position("5Up", "up-1", position_type="FLAT", current_return="1.05", close_ms=None),
            position("5Up", "up-2", "EURUSD"),
            position("5Down", "down-1", is_closed_position=1, return_at_close="unknown"),
        ],
        rejections=[
            Rejection(
                Reason.INVALID_PRICE,
                "price -3.0 is not above 0",
                "orders row 7",
                "5Up",
                "up-3",
                "o7",
                2,
            )
        ],
        liquidations=[Liquidation("5Zero", MIDNIGHT_MS, {"BTCUSD": (float("nan"), 5)}, 1.4)],
        failed_traders={"5Broken": "ETHUSD has no candles at 2025-01-15"},
        warnings=["2 candles of BTCUSD were missing and held"],
    )
    return replace(result, **changes)


def golden_run(folder: Path) -> RunResult:
    """The result that a golden replay expects, as a run would hand it over."""
    expected = json.loads((folder / "expected.json").read_text())
    scenario = json.loads((folder / "scenario.json").read_text())
    settings = scenario["settings"]
    ledgers = {
        hotkey: {name: PerfLedger.from_dict(fields) for name, fields in own.items()}
        for hotkey, own in sorted(expected["ledgers"].items())
    }
    ends = [own[PORTFOLIO].last_update_ms for own in ledgers.values()]
    starts = [own[PORTFOLIO].initialization_time_ms for own in ledgers.values()]
    updates = settings.get("update_times_ms", [max(ends)])
    replayed = [_replayed(fields) for fields in expected["positions"]]
    replayed.sort(key=lambda one: (one.position.miner_hotkey, one.position.open_ms))
    return RunResult(
        settings={key: value for key, value in settings.items() if key != "update_times_ms"},
        source=f"replay bundle {folder.name}",
        inputs={"positions": "0" * 64, "candles": "f" * 64},
        counts={"traders": len(ledgers), "positions": len(replayed)},
        timings={"ledgers": 1.5},
        start_ms=min(starts),
        end_ms=max(ends),
        update_times_ms=updates,
        ledgers=ledgers,
        positions=replayed,
        liquidations=[
            Liquidation(
                event["hotkey"],
                event["elimination_initiated_time_ms"],
                {key: (price, ms) for key, (price, ms) in event["price_info"].items()},
                ledgers[event["hotkey"]][PORTFOLIO].cps["prev_portfolio_ret"][-1].item(),
            )
            for event in expected.get("perf_ledger_eliminations", [])
        ],
    )


def _replayed(fields: Mapping[str, Any]) -> ReplayedPosition:
    orders = tuple(
        Order(**{**order, "order_type": OrderType(order["order_type"])})
        for order in fields["orders"]
    )
    state = {name: fields[name] for name in PositionState.__dataclass_fields__}
    return ReplayedPosition(
        Position(
            miner_hotkey=fields["miner_hotkey"],
            position_uuid=fields["position_uuid"],
            trade_pair=TradePair.from_trade_pair_id(fields["trade_pair_id"]),
            open_ms=fields["open_ms"],
            orders=orders,
        ),
        PositionState(**{**state, "position_type": OrderType(state["position_type"])}),
    )

"""Stored runs made by hand, for comparing and explaining: small enough to work out every figure.

Day 0 is 2025-01-15 00:00 UTC; checkpoints end every 12 hours from then on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.breach import Breach, HeldAtBreach
from ptn_backtest.ledger.checkpoint import CHECKPOINT, CHECKPOINT_MS, PORTFOLIO, PerfLedger
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.results.rule_tables import SCORES
from ptn_backtest.results.run_folder import StoredRun
from ptn_backtest.results.tables import POSITIONS
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, rulebook_from
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Elimination, EliminationReason, Event, EventKind
from ptn_backtest.rules.standing import Standing

DAY_0 = 1_736_899_200_000
"""2025-01-15 00:00 UTC."""
ANNA, BORIS = "5Anna" + "x" * 43, "5Boris" + "y" * 42


def at(days: float) -> int:
    """Time of a day, ms."""
    return DAY_0 + round(days * DAY_MS)


def ledger(
    values: Sequence[float],
    *,
    begins: float = 0,
    mdd: Mapping[int, float] | None = None,
    mpv: Mapping[int, float] | None = None,
    carry: Sequence[float] = (),
    usd: float = 10_000,
    last_at: float | None = None,
) -> PerfLedger:
    """A ledger whose checkpoints end at these values, the first order at its beginning.

    Args:
        values: at the end of each checkpoint; within one the value moves once.
        begins: day of the first order, a multiple of a half.
        mdd: {checkpoint: lowest value / peak} where it is not that of the ends.
        mpv: {checkpoint: highest value}, likewise.
        carry: carry fee product at each end.
        usd: account size.
        last_at: day of the last record, where that checkpoint is not over yet.
    """
    cps = np.zeros(len(values), CHECKPOINT)
    ends, before = np.array(values), np.array([1.0, *values[:-1]])
    cps["last_update_ms"] = at(begins) + CHECKPOINT_MS * np.arange(1, len(values) + 1)
    cps["accum_ms"] = cps["open_ms"] = CHECKPOINT_MS
    if last_at is not None:
        cps["accum_ms"][-1] -= cps["last_update_ms"][-1] - at(last_at)
        cps["last_update_ms"][-1] = at(last_at)
    cps["prev_portfolio_ret"] = values
    cps["prev_portfolio_spread_fee"] = 1.0
    cps["prev_portfolio_carry_fee"] = carry or 1.0
    cps["n_updates"] = 1
    change = np.log(ends / before)
    cps["gain"], cps["loss"] = np.maximum(change, 0), np.minimum(change, 0)
    cps["pnl_gain"] = np.maximum(ends / before - 1, 0) * usd
    cps["pnl_loss"] = np.minimum(ends / before - 1, 0) * usd
    cps["mpv"] = np.maximum(ends, before)
    for k, value in (mpv or {}).items():
        cps["mpv"][k] = value
    peak = np.maximum.accumulate(np.maximum(cps["mpv"], 1.0))
    cps["mdd"] = np.minimum(ends / peak, 1.0)
    for k, value in (mdd or {}).items():
        cps["mdd"][k] = value
    return PerfLedger(at(begins), float(peak[-1]), cps)


def position(hotkey: str, uuid: str, pair: str = "BTCUSD", **changes: Any) -> dict[str, Any]:
    """A row of positions.parquet: open since day 0, worth 1."""
    row: dict[str, Any] = {
        name: None if POSITIONS.field(name).nullable else 1.0 for name in POSITIONS.names
    }
    return row | {
        "miner_hotkey": hotkey,
        "position_uuid": uuid,
        "trade_pair_id": pair,
        "position_type": "LONG",
        "is_closed_position": False,
        "open_ms": at(0),
        "n_orders": 1,
        "account_size": 10_000.0,
        **changes,
    }


def closed(days: float, worth: float) -> dict[str, Any]:
    """What a position closed on a day has in its row."""
    return {
        "close_ms": at(days),
        "is_closed_position": True,
        "position_type": "FLAT",
        "return_at_close": worth,
        "n_orders": 2,
    }


def score(hotkey: str, days: float, value: float, rank: int, **changes: Any) -> dict[str, Any]:
    """A row of scores.parquet, in crypto, scored with all."""
    row: dict[str, Any] = {
        name: None if SCORES.field(name).nullable else 1.0 for name in SCORES.names
    }
    return row | {
        "time_ms": at(days),
        "scored_with": "all",
        "miner_hotkey": hotkey,
        "asset_class": "crypto",
        "n_days": 3,
        "min_days": 7,
        "score": value,
        "rank": rank,
        "final_weight": value,
        "final_rank": rank,
        **changes,
    }


def entered(hotkey: str, days: float = 1) -> Event:
    """It entered CHALLENGE, first order on day 0."""
    return Event(
        at(days),
        hotkey,
        EventKind.ENTERED,
        None,
        Bucket.CHALLENGE,
        "first order",
        {"first_order_ms": at(0)},
    )


def eliminated(hotkey: str, days: float, drawdown: float, limit: float = 10.0) -> Event:
    """It failed the challenge by drawdown."""
    return Event(
        at(days),
        hotkey,
        EventKind.ELIMINATED,
        Bucket.CHALLENGE,
        None,
        EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
        {"drawdown_percent": drawdown, "limit_percent": limit},
    )


def stored_run(
    ledgers: Mapping[str, Mapping[str, PerfLedger]],
    *,
    positions: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Event] = (),
    eliminations: Sequence[Elimination] = (),
    standings: Mapping[str, Standing] | None = None,
    scores: Sequence[Mapping[str, Any]] = (),
    days: int = 4,
    rules: Mapping[str, Any] | None = None,
    **settings: Any,
) -> StoredRun:
    """A run with an update at the end of each day from day 1 on."""
    rulebook = rulebook_from(rules, "test rules") if rules else DEFAULT_RULEBOOK
    recorded = {"run_challenge": True, "run_elimination": True, "drop_pairs": []} | settings
    return StoredRun(
        info={
            "synthetic": False,
            "source": "made by hand",
            "start_ms": at(1),
            "end_ms": at(days),
            "settings": {**recorded, "rulebook": rulebook.to_dict()},
            "inputs": {"positions": "12ab"},
            "versions": {"python": "3"},
            "counts": {"traders": len(ledgers)},
            "failed_traders": {},
            "warnings": [],
            "update_times_ms": [at(day) for day in range(1, days + 1)],
        },
        ledgers=ledgers,
        positions=pa.Table.from_pylist(list(positions), schema=POSITIONS),
        rejections=(),
        liquidations=(),
        events=tuple(events),
        eliminations=tuple(eliminations),
        standings=standings or {},
        scores=pa.Table.from_pylist(list(scores), schema=SCORES),
        order_findings=(),
    )


def the_fallen() -> StoredRun:
    """Peak 1.02 within the first half of day 1, worth 1.0 at its end; the limit at 1.6, out at 3.

    BTCUSD: one position closed at 1.01 on day 0.5, one that stands at 0.9 at the breach; EURUSD: 0.99.
    By hand: value 1.01 x 0.9 x 0.99 at the breach.
    """
    portfolio = ledger(
        [1.01, 1.0, 1.0, 0.88, 0.87, 0.87],
        mpv={1: 1.02},
        mdd={3: 0.86},
        carry=[1, 1, 0.999, 0.998, 0.998, 0.998],
    )
    btc = ledger([1.01, 1.0, 1.0, 0.9, 0.9, 0.9], mpv={1: 1.02})
    eur = ledger([1.0, 1.0, 1.0, 0.98, 0.97, 0.97])
    held = (
        HeldAtBreach("btc-2", "BTCUSD", 0.5, 100.0, at(1.6), 0.9),
        HeldAtBreach("eur", "EURUSD", -2.0, 1.25, at(1.6), 0.99),
    )
    breach = Breach(at(1.6), 1.01 * 0.9 * 0.99, 1.02, held)
    end = Elimination(
        ANNA,
        at(3),
        14.0,
        EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
        Bucket.CHALLENGE,
        breach,
        {"BTCUSD": FoundPrice(99.5, at(3), Timespan.MINUTE)},
        {"btc-2": 0.89},
    )
    slashed = Event(
        at(3),
        ANNA,
        EventKind.COLLATERAL_SLASHED,
        figures={"fraction": 0.1, "collateral_theta": 20.0, "slashed_theta": 2.0},
    )
    return stored_run(
        {ANNA: {PORTFOLIO: portfolio, "BTCUSD": btc, "EURUSD": eur}},
        positions=[
            position(ANNA, "btc-1", **closed(0.5, 1.01)),
            position(ANNA, "btc-2", **closed(3, 0.89)),
            position(ANNA, "eur", "EURUSD", **closed(2.5, 0.98)),
        ],
        events=[entered(ANNA), eliminated(ANNA, 3, 14.0), slashed],
        eliminations=[end],
    )

"""A trader's page: everything that a run knows about one hotkey."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.report.standing_view import bands, closed_positions
from ptn_backtest.results import rule_tables
from ptn_backtest.results.attribution import PARTS
from ptn_backtest.results.series import daily_simple_returns
from ptn_backtest.results.statistics import LedgerSummary, equity_curve, summarize_ledger
from ptn_backtest.rules.events import Elimination
from ptn_backtest.web import charts
from ptn_backtest.web.opened import OpenRun
from ptn_backtest.web.prices import price_chart

__all__ = ["MOST_POSITIONS", "trader_parts"]

MOST_POSITIONS = 300
_POSITION_COLUMNS = (
    "position_uuid",
    "trade_pair_id",
    "open_ms",
    "close_ms",
    "is_closed_position",
    "n_orders",
    "return_at_close",
    "net_leverage",
    "max_leverage_seen",
    "initial_entry_price",
    "spread_fee",
)
_ORDER_COLUMNS = (
    "position_uuid",
    "trade_pair_id",
    "time_ms",
    "order_type",
    "price",
    "fill_price",
    "net_leverage",
)


@dataclass(frozen=True, slots=True)
class PairRow:
    """One trade pair: its ledger in figures, and where its change came from (log changes)."""

    trade_pair_id: str
    figures: LedgerSummary
    parts: Mapping[str, float]


def trader_parts(
    run: OpenRun, hotkey: str, pair: str | None, position: str | None
) -> dict[str, Any]:
    """What `trader.html.j2` shows.

    Args:
        run: the run.
        hotkey: the trader.
        pair: whose prices to show; None for that of the newest position.
        position: only this position's; None for all on the pair.

    Raises:
        NoSuchTrader: the run does not know it.
    """
    run.require_trader(hotkey)
    ledgers = run.ledgers(hotkey)
    portfolio = ledgers.get(PORTFOLIO)
    attribution = run.rows("attribution", hotkey, ["ledger", "change", *PARTS])
    positions = _positions(run, hotkey)
    pairs = sorted({row["trade_pair_id"] for row in positions})
    orders = run.rows("orders", hotkey, _ORDER_COLUMNS)
    chosen = next((row for row in positions if row["position_uuid"] == position), None)
    if chosen:
        pair = chosen["trade_pair_id"]
    elif pair not in pairs:
        pair = positions[0]["trade_pair_id"] if positions else None
    end = run.eliminations.get(hotkey)
    has_ledger = portfolio is not None and len(portfolio.cps) > 0
    return {
        "run": run,
        "hotkey": hotkey,
        "row": run.places.get(hotkey),
        "standing": run.standing(hotkey),
        "failed": run.info["failed_traders"].get(hotkey),
        "figures": _curves(run, hotkey, portfolio, attribution, end)
        if portfolio is not None and has_ledger
        else None,
        "pairs": _pairs(ledgers, attribution),
        "end": end,
        "closed": closed_positions(
            end, {row["position_uuid"]: row["trade_pair_id"] for row in positions}
        )
        if end
        else (),
        "events": sorted(
            (e for e in run.events if e.miner_hotkey == hotkey), key=lambda e: e.time_ms
        ),
        "scores": _scores(run, hotkey),
        "positions": positions[:MOST_POSITIONS],
        "n_positions": len(positions),
        "exits": _exits(orders),
        "price_pairs": pairs,
        "pair": pair,
        "position": chosen,
        "prices": price_chart(orders, pair, position if chosen else None, run.candles)
        if pair
        else None,
        "rejected": run.rows("rejected", hotkey).to_pylist(),
        "findings": run.rows("order_findings", hotkey).to_pylist(),
    }


def _curves(
    run: OpenRun,
    hotkey: str,
    ledger: PerfLedger,
    attribution: pa.Table,
    end: Elimination | None,
) -> dict[str, Any]:
    curve = equity_curve(ledger)
    stays = run.stays.get(hotkey, ())
    shaded = bands(stays, int(curve.time_ms[-1]))
    parts = _parts(attribution, PORTFOLIO)
    return {
        "summary": summarize_ledger(ledger),
        "equity": charts.equity_chart(curve, run.limit, end, shaded),
        "drawdown": charts.drawdown_chart(curve, run.limit, end),
        "parts": {name: float(part.sum()) for name, part in parts.items()},
        "attribution": charts.attribution_chart(ledger, {name: parts[name] for name in PARTS}),
        "days": _days(ledger),
        "buckets": sorted({(band["tone"], band["label"]) for band in shaded}),
    }


def _parts(attribution: pa.Table, ledger: str) -> dict[str, Any]:
    own = attribution.filter(pc.field("ledger") == ledger)
    return {name: own[name].to_numpy() for name in ("change", *PARTS)}


def _pairs(ledgers: Mapping[str, PerfLedger], attribution: pa.Table) -> list[PairRow]:
    rows = [
        PairRow(
            name,
            summarize_ledger(ledger),
            {part: float(each.sum()) for part, each in _parts(attribution, name).items()},
        )
        for name, ledger in ledgers.items()
        if name != PORTFOLIO and len(ledger.cps)
    ]
    return sorted(rows, key=lambda row: -row.parts["change"])


def _days(ledger: PerfLedger) -> list[tuple[str, float]]:
    """The worst and the best full day; () where there are fewer than two."""
    dates, returns = daily_simple_returns(ledger)
    if len(returns) < 2:  # noqa: PLR2004 - the best of one says nothing
        return []
    return [(str(dates[at]), float(returns[at])) for at in (np.argmin(returns), np.argmax(returns))]


def _positions(run: OpenRun, hotkey: str) -> list[dict[str, Any]]:
    """The newest first."""
    rows: list[dict[str, Any]] = run.rows("positions", hotkey, _POSITION_COLUMNS).to_pylist()
    return sorted(rows, key=lambda row: (-row["open_ms"], row["position_uuid"]))


def _exits(orders: pa.Table) -> dict[str, tuple[str, float | None]]:
    """{position: side of its first order, price of the order that closed it}."""
    found: dict[str, tuple[str, float | None]] = {}
    for row in orders.to_pylist():
        side, paid = found.get(row["position_uuid"], (row["order_type"].lower(), None))
        if paid is None and row["net_leverage"] == 0:
            paid = row["fill_price"] or None
        found[row["position_uuid"]] = side, paid
    return found


def _scores(run: OpenRun, hotkey: str) -> dict[str, Any] | None:
    """Class scores and the rank over time, and the last evaluation in rows; None without any."""
    table = run.rows("scores", hotkey)
    for scored_with in (rule_tables.WITH_ALL, rule_tables.WITH_COMPETITION):
        own = table.filter(pc.field("scored_with") == scored_with)
        if len(own):
            break
    else:
        return None
    times = np.unique(own["time_ms"].to_numpy())
    classes = pc.unique(own["asset_class"]).to_pylist()
    lines: dict[str, Any] = {}
    ranks = np.full(len(times), np.nan)
    for asset_class in map(str, classes):
        rows = own.filter(pc.field("asset_class") == asset_class)
        places = np.searchsorted(times, rows["time_ms"].to_numpy())
        lines[asset_class] = np.full(len(times), np.nan)
        lines[asset_class][places] = rows["score"].to_numpy()
        ranks[places] = rows["final_rank"].to_numpy()
    last = own.filter(pc.field("time_ms") == int(times[-1]))
    rank = charts.line_chart(times, {"rank": ranks}, "rank")
    return {
        "competition": scored_with == rule_tables.WITH_COMPETITION,
        "time_ms": int(times[-1]),
        "scores": charts.line_chart(times, lines, "score"),
        "rank": rank,
        "last": last.to_pylist(),
    }

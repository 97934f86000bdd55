"""What the page's script draws a trader's part from, once it is opened.

Numbers that there are many of stand in tables (`packing`), whose rows are those of the first trader, then
those of the second, and so on; the rest stands with each trader. Texts are as they came: the script puts
them into text nodes, never into markup.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.positions.order_checks import OrderFinding
from ptn_backtest.positions.rejection import Rejection
from ptn_backtest.report import rule_wording
from ptn_backtest.report.curve_data import curve_table, ledger_table, part_table
from ptn_backtest.report.position_data import position_tables, price_table
from ptn_backtest.report.score_data import history_part, last_part
from ptn_backtest.report.score_view import last_scores, score_history
from ptn_backtest.report.sharing import share
from ptn_backtest.report.standing_view import Story, bands, closed_positions
from ptn_backtest.results.attribution import NO_SLIPPAGE, slippage_logs
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.order_marks import LABELS, TONES
from ptn_backtest.results.position_index import position_index
from ptn_backtest.results.series import daily_simple_returns
from ptn_backtest.results.statistics import TraderSummary
from ptn_backtest.rules.events import Elimination, Event

__all__ = ["as_text", "page_data"]

MOST_EVENTS = 100
"""Newest events listed per trader; events.parquet has them all."""
MOST_ROWS = 50
"""First findings and rows that were set aside per trader; their tables have them all."""
PAGE_ROWS = 2_500
"""Of each kind, of all traders together."""


def page_data(
    result: RunResult, ranked: Sequence[TraderSummary], story: Story | None
) -> dict[str, Any]:
    """JSON-ready; what each part means stands at the function that makes it.

    Args:
        result: the run.
        ranked: its traders by rank, with a portfolio ledger each.
        story: what the rules did; None where none ran.
    """
    traders = [one.miner_hotkey for one in ranked]
    ledgers = [result.ledgers[hotkey] for hotkey in traders]
    portfolios = [own[PORTFOLIO] for own in ledgers]
    index = position_index(result.positions)
    logs = slippage_logs(index, result.orders)
    slippage = [logs.get(hotkey, {}) for hotkey in traders]
    shown = position_tables(traders, result.positions, result.orders, index)
    others = {name for own in ledgers for name in own} | {*result.prices}
    names = [*index.pairs, *sorted(others - {*index.pairs, PORTFOLIO})]
    pairs = {name: number for number, name in enumerate(names)}
    limit = rule_wording.limit_percent(result.settings) if story else None
    last = last_scores(result) if story else None
    history = score_history(result) if story else None
    return {
        "limit": None if limit is None else limit / 100,
        "pairs": list(pairs),
        "priced": [pairs[name] for name in result.prices],
        "prices": price_table(list(result.prices.values())),
        "tones": TONES,
        "labels": LABELS,
        "curves": curve_table(portfolios),
        "parts": part_table(portfolios, [own.get(PORTFOLIO, NO_SLIPPAGE) for own in slippage]),
        "ledgers": ledger_table(ledgers, slippage, pairs),
        "positions": shown.positions,
        "keys": shown.keys,
        "orders": shown.orders,
        "begin": shown.begin_ms / 1_000,
        "history": history_part(history, traders) if history and history.places else None,
        "last": last_part(last, traders) if last else None,
        "traders": _traders(result, ranked, story),
    }


def as_text(data: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element: nothing in it can end one, or begin a comment."""
    try:
        text = _dumped(data)
    except ValueError:  # a number that JSON does not have; to look for it first takes long
        text = _dumped(json_ready(data, sort_keys=False))
    return text.replace("<", "\\u003c")


def _dumped(data: Mapping[str, Any]) -> str:
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def _traders(
    result: RunResult, ranked: Sequence[TraderSummary], story: Story | None
) -> list[dict[str, Any]]:
    findings = _grouped(result.order_findings)
    rejected = _grouped(result.rejections)
    most_findings = share([len(own) for own in findings.values()], MOST_ROWS, PAGE_ROWS)
    most_rejected = share([len(own) for own in rejected.values()], MOST_ROWS, PAGE_ROWS)
    told = []
    for one in ranked:
        hotkey = one.miner_hotkey
        own = {
            **_figures(result, one),
            "findings": [_finding(each) for each in findings.get(hotkey, ())[:most_findings]],
            "n_findings": len(findings.get(hotkey, ())),
            "rejected": [_rejected(each) for each in rejected.get(hotkey, ())[:most_rejected]],
            "n_rejected": len(rejected.get(hotkey, ())),
        }
        told.append(own | _standing(one, story, result.end_ms) if story else own)
    return told


def _figures(result: RunResult, summary: TraderSummary) -> dict[str, Any]:
    portfolio, liquidation = summary.portfolio, summary.liquidation
    dates, returns = daily_simple_returns(result.ledgers[summary.miner_hotkey][PORTFOLIO])
    ends = (np.argmax(returns), np.argmin(returns)) if len(returns) > 1 else ()
    return {
        "hotkey": summary.miner_hotkey,
        "return": _short(portfolio.total_return),
        "drawdown": _short(portfolio.max_drawdown),
        "pnl": _short(portfolio.pnl_usd),
        "spread": _short(portfolio.spread_fee),
        "carry": _short(portfolio.carry_fee),
        "in_market": _short(portfolio.time_in_market),
        "period": [portfolio.start_ms, portfolio.end_ms],
        "truncated": portfolio.truncated,
        "days": [[str(dates[at]), _short(float(returns[at]))] for at in ends],
        "n_positions": len(summary.positions),
        "n_open": summary.n_open,
        "n_orders": summary.n_orders,
        "liquidated": [liquidation.elimination_ms, _short(liquidation.previous_return)]
        if liquidation
        else None,
    }


def _standing(summary: TraderSummary, story: Story, end_ms: int) -> dict[str, Any]:
    hotkey = summary.miner_hotkey
    events = story.events.get(hotkey, ())
    elimination = story.eliminations.get(hotkey)
    return {
        "standing": story.standing(hotkey),
        "failed": story.failed(hotkey),
        "stays": [
            [band["from"], band["to"], band["label"]]
            for band in bands(story.stays.get(hotkey, ()), end_ms)
        ],
        "events": [_event(event) for event in events[-MOST_EVENTS:]],
        "n_events": len(events),
        "end": _end(elimination, summary) if elimination else None,
    }


def _event(event: Event) -> list[Any]:
    return [event.time_ms, event.kind.value.lower(), rule_wording.sentence(event)]


def _end(end: Elimination, summary: TraderSummary) -> dict[str, Any]:
    breach = end.breach
    pairs = {
        one.position.position_uuid: one.position.trade_pair.trade_pair_id
        for one in (summary.positions if end.returns else ())
    }
    return {
        "time": end.time_ms,
        "reason": rule_wording.reason(end.reason.value),
        "name": end.reason.value,
        "bucket": end.bucket.value if end.bucket else None,
        "recorded": end.drawdown_percent / 100,
        "breach": [breach.time_ms, breach.value, breach.peak, breach.drawdown] if breach else None,
        "held": [
            [
                held.trade_pair_id,
                held.leverage,
                held.price,
                held.candle_ms,
                held.return_at_close,
                held.position_uuid,
            ]
            for held in (breach.positions if breach else ())
        ],
        "closed": [
            [
                one.trade_pair_id,
                [one.found.price, one.found.candle_ms, one.found.timespan.value]
                if one.found
                else None,
                one.return_at_close,
                one.position_uuid,
            ]
            for one in closed_positions(end, pairs)
        ],
    }


def _finding(one: OrderFinding) -> list[Any]:
    rule = one.rule.value.replace("_", " ")
    return [
        one.time_ms,
        rule,
        one.trade_pair_id,
        one.recorded_leverage,
        one.allowed_leverage,
        one.sentence,
    ]


def _rejected(one: Rejection) -> list[Any]:
    reason = str(one.reason).replace("_", " ")
    return [reason, one.detail, one.origin, one.n_orders, one.position_uuid]


def _grouped(rows: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.miner_hotkey, []).append(row)
    return found


def _short(number: float) -> float:
    """Seven digits that count: more than anybody is shown."""
    return float(f"{number:.7g}")

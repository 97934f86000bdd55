"""report.html: one file that works offline, light and dark, on a phone and on paper."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from ptn_backtest.backtest.result import ReplayedPosition, RunResult
from ptn_backtest.clock import format_time
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.positions.rejection import Rejection
from ptn_backtest.report import rule_wording, wording
from ptn_backtest.report.charts import (
    MOST_POINTS,
    SIZE,
    Chart,
    drawdown_chart,
    return_chart,
    sparkline,
)
from ptn_backtest.report.environment import page_environment
from ptn_backtest.report.finding_view import MOST_FINDINGS, finding_groups, trader_findings
from ptn_backtest.report.network_view import network_view
from ptn_backtest.report.score_view import leaderboard
from ptn_backtest.report.standing_view import StandingView, Story, story
from ptn_backtest.results.attribution import SlippageLog, part_sums, slippage_logs
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.run_folder import versions
from ptn_backtest.results.statistics import (
    LedgerSummary,
    TraderSummary,
    daily_returns,
    equity_curve,
    pair_contributions,
    rank_traders,
    summarize_ledger,
)
from ptn_backtest.rulebook.scoring_rules import METRICS

REPORT_FILE = "report.html"
MOST_OPEN_TRADERS = 10
"""With more traders than this, their sections start folded."""
MOST_POSITIONS = 100
"""Newest positions listed per trader; positions.parquet has them all."""
PAGE_POINTS = 25_000
PAGE_POSITIONS = 3_000
PAGE_FINDINGS = 2_500
"""What a page of very many traders shares out among them, so that it stays a few MB."""
MOST_EXAMPLES = 3
"""Examples shown of each kind of rejection."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """What one trade pair added to a trader's portfolio.

    Attributes:
        trade_pair_id: the pair.
        contribution: its share of the portfolio's log return.
        figures: its ledger in figures.
        zero: where zero is, percent of the bar's column.
        left: where the bar starts, likewise.
        width: how long it is, likewise.
    """

    trade_pair_id: str
    contribution: float
    figures: LedgerSummary
    zero: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class TraderView:
    """One trader's part of the page."""

    summary: TraderSummary
    spark: str
    returns: Chart
    drawdown: Chart
    pairs: Sequence[PairRow]
    parts: Mapping[str, float]
    best_day: tuple[str, float] | None
    worst_day: tuple[str, float] | None
    positions: Sequence[ReplayedPosition]
    standing: StandingView | None


@dataclass(frozen=True, slots=True)
class RejectionGroup:
    """Rejections of one reason."""

    reason: str
    n_positions: int
    n_orders: int
    examples: Sequence[Rejection]


def write_report(folder: Path, result: RunResult) -> Path:
    """Write report.html into a folder, whole or not at all.

    Equal runs give equal bytes: the page shows neither timings nor the time of writing.

    Args:
        folder: an existing folder, such as the run's.
        result: what to show.

    Returns:
        Path of the page.
    """
    path = folder / REPORT_FILE
    temporary = folder / f".{REPORT_FILE}.new"
    temporary.write_text(render_report(result), encoding="utf-8", newline="\n")
    return temporary.replace(path)


def render_report(result: RunResult) -> str:
    """The page's text; a page that says why where there is no ledger at all."""
    environment = _environment()
    script = environment.get_template("script.html.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    ranked = rank_traders(result)
    most_points = min(MOST_POINTS, max(60, PAGE_POINTS // max(len(ranked), 1)))
    most_positions = min(MOST_POSITIONS, max(5, PAGE_POSITIONS // max(len(ranked), 1)))
    ran = rule_wording.rules_ran(result)
    told = story(result) if ran else None
    slippage = slippage_logs(result.positions, result.orders)
    traders = [
        _trader_view(
            one,
            result,
            told,
            _parts(result, slippage, one.miner_hotkey),
            most_points,
            most_positions,
        )
        for one in ranked
    ]
    return environment.get_template("report.html.j2" if traders else "nothing.html.j2").render(
        run=result,
        facts=_facts(result),
        settings=list(_flat(json_ready(result.settings))),
        versions=versions(),
        traders=traders,
        folded=len(traders) > MOST_OPEN_TRADERS,
        short=wording.short_names(one.miner_hotkey for one in ranked),
        truncated=any(view.summary.portfolio.truncated for view in traders),
        network=network_view(result) if ran else None,
        leaders=leaderboard(result) if ran else None,
        findings=finding_groups(result.order_findings),
        findings_by_trader=trader_findings(result.order_findings, _most_findings(result)),
        ranks={one.miner_hotkey: one.rank for one in ranked},
        rejected=_rejection_groups(result.rejections),
        nothing=wording.why_nothing(result) if not traders else None,
        size=SIZE,
        # only our own script may run, whatever a hotkey or a file says
        script=Markup(script),  # noqa: S704 - our own template, no input in it
        script_hash=digest,
    )


def _environment() -> Environment:
    environment = page_environment()
    environment.filters |= {
        "usd": wording.usd,
        "second": lambda ms: format_time(ms).removesuffix(" UTC"),
        "figure": wording.figure,
        "sentence": rule_wording.sentence,
        "fate": lambda text: rule_wording.reason(str(text)),
        "price": lambda number: f"{number:,.8g}",
        "plain": lambda number: f"{number:.6g}",
    }
    # as globals, so that no template imports them for each trader anew
    macros = environment.get_template("macros.html.j2").module
    environment.globals |= {
        "metrics": METRICS,
        "tone": wording.tone,
        **{name: getattr(macros, name) for name in ("band", "chart", "series_chart")},
    }
    return environment


def _facts(result: RunResult) -> list[tuple[str, str]]:
    n_open = sum(not replayed.state.is_closed_position for replayed in result.positions)
    n_orders = sum(len(replayed.position.orders) for replayed in result.positions)
    return [
        ("Traders", f"{len(result.ledgers):,}"),
        ("Positions", f"{len(result.positions):,}"),
        ("Open positions", f"{n_open:,}"),
        ("Orders", f"{n_orders:,}"),
        ("Set aside", f"{len(result.rejections):,}"),
        ("Updates", f"{len(result.update_times_ms):,}"),
    ]


def _most_findings(result: RunResult) -> int:
    traders = len({finding.miner_hotkey for finding in result.order_findings})
    return min(MOST_FINDINGS, max(5, PAGE_FINDINGS // max(traders, 1)))


def _trader_view(
    summary: TraderSummary,
    result: RunResult,
    told: Story | None,
    parts: Mapping[str, float],
    most_points: int,
    most_positions: int,
) -> TraderView:
    ledgers = result.ledgers[summary.miner_hotkey]
    curve = equity_curve(ledgers[PORTFOLIO])
    dates, returns = daily_returns(ledgers[PORTFOLIO])
    limit = rule_wording.limit_percent(result.settings) if told else None
    newest_first = sorted(summary.positions, key=lambda p: p.position.open_ms, reverse=True)
    return TraderView(
        summary=summary,
        spark=sparkline(curve),
        returns=return_chart(curve, most_points),
        drawdown=drawdown_chart(curve, most_points, None if limit is None else limit / 100),
        pairs=_pair_rows(ledgers),
        parts=parts,
        best_day=_day(dates, returns, np.argmax),
        worst_day=_day(dates, returns, np.argmin),
        positions=newest_first[:most_positions],
        standing=told.of(summary, int(curve.time_ms[0]), int(curve.time_ms[-1]), most_points)
        if told
        else None,
    )


def _parts(
    result: RunResult, slippage: Mapping[str, Mapping[str, SlippageLog]], hotkey: str
) -> dict[str, float]:
    """Where the change of a trader's portfolio came from, over all its checkpoints."""
    portfolio = {PORTFOLIO: result.ledgers[hotkey][PORTFOLIO]}
    return part_sums(portfolio, slippage.get(hotkey, {}))[PORTFOLIO]


def _day(dates: Any, returns: Any, pick: Any) -> tuple[str, float] | None:  # noqa: ANN401
    if len(returns) < 2:  # noqa: PLR2004 - the best of one day says nothing
        return None
    at = pick(returns)
    return str(dates[at]), float(np.expm1(returns[at]))


def _pair_rows(ledgers: Mapping[str, PerfLedger]) -> list[PairRow]:
    """Bars on one scale, with zero where the longest to either side fit the column."""
    contributions = pair_contributions({k: v for k, v in ledgers.items() if len(v.cps)})
    low = min([0.0, *contributions.values()])
    span = max([0.0, *contributions.values()]) - low or 1.0
    return [
        PairRow(
            trade_pair_id=pair,
            contribution=value,
            figures=summarize_ledger(ledgers[pair]),
            zero=round(100 * -low / span, 2),
            left=round(100 * (min(value, 0.0) - low) / span, 2),
            width=round(100 * abs(value) / span, 2),
        )
        for pair, value in contributions.items()
    ]


def _rejection_groups(rejections: Sequence[Rejection]) -> list[RejectionGroup]:
    groups: dict[str, list[Rejection]] = {}
    for rejection in rejections:
        groups.setdefault(str(rejection.reason), []).append(rejection)
    return [
        RejectionGroup(
            reason=reason.replace("_", " "),
            n_positions=len(group),
            n_orders=sum(rejection.n_orders for rejection in group),
            examples=group[:MOST_EXAMPLES],
        )
        for reason, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{name}", text

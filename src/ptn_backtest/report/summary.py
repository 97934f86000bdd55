"""The summary of a run in the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptn_backtest.backtest.result import Advance, RunResult
from ptn_backtest.clock import format_date, format_time
from ptn_backtest.report import rule_wording, wording
from ptn_backtest.results.statistics import TraderSummary, rank_traders
from ptn_backtest.rules.events import Event, EventKind

MOST_TRADERS = 30
"""Traders listed; the report has them all."""
LAST_EVENTS = 5
"""Events listed of a run with rules; the report has them all."""


def print_summary(result: RunResult, console: Console) -> None:
    """Print what a run found: a line per trader, totals, what was set aside, warnings.

    Everything that comes from positions is printed as plain text, never as markup.
    """
    traders = rank_traders(result)
    if result.synthetic:
        notice = Text(f" {wording.SYNTHETIC.upper()} ", style="bold black on yellow")
        console.print(notice.append(f" {wording.SYNTHETIC_NOTICE}", style="not bold"))
    if traders:
        console.print(_table(traders, result))
        hidden = len(traders) - MOST_TRADERS
        if hidden > 0:
            console.print(
                Text(f"{wording.count(hidden, 'more trader')} in the report.", style="dim")
            )
        if rule_wording.rules_ran(result):
            for line in _network(result.events):
                console.print(line)
    else:
        reason, steps = wording.why_nothing(result)
        console.print(Text(reason, style="bold red"))
        for step in steps:
            console.print(Text(f"  - {step}"))
    for line in _notes(result):
        console.print(line)


def nothing_new(end_ms: int) -> str:
    """What is said of going on with a run that changed nothing; `end_ms` is its last update."""
    return f"nothing new: the run is already at {format_time(end_ms)}"


def print_advance(advance: Advance, console: Console) -> None:
    """Print what going on with a run did: how far it is, what the rules changed, warnings."""
    if advance.n_updates:
        updates = wording.count(advance.n_updates, "update")
        console.print(Text(f"{updates}, up to {format_time(advance.end_ms)}"))
    else:
        console.print(Text(nothing_new(advance.end_ms)))
    for line in _network(advance.events):
        console.print(line)
    for line in _said(advance.failed_traders, advance.warnings):
        console.print(line)


def _table(traders: list[TraderSummary], result: RunResult) -> Table:
    period = f"{format_date(result.start_ms)} to {format_date(result.end_ms)}"
    table = Table(title=f"Traders, {period}", title_justify="left", show_footer=True, expand=False)
    shown = traders[:MOST_TRADERS]
    names = wording.short_names(s.miner_hotkey for s in shown)
    total = wording.count(len(traders), "trader")
    columns = (
        ("#", [str(s.rank) for s in shown], ""),
        ("Trader", [names[s.miner_hotkey] for s in shown], total),
        ("Return", [_return(s) for s in shown], ""),
        ("Drawdown", [wording.percent(s.portfolio.max_drawdown) for s in shown], ""),
        ("Fees", [wording.percent(_fees(s)) for s in shown], ""),
        (
            "PnL USD",
            [wording.usd(s.portfolio.pnl_usd) for s in shown],
            wording.usd(sum(s.portfolio.pnl_usd for s in traders)),
        ),
        *(
            [("Bucket", [_standing(s, result) for s in shown], "")]
            if rule_wording.rules_ran(result)
            else _sizes(traders, shown)
        ),
    )
    for title, _, footer in columns:
        table.add_column(
            title,
            footer=footer,
            justify="left" if title in ("Trader", "Bucket") else "right",
            no_wrap=True,
        )
    for row in zip(*(cells for _, cells, _ in columns), strict=True):
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return table


def _sizes(
    traders: list[TraderSummary], shown: list[TraderSummary]
) -> list[tuple[str, list[str], str]]:
    """How much there is of each trader; where rules ran, where it stands takes this place."""
    return [
        (
            "Pos.",
            [f"{len(s.positions):,}" for s in shown],
            f"{sum(len(s.positions) for s in traders):,}",
        ),
        (
            "Chkpts",
            [f"{s.portfolio.n_checkpoints:,}" for s in shown],
            f"{sum(s.portfolio.n_checkpoints for s in traders):,}",
        ),
    ]


def _standing(summary: TraderSummary, result: RunResult) -> Text:
    text = rule_wording.standing(result, summary.miner_hotkey)
    return Text(text, style="bold red" if text == rule_wording.OUT else "")


def _network(events: Sequence[Event]) -> list[Text]:
    """What the rules did: how much of each, where that leaves everybody, and the last events."""
    moves = rule_wording.moves(events)
    done = rule_wording.count_by_name(rule_wording.KINDS[event.kind] for event in moves)
    lines = [Text.assemble(("Rules ", "bold"), done or "nothing happened")]
    for kind, title in (
        (EventKind.ELIMINATED, "Eliminated "),
        (EventKind.FAILED, "Would be eliminated "),
    ):
        reasons = [rule_wording.reason(event.reason) for event in moves if event.kind is kind]
        if reasons:
            lines.append(Text.assemble((title, "bold red"), rule_wording.count_by_name(reasons)))
    last = [event for event in moves if event.kind is not EventKind.ENTERED][-LAST_EVENTS:]
    names = wording.short_names(event.miner_hotkey for event in last)
    if last:
        lines.append(Text("Last events", style="bold"))
    for event in last:
        who = f"  {format_date(event.time_ms)}  {names[event.miner_hotkey]}  "
        lines.append(Text.assemble((who, "dim"), rule_wording.sentence(event, brief=True)))
    return lines


def _return(summary: TraderSummary) -> Text:
    if summary.liquidation:
        return Text("liquidated", style="bold red")
    change = summary.portfolio.total_return
    return Text(wording.signed_percent(change), style="green" if change > 0 else "red")


def _fees(summary: TraderSummary) -> float:
    """Spread and carry fees together, as a fraction of the value."""
    return 1 - (1 - summary.portfolio.spread_fee) * (1 - summary.portfolio.carry_fee)


def _notes(result: RunResult) -> list[Text]:
    lines = []
    reasons = Counter(str(rejection.reason) for rejection in result.rejections)
    if reasons:
        each = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in reasons.most_common())
        total = wording.count(len(result.rejections), "position")
        lines.append(Text.assemble(("Set aside ", "bold yellow"), f"{total}: {each}"))
    if result.order_findings:
        rules = (finding.rule.replace("_", " ") for finding in result.order_findings)
        total = wording.count(len(result.order_findings), "order")
        text = f"{total} that the rules do not take: {rule_wording.count_by_name(rules)}"
        lines.append(Text.assemble(("Reduced or refused ", "bold yellow"), text))
    return lines + _said(result.failed_traders, result.warnings)


def _said(failed_traders: Mapping[str, str], warnings: Sequence[str]) -> list[Text]:
    return [
        *(
            Text.assemble(("Failed ", "bold red"), f"{wording.shorten(hotkey)}: {message}")
            for hotkey, message in failed_traders.items()
        ),
        *(Text.assemble(("Warning ", "bold yellow"), warning) for warning in warnings),
    ]

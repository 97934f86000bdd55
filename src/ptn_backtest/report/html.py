"""report.html: one file that works offline, light and dark, on a phone and on paper.

Leaderboard, network, eliminations and settings are HTML. A trader's part is data, from which the page's
script draws it once it is opened: `page_data` here, `static/report.js` there.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.clock import format_time
from ptn_backtest.positions.rejection import Rejection
from ptn_backtest.report import rule_wording, wording
from ptn_backtest.report.charts import SIZE
from ptn_backtest.report.environment import page_environment
from ptn_backtest.report.finding_view import finding_groups
from ptn_backtest.report.network_view import network_view
from ptn_backtest.report.page_data import as_text, page_data
from ptn_backtest.report.score_view import last_scores, leaderboard
from ptn_backtest.report.scripts import UPLOT, page_script, static_bytes
from ptn_backtest.report.standing_view import story
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.run_folder import versions
from ptn_backtest.results.statistics import rank_traders

REPORT_FILE = "report.html"
MOST_OPEN_TRADERS = 10
"""With more traders than this, their parts start closed."""
MOST_ENDS = 1_000
"""Newest eliminations listed; run.json has them all."""
MOST_EXAMPLES = 3
"""Examples shown of each kind of rejection."""
MOST_NOTHING_LEFT = 200
"""Traders listed of whom nothing could be replayed."""
_SCRIPTS = (UPLOT, "charts.js", "tables.js", "keys.js", "columns.js", "trader.js", "report.js")


@dataclass(frozen=True, slots=True)
class RejectionGroup:
    """Rejections of one reason."""

    reason: str
    n_positions: int
    n_orders: int
    examples: Sequence[Rejection]


@dataclass(frozen=True, slots=True)
class RejectedTrader:
    """A trader of whom only rows that were set aside are known."""

    miner_hotkey: str
    n_positions: int
    n_orders: int
    example: Rejection


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
    ranked = rank_traders(result)
    script = page_script(*(_SCRIPTS if ranked else ()))
    told = story(result) if rule_wording.rules_ran(result) else None
    last = last_scores(result) if told else None
    names = [one.miner_hotkey for one in ranked]
    return environment.get_template("report.html.j2" if ranked else "nothing.html.j2").render(
        run=result,
        facts=_facts(result),
        settings=list(_flat(json_ready(result.settings))),
        versions=versions(),
        traders=ranked,
        closed=len(ranked) > MOST_OPEN_TRADERS,
        truncated=any(one.portfolio.truncated for one in ranked),
        story=told,
        network=network_view(result) if told else None,
        leaders=leaderboard(result) if told else None,
        weights=dict(zip(last.hotkeys, last.weight.tolist(), strict=True)) if last else {},
        ends=sorted(result.eliminations, key=lambda one: -one.time_ms) if told else [],
        most_ends=MOST_ENDS,
        findings=finding_groups(result.order_findings),
        trader=_linked(names),
        rejected=_rejection_groups(result.rejections),
        nothing_left=_nothing_left(result.rejections, {*names}),
        most_nothing_left=MOST_NOTHING_LEFT,
        nothing=wording.why_nothing(result) if not ranked else None,
        size=SIZE,
        # what an element of this kind holds is text, and nothing in it can end the element
        data=Markup(as_text(page_data(result, ranked, told))) if ranked else "",  # noqa: S704
        # only our own script may run, whatever a hotkey or a file says
        script=script.text,
        script_hash=script.digest,
        chart_style=Markup(static_bytes("uplot/uPlot.min.css").decode()),  # noqa: S704
    )


def _linked(names: Sequence[str]) -> Callable[[str], Markup]:
    """What gives a hotkey, cut short, as a link to its part, where it has one."""
    links = {
        hotkey: Markup('<a href="#t{}" title="{}">{}</a>').format(rank, hotkey, short)
        for rank, (hotkey, short) in enumerate(wording.short_names(names).items(), start=1)
    }

    def linked(hotkey: str) -> Markup:
        bare = Markup('<span title="{}">{}</span>')
        return links.get(hotkey) or bare.format(hotkey, wording.shorten(hotkey))

    return linked


@cache  # templates are compiled once, however many reports there are
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
    macros: Any = environment.get_template("macros.html.j2").module
    environment.globals |= {
        "tone": wording.tone,
        "stack_chart": macros.stack_chart,
    }
    return environment


def _facts(result: RunResult) -> list[tuple[str, str]]:
    n_closed = sum(map(attrgetter("state.is_closed_position"), result.positions))
    n_orders = sum(map(len, map(attrgetter("position.orders"), result.positions)))
    return [
        ("Traders", f"{len(result.ledgers):,}"),
        ("Positions", f"{len(result.positions):,}"),
        ("Open positions", f"{len(result.positions) - n_closed:,}"),
        ("Orders", f"{n_orders:,}"),
        ("Set aside", f"{len(result.rejections):,}"),
        ("Updates", f"{len(result.update_times_ms):,}"),
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


def _nothing_left(rejections: Sequence[Rejection], shown: Collection[str]) -> list[RejectedTrader]:
    """Traders that have no part on the page, as nothing of them could be replayed."""
    found: dict[str, list[Rejection]] = {}
    for one in rejections:
        if one.miner_hotkey and one.miner_hotkey not in shown:
            found.setdefault(one.miner_hotkey, []).append(one)
    return [
        RejectedTrader(hotkey, len(own), sum(one.n_orders for one in own), own[0])
        for hotkey, own in sorted(found.items())
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{name}", text

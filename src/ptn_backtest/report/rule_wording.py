"""What the network's rules did, in words: the same on the page and in the terminal."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.clock import format_date, format_time
from ptn_backtest.report import wording
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import EliminationReason, Event, EventKind, Figures

OUT = "out"
NOT_ENTERED = "not entered"
BUCKETS = {
    Bucket.MAINCOMP: "main",
    Bucket.PROBATION: "probation",
    Bucket.CHALLENGE: "challenge",
    Bucket.PLAGIARISM: "plagiarism",
}
"""The buckets in the order in which they are shown, with their short names."""
KINDS = {
    EventKind.ENTERED: "entered",
    EventKind.PROMOTED: "promoted",
    EventKind.DEMOTED: "demoted",
    EventKind.PLAGIARISM_FLAGGED: "flagged",
    EventKind.PLAGIARISM_CLEARED: "cleared",
    EventKind.FAILED: "failed",
    EventKind.ELIMINATED: "eliminated",
    EventKind.POSITION_CLOSED: "position closed",
    EventKind.COLLATERAL_SLASHED: "collateral slashed",
}
REASONS = {
    EliminationReason.FAILED_CHALLENGE_PERIOD_TIME: "time over",
    EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN: "challenge drawdown",
    EliminationReason.MAX_TOTAL_DRAWDOWN: "drawdown",
    EliminationReason.LIQUIDATED: "liquidated",
    EliminationReason.PLAGIARISM: "plagiarism",
}
_CONSEQUENCES = (EventKind.POSITION_CLOSED, EventKind.COLLATERAL_SLASHED)
_SWITCHES = ("run_challenge", "run_elimination", "run_scoring")


def rules_ran(result: RunResult) -> bool:
    """Whether the run was asked for any of the network's rules."""
    return any(result.settings.get(switch) for switch in _SWITCHES)


def standing(result: RunResult, miner_hotkey: str) -> str:
    """Where a trader stands at the end: a bucket, `OUT`, or `NOT_ENTERED`."""
    if miner_hotkey in result.standings:
        return BUCKETS[result.standings[miner_hotkey].bucket]
    gone = any(one.miner_hotkey == miner_hotkey for one in result.eliminations)
    return OUT if gone else NOT_ENTERED


def count_by_name(names: Iterable[str]) -> str:
    """12 main, 4 out: most first."""
    return ", ".join(f"{n:,} {name}" for name, n in Counter(names).most_common())


def moves(events: Iterable[Event]) -> list[Event]:
    """The events of the network in time order, without what follows from an elimination."""
    return sorted((e for e in events if e.kind not in _CONSEQUENCES), key=lambda e: e.time_ms)


def reason(text: str) -> str:
    """An elimination's reason in a few words; another reason as it stands."""
    known = {one.value: words for one, words in REASONS.items()}
    return known.get(text, text)


def sentence(event: Event, *, brief: bool = False) -> str:
    """An event in words, with what decided it; `brief` leaves scores and limits out."""
    figures = event.figures
    match event.kind:
        case EventKind.ENTERED:
            text = f"entered {event.to_bucket}" + ("" if brief else _since(figures))
        case EventKind.PROMOTED:
            text = f"promoted to {event.to_bucket}{_ranked(event, brief=brief)}"
        case EventKind.DEMOTED:
            text = f"demoted to {event.to_bucket}{_ranked(event, brief=brief)}"
        case EventKind.PLAGIARISM_FLAGGED:
            text = f"flagged as a plagiarist, out of {event.from_bucket}"
        case EventKind.PLAGIARISM_CLEARED:
            text = f"cleared of plagiarism, back in {event.to_bucket}"
        case EventKind.FAILED:
            text = f"would leave {event.from_bucket}: {_why(event, brief=brief)}"
        case EventKind.ELIMINATED:
            text = f"eliminated from {event.from_bucket}: {_why(event, brief=brief)}"
        case EventKind.POSITION_CLOSED:
            text = _closed(figures)
        case EventKind.COLLATERAL_SLASHED:
            text = _slashed(figures)
    return text


def _since(figures: Figures) -> str:
    first = figures.get("first_order_ms")
    return f", first order {format_time(first)}" if isinstance(first, int) else ""


def _ranked(event: Event, *, brief: bool) -> str:
    figures = event.figures
    if "rank" not in figures:
        return f": {event.reason}" if event.reason else ""
    where = f" in {figures['asset_class']}" if figures.get("asset_class") else ""
    if figures.get("score") == 0:  # a rank among zeros says nothing
        return f": score 0{where}"
    of = f" of {figures['scored_traders']}" if figures.get("scored_traders") else ""
    text = f": rank {figures['rank']}{of}{where}"
    if "score" in figures and not brief:
        text += f", score {_number(figures['score'])}"
        if figures.get("threshold_score"):
            text += f" (in from {_number(figures['threshold_score'])})"
    return text


def _why(event: Event, *, brief: bool) -> str:
    figures = event.figures
    if "drawdown_percent" in figures:
        text = f"drawdown {_number(figures['drawdown_percent'])}%"
        limit = figures.get("limit_percent")
        return text if limit is None or brief else f"{text}, limit {_number(limit)}%"
    if event.reason == EliminationReason.LIQUIDATED:
        peak = figures.get("peak")
        return "value reached 0" + ("" if peak is None else f" from a peak of {_number(peak)}")
    ended = figures.get("ended_ms")
    if isinstance(ended, int):
        ends = "not cleared by" if event.reason == EliminationReason.PLAGIARISM else "time over on"
        return f"{ends} {format_date(ended)}"
    return reason(event.reason)


def _closed(figures: Figures) -> str:
    text = f"position on {figures.get('trade_pair_id', 'an unknown pair')} closed"
    price, value = figures.get("price"), figures.get("return_at_close")
    text += " without a price" if price is None else f" at {_number(price, 8)}"
    if isinstance(value, int | float):
        text += f", return {wording.signed_percent(value - 1)}"
    return text


def _slashed(figures: Figures) -> str:
    fraction, theta = figures.get("fraction"), figures.get("collateral_theta")
    share = f"{_number(100 * fraction)}%" if isinstance(fraction, int | float) else "part"
    if theta is None:
        return f"{share} of the collateral slashed; its size is not known"
    slashed = figures.get("slashed_theta")
    return f"{share} of the collateral slashed: {_number(slashed)} of {_number(theta)} theta"


def _number(value: Any, digits: int = 5) -> str:  # noqa: ANN401 - figures may be anything
    return f"{value:,.{digits}g}" if isinstance(value, int | float) else str(value)


def limit_percent(settings: Mapping[str, Any]) -> float | None:
    """The drawdown limit (percent) of the rulebook that the run recorded."""
    found = settings.get("rulebook")
    limits = found.get("eliminations") if isinstance(found, Mapping) else None
    limit = limits.get("drawdown_limit") if isinstance(limits, Mapping) else None
    return float(limit) if isinstance(limit, int | float) else None

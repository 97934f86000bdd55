"""How a comparison of two runs puts things, the same on the page and in the terminal."""

import json
from collections.abc import Iterable
from typing import Any

from ptn_backtest.clock import format_date, format_time
from ptn_backtest.report import wording
from ptn_backtest.report.explanation import rank_in_words, why_left
from ptn_backtest.results.compared_fates import Fate, FateDifference, Figure
from ptn_backtest.results.compared_ledgers import WHOLE, LedgerDifference
from ptn_backtest.results.comparison import RunComparison
from ptn_backtest.rules.events import Event, EventKind

_FIGURE_NAMES = {
    "asset_class": "class",
    "drawdown_percent": "deepest drawdown",
    "ended_ms": "time ended",
    "event_ms": "recorded event",
    "first_order_ms": "first order",
    "full_days": "full days",
    "full_days_needed": "full days needed",
    "has_closed_position": "closed position that counts",
    "limit_percent": "drawdown limit",
    "scored_traders": "scored traders",
    "since_ms": "time counts from",
    "threshold_score": "threshold",
}


def verdict(found: RunComparison) -> str:
    """The whole comparison in one sentence."""
    results = "Every result is equal" if found.equal else "Results differ"
    settings = "the same settings" if found.same_settings else "other settings"
    return f"{results}, under {settings}."


def short_names(found: RunComparison) -> dict[str, str]:
    """{hotkey: short form} of every trader that a comparison names."""
    positions = found.positions
    each = [
        *(one.miner_hotkey for one in found.fates.differences),
        *(one.miner_hotkey for one in found.ledgers.differences),
        *(one.miner_hotkey for one in (*positions.only_a, *positions.only_b)),
        *(one.position.miner_hotkey for one in positions.differences),
        *(one.miner_hotkey for one in found.scores.moves),
    ]
    return wording.short_names(dict.fromkeys(each))


def limits(found: RunComparison) -> list[str]:
    """What was not compared, and what to keep in mind."""
    common, lines = found.common, []
    if found.a.end_ms != found.b.end_ms:
        lines.append(
            f"Compared up to {format_time(common.until_ms)}, the last update of both; a ends on "
            f"{format_time(found.a.end_ms)}, b on {format_time(found.b.end_ms)}."
        )
    if not common.same_updates:
        lines.append("They update at other times, and ledgers depend on that.")
    for side, only in (("a", common.only_a), ("b", common.only_b)):
        if only:
            names = ", ".join(wording.short_names(only).values())
            lines.append(f"Only in {side}, so not compared: {names}.")
    if not common.traders:
        lines.append("No trader is in both.")
    with_rules = found.fates.with_rules
    if with_rules[0] != with_rules[1]:
        lines.append(f"Only {'a' if with_rules[0] else 'b'} applied the network's rules.")
    return lines


def what_happened(difference: FateDifference, fate: Fate, *, short: bool = False) -> str:
    """What became of a trader on one side, from where the stories part; or the first and last of it."""
    later = [event for event in fate.moves if event.time_ms >= difference.parted_ms]
    before = [event for event in fate.moves if event.time_ms < difference.parted_ms]
    if later and short and len(later) > 2:  # noqa: PLR2004 - two stand as they are
        between = wording.count(len(later) - 2, "change")
        return f"{_moved(later[0])}; after {between}: {_moved(later[-1])}"
    if later:
        return "; ".join(_moved(event) for event in later)
    if not before:
        return "never enters"
    return f"stays in {fate.bucket}" if fate.bucket else "has left already"


def ended(fate: Fate) -> str:
    """Where a trader stands at the end of the common time, in a word."""
    if fate.eliminated_ms is not None:
        return "eliminated"
    return str(fate.bucket or "never entered")


def because(figures: Iterable[Figure]) -> tuple[str, str]:
    """The deciding figures in words: those that differ, and those that do not."""
    differ = [_figure(one) for one in figures if one.differs]
    same = [_figure(one) for one in figures if not one.differs]
    return ", ".join(differ), ", ".join(same)


def figure_name(name: str) -> str:
    """What a figure is called."""
    return _FIGURE_NAMES.get(name, name.replace("_", " "))


def figure_value(name: str, value: Any) -> str:  # noqa: ANN401 - any figure
    """A figure with its unit."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_ms"):
        return format_time(int(value))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{text}%" if name.endswith("_percent") else text


def setting_value(value: Any) -> str:  # noqa: ANN401 - any setting
    """A setting as it is recorded."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def starts_to_differ(difference: LedgerDifference) -> str:
    """Where a ledger begins to differ, in a few words."""
    if difference.only_in:
        return f"only in {difference.only_in}"
    first = difference.first
    if first is None:
        return ""
    if first.field != WHOLE:
        return f"{_minute(first.checkpoint_ms)} {first.field}"
    side = "b" if first.b is None else "a"
    return f"{_minute(first.checkpoint_ms)} not in {side}"


def ledger_in_words(difference: LedgerDifference) -> str:
    """All that is known of how a ledger differs."""
    parts = [starts_to_differ(difference)]
    first = difference.first
    if first and first.a is not None and first.b is not None:
        parts[0] += f" {first.a!r} → {first.b!r}"
    if difference.only_in:
        return parts[0]
    differ = wording.count(difference.different, "checkpoint")
    parts.append(f"{differ} of {difference.checkpoints:,} in both differ")
    for side, only in (("a", difference.only_a), ("b", difference.only_b)):
        if only:
            parts.append(f"{only:,} only in {side}")
    if difference.largest_value_ms is not None:
        parts.append(
            f"largest difference in value {difference.largest_value_difference:.3g} on "
            f"{_minute(difference.largest_value_ms)}"
        )
    return "; ".join(parts)


def _moved(event: Event) -> str:
    on = format_date(event.time_ms)
    if event.kind is EventKind.ELIMINATED:
        return f"eliminated {on}: {why_left(event)}"
    if event.kind is EventKind.FAILED:
        return f"would fail {on}: {why_left(event)}"
    if event.kind in (EventKind.PROMOTED, EventKind.DEMOTED):
        return f"{event.kind.lower()} {on} to {event.to_bucket}: {rank_in_words(event)}"
    if event.kind is EventKind.ENTERED:
        return f"enters {event.to_bucket} {on}"
    return f"{event.kind.lower().replace('_', ' ')} {on}"


def _figure(one: Figure) -> str:
    left, right = (figure_value(one.name, value) for value in (one.a, one.b))
    name = figure_name(one.name)
    return f"{name} {left} → {right}" if one.differs else f"{name} {left}"


def _minute(ms: int) -> str:
    return format_time(ms)[:16]

"""Whose fate differs between two runs: where the stories part, and which figures decided it."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from ptn_backtest.results.rule_tables import WITH_COMPETITION
from ptn_backtest.results.run_folder import StoredRun
from ptn_backtest.results.situation import Situation, moves_of, situation_of
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import EliminationReason, Event, EventKind

Value: TypeAlias = float | int | str | bool | None

_DRAWDOWN = ("drawdown_percent", "limit_percent", "has_closed_position")
_RANK = (
    "full_days",
    "full_days_needed",
    "has_closed_position",
    "drawdown_percent",
    "limit_percent",
)
_BY_DRAWDOWN = (
    EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
    EliminationReason.MAX_TOTAL_DRAWDOWN,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that decides a fate, on both sides.

    Attributes:
        name: with its unit.
        a: in the first run, None where it has none.
        b: in the second.
        differs: whether they do, beyond the tolerance.
    """

    name: str
    a: Value
    b: Value
    differs: bool


@dataclass(frozen=True, slots=True)
class Fate:
    """One trader's way through one run, in the common time.

    Attributes:
        moves: what changed where it stands.
        bucket: where it stands at the end of the common time; None once it has left, or without rules.
        eliminated_ms: when it left, None if it did not.
        reason: why it left, "" if it did not.
        drawdown_percent: as the network recorded it at its end.
        breach_ms: when exactly the drawdown reached the limit, where it did and that is known.
    """

    moves: tuple[Event, ...]
    bucket: Bucket | None
    eliminated_ms: int | None = None
    reason: str = ""
    drawdown_percent: float | None = None
    breach_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FateDifference:
    """One trader whose fate differs.

    Attributes:
        miner_hotkey: whose.
        a: its fate in the first run.
        b: in the second.
        parted_ms: the first event that only one of them has.
        event_a: what then happened in the first, None if nothing.
        event_b: likewise in the second.
        figures: what decided it, on both sides.
    """

    miner_hotkey: str
    a: Fate
    b: Fate
    parted_ms: int
    event_a: Event | None
    event_b: Event | None
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class FateComparison:
    """All fates of the traders that both runs have.

    Attributes:
        compared: how many.
        with_rules: whether a applied rules, whether b did.
        differences: those that differ, in the order in which they part.
    """

    compared: int
    with_rules: tuple[bool, bool]
    differences: tuple[FateDifference, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    run: StoredRun
    rulebook: Rulebook


def compare_fates(
    a: StoredRun,
    b: StoredRun,
    rulebooks: tuple[Rulebook, Rulebook],
    hotkeys: Iterable[str],
    until_ms: int,
    rtol: float,
) -> FateComparison:
    """Hold what became of some traders against each other.

    Args:
        a: the first run.
        b: the second.
        rulebooks: their rules.
        hotkeys: traders that both have.
        until_ms: the end of the common time: what comes later is left out.
        rtol: tolerance of figures; what happens, and when, has none.
    """
    sides = _Side(a, rulebooks[0]), _Side(b, rulebooks[1])
    compared, found = 0, []
    for hotkey in hotkeys:
        compared += 1
        difference = _compare(hotkey, *sides, until_ms, rtol)
        if difference:
            found.append(difference)
    found.sort(key=lambda one: (one.parted_ms, one.miner_hotkey))
    return FateComparison(compared, (has_rules(a), has_rules(b)), tuple(found))


def has_rules(run: StoredRun) -> bool:
    """Whether a run applied challenge or elimination rules."""
    return bool(run.info["settings"].get("run_challenge")) or bool(
        run.info["settings"].get("run_elimination")
    )


def _compare(hotkey: str, a: _Side, b: _Side, until_ms: int, rtol: float) -> FateDifference | None:
    fate_a, fate_b = (_fate(side.run, hotkey, until_ms) for side in (a, b))
    for event_a, event_b in zip_longest(fate_a.moves, fate_b.moves):
        if _key(event_a) == _key(event_b):
            continue
        parted_ms = min(event.time_ms for event in (event_a, event_b) if event)
        # an event that comes later on one side is no answer to what happened now on the other
        now_a, now_b = (e if e and e.time_ms == parted_ms else None for e in (event_a, event_b))
        return FateDifference(
            miner_hotkey=hotkey,
            a=fate_a,
            b=fate_b,
            parted_ms=parted_ms,
            event_a=now_a,
            event_b=now_b,
            figures=_figures(hotkey, (a, now_a), (b, now_b), parted_ms, rtol),
        )
    return None


def _fate(run: StoredRun, hotkey: str, until_ms: int) -> Fate:
    moves = tuple(event for event in moves_of(run, hotkey) if event.time_ms <= until_ms)
    bucket = moves[-1].to_bucket if moves else None
    end = next((e for e in run.eliminations if e.miner_hotkey == hotkey), None)
    if end is None or end.time_ms > until_ms:
        return Fate(moves, bucket)
    return Fate(
        moves=moves,
        bucket=None,
        eliminated_ms=end.time_ms,
        reason=end.reason.value,
        drawdown_percent=end.drawdown_percent,
        breach_ms=end.breach.time_ms if end.breach else None,
    )


def _key(event: Event | None) -> tuple[object, ...] | None:
    if event is None:
        return None
    return (event.time_ms, event.kind, event.from_bucket, event.to_bucket, str(event.reason))


def _figures(
    hotkey: str,
    a: tuple[_Side, Event | None],
    b: tuple[_Side, Event | None],
    t_ms: int,
    rtol: float,
) -> tuple[Figure, ...]:
    """What decides the event, as each side knows it at that time."""
    known = [_known(hotkey, side, event, t_ms) for side, event in (a, b)]
    names = dict.fromkeys(
        name for _, event in (a, b) if event is not None for name in _deciding(event)
    )
    return tuple(
        Figure(name, left, right, _differ(left, right, rtol))
        for name in names
        for left, right in [tuple(one.get(name) for one in known)]
        if left is not None or right is not None
    )


def _deciding(event: Event) -> tuple[str, ...]:
    """The figures that a kind of event hangs on."""
    if event.kind in (EventKind.PROMOTED, EventKind.DEMOTED):
        return ("asset_class", "rank", "score", "threshold_score", "scored_traders", *_RANK)
    if event.kind in (EventKind.ELIMINATED, EventKind.FAILED):
        if event.reason in _BY_DRAWDOWN:
            return _DRAWDOWN
        if event.reason == EliminationReason.FAILED_CHALLENGE_PERIOD_TIME:
            return ("since_ms", "ended_ms", "full_days", "full_days_needed", "has_closed_position")
        if event.reason == EliminationReason.LIQUIDATED:
            return ("peak", "value")
    return tuple(event.figures)


def _known(hotkey: str, side: _Side, event: Event | None, t_ms: int) -> dict[str, Value]:
    """What a side's folder says at a time; what the event itself says comes first."""
    situation = situation_of(side.run, hotkey, t_ms, side.rulebook)
    known: dict[str, Value] = {} if situation is None else _from_situation(situation)
    return known | (dict(event.figures) if event else {})


def _from_situation(now: Situation) -> dict[str, Value]:
    known: dict[str, Value] = {
        "drawdown_percent": round(now.worst_drawdown_percent, 2),
        "limit_percent": now.limit_percent,
        "full_days": now.full_days,
        "full_days_needed": now.full_days_needed,
        "has_closed_position": now.has_closed_position,
        "since_ms": now.since_ms,
        "ended_ms": now.period_end_ms,
        "peak": now.peak,
        "value": now.value,
    }
    # a rank among everybody is not one among those who compete
    if now.rank and now.rank.time_ms == now.time_ms and now.rank.scored_with == WITH_COMPETITION:
        known |= dict(now.rank.figures)
    return known


def _differ(a: Value, b: Value, rtol: float) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) > rtol * max(abs(a), abs(b))
    return a != b

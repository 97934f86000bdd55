"""Plagiarists: flagged and cleared by recorded events, eliminated when they are not cleared in time."""

from collections.abc import Sequence

from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.challenge import NO_DRAWDOWN, Failure
from ptn_backtest.rules.events import EliminationReason, EventKind
from ptn_backtest.rules.round import Round
from ptn_backtest.rules.standing import Standing
from ptn_backtest.sources.plagiarism import PlagiarismEvent


def apply_plagiarism(round_: Round, events: Sequence[PlagiarismEvent]) -> None:
    """Move traders into PLAGIARISM, and those who are cleared back to where they stood.

    Of several events of one trader the last one counts. A trader that has not entered yet is not
    moved: the network does not know it.
    """
    latest = {event.miner_hotkey: event for event in events}
    for hotkey, event in latest.items():
        standing = round_.standings.get(hotkey)
        if standing is None:
            continue
        figures = {"event_ms": event.time_ms}
        if event.flagged and standing.bucket is not Bucket.PLAGIARISM:
            flagged = Standing(
                bucket=Bucket.PLAGIARISM,
                since_ms=round_.t_ms,
                previous=(standing.bucket, standing.since_ms),
                flagged_ms=event.time_ms,
            )
            round_.move(hotkey, flagged, EventKind.PLAGIARISM_FLAGGED, "flagged", figures)
        elif not event.flagged and standing.previous:
            bucket, since_ms = standing.previous
            back = Standing(bucket, since_ms)
            round_.move(hotkey, back, EventKind.PLAGIARISM_CLEARED, "cleared", figures)


def overdue_plagiarists(round_: Round) -> dict[str, Failure]:
    """{hotkey: failure} of those in PLAGIARISM who were not cleared in time."""
    limit_ms = round_.rulebook.eliminations.plagiarism_ms
    failures = {}
    for hotkey in round_.in_buckets(Bucket.PLAGIARISM):
        flagged_ms = round_.standings[hotkey].flagged_ms or 0
        if round_.t_ms - flagged_ms > limit_ms:
            figures = {"event_ms": flagged_ms, "ended_ms": flagged_ms + limit_ms}
            failures[hotkey] = Failure(EliminationReason.PLAGIARISM, NO_DRAWDOWN, figures)
    return failures

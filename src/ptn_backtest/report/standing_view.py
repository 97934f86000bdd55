"""What the page shows of traders under the rules: their stories, their buckets, and their ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.report import rule_wording
from ptn_backtest.results.bucket_history import Stay, Stays, bucket_stays
from ptn_backtest.rules.events import Elimination, Event
from ptn_backtest.rules.standing import Standing


@dataclass(frozen=True, slots=True)
class ClosedPosition:
    """A position that the elimination closed; without a price, none was found."""

    position_uuid: str
    trade_pair_id: str
    found: FoundPrice | None
    return_at_close: float


@dataclass(frozen=True, slots=True)
class Story:
    """What the rules did, by trader."""

    stays: Stays
    events: Mapping[str, Sequence[Event]]
    eliminations: Mapping[str, Elimination]
    standings: Mapping[str, Standing]

    def standing(self, miner_hotkey: str) -> str:
        """Where a trader stands at the end: a bucket, "out" or "not entered"."""
        if miner_hotkey in self.standings:
            return rule_wording.BUCKETS[self.standings[miner_hotkey].bucket]
        return rule_wording.OUT if miner_hotkey in self.eliminations else rule_wording.NOT_ENTERED

    def failed(self, miner_hotkey: str) -> str:
        """Why it would have been eliminated, had eliminations been on; "" otherwise."""
        standing = self.standings.get(miner_hotkey)
        return rule_wording.reason(standing.failed) if standing and standing.failed else ""


def story(result: RunResult) -> Story:
    """The events of a run by trader, gathered once for all of them."""
    events: dict[str, list[Event]] = {}
    for event in sorted(result.events, key=lambda event: event.time_ms):
        events.setdefault(event.miner_hotkey, []).append(event)
    return Story(
        stays=bucket_stays(result.events),
        events=events,
        eliminations={one.miner_hotkey: one for one in result.eliminations},
        standings=result.standings,
    )


def bands(stays: Sequence[Stay], end_ms: int) -> list[dict[str, Any]]:
    """A trader's buckets as times (s) to shade: {from, to, tone, label}."""
    ends = [*(stay.from_ms for stay in stays[1:]), end_ms]
    return [
        {
            "from": stay.from_ms / 1_000,
            "to": until_ms / 1_000,
            "tone": rule_wording.BUCKETS[stay.bucket],
            "label": rule_wording.BUCKETS[stay.bucket],
        }
        for stay, until_ms in zip(stays, ends, strict=False)
        if stay.bucket is not None and until_ms > stay.from_ms
    ]


def closed_positions(end: Elimination, pairs: Mapping[str, str]) -> list[ClosedPosition]:
    """What an elimination closed.

    Args:
        end: the elimination.
        pairs: {position uuid: trade pair id} of the trader.
    """
    return [
        ClosedPosition(
            position_uuid=uuid,
            trade_pair_id=(pair := pairs.get(uuid, "")),
            found=end.closing_prices.get(pair),
            return_at_close=value,
        )
        for uuid, value in end.returns.items()
    ]

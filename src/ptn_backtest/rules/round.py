"""The working state of one evaluation: standings that move, and the events that say so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind, Figures
from ptn_backtest.rules.member import NetworkMember
from ptn_backtest.rules.record import Record
from ptn_backtest.rules.standing import Standing


@dataclass(slots=True)
class Round:
    """One evaluation under way; it never leaves `evaluate`.

    Attributes:
        t_ms: time of the evaluation.
        rulebook: every rule.
        members: {hotkey: trader} of those who have not left.
        standings: {hotkey: where it stands}; changes.
        events: what has changed so far.
        records: {hotkey: its record} of those that were asked for, None without a ledger.
    """

    t_ms: int
    rulebook: Rulebook
    members: Mapping[str, NetworkMember]
    standings: dict[str, Standing]
    events: list[Event] = field(default_factory=list)
    records: dict[str, Record | None] = field(default_factory=dict)

    def in_buckets(self, *buckets: Bucket) -> list[str]:
        """Hotkeys of the traders in these buckets."""
        return [hotkey for hotkey, one in self.standings.items() if one.bucket in buckets]

    def record(self, hotkey: str) -> Record | None:
        """A trader's record, made once."""
        if hotkey not in self.records:
            member = self.members[hotkey]
            self.records[hotkey] = member.record(self.t_ms, self.rulebook.scoring)
        return self.records[hotkey]

    def records_of(self, hotkeys: Iterable[str]) -> dict[str, Record]:
        """{hotkey: record} of those with a ledger."""
        found = {hotkey: self.record(hotkey) for hotkey in hotkeys}
        return {hotkey: record for hotkey, record in found.items() if record is not None}

    def move(
        self,
        hotkey: str,
        standing: Standing,
        kind: EventKind,
        reason: str = "",
        figures: Figures | None = None,
    ) -> None:
        """Put a trader where it now stands, and say so.

        A mark that it would have been eliminated stays with it wherever it goes.
        """
        before = self.standings.get(hotkey)
        if before and before.failed and not standing.failed:
            standing = replace(standing, failed=before.failed)
        self.standings[hotkey] = standing
        self.events.append(
            Event(
                time_ms=self.t_ms,
                miner_hotkey=hotkey,
                kind=kind,
                from_bucket=before.bucket if before else None,
                to_bucket=standing.bucket,
                reason=reason,
                figures=figures or {},
            )
        )

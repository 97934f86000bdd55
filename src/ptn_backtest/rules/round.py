"""The working state of one evaluation: standings that move, and the events that say so."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind, Figures
from ptn_backtest.rules.member import NetworkMember
from ptn_backtest.rules.records import Records
from ptn_backtest.rules.scoring import Judgement, judge
from ptn_backtest.rules.standing import Standing


@dataclass(slots=True)
class Round:
    """One evaluation under way; it never leaves `evaluate`.

    Attributes:
        t_ms: time of the evaluation.
        rulebook: every rule.
        members: {hotkey: trader} of those who have not left.
        standings: {hotkey: where it stands}; changes.
        records: of the members with a ledger.
        events: what has changed so far.
        judgement: of everybody who was in the network when it was made.
    """

    t_ms: int
    rulebook: Rulebook
    members: Mapping[str, NetworkMember]
    standings: dict[str, Standing]
    records: Records
    events: list[Event] = field(default_factory=list)
    judgement: Judgement | None = None

    def in_buckets(self, *buckets: Bucket) -> list[str]:
        """Hotkeys of the traders in these buckets."""
        return [hotkey for hotkey, one in self.standings.items() if one.bucket in buckets]

    def judged(self) -> Judgement:
        """Figures of everybody in the network; who has left since may be among them.

        A sum's last bit depends on how many days stand side by side: they are made anew where those
        have left whose records were the longest.
        """
        everybody = self.records.of(self.standings)
        if self.judgement is None or self.judgement.records.longest != everybody.longest:
            self.judgement = judge(everybody, self.rulebook.scoring)
        return self.judgement

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

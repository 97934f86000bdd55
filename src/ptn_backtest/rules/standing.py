"""Where every trader stands: the state that the network's rules carry from one evaluation to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Elimination, EliminationReason

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one trader stands.

    Attributes:
        bucket: where.
        since_ms: from when its time there counts.
        previous: the bucket before PLAGIARISM, and since when.
        flagged_ms: when it was flagged as a plagiarist, while in PLAGIARISM.
        failed: why it would have been eliminated, had eliminations been on.
    """

    bucket: Bucket
    since_ms: int
    previous: tuple[Bucket, int] | None = None
    flagged_ms: int | None = None
    failed: EliminationReason | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` gives the same standing back."""
        bucket, since_ms = self.previous or (None, None)
        return {
            "bucket": self.bucket.value,
            "since_ms": self.since_ms,
            "previous_bucket": bucket.value if bucket else None,
            "previous_since_ms": since_ms,
            "flagged_ms": self.flagged_ms,
            "failed": self.failed.value if self.failed else None,
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> "Standing":
        """The standing that `to_dict` described."""
        before = fields["previous_bucket"]
        return Standing(
            bucket=Bucket(fields["bucket"]),
            since_ms=fields["since_ms"],
            previous=(Bucket(before), fields["previous_since_ms"]) if before else None,
            flagged_ms=fields["flagged_ms"],
            failed=EliminationReason(fields["failed"]) if fields["failed"] else None,
        )


@dataclass(frozen=True, slots=True)
class NetworkState:
    """All traders.

    Attributes:
        time_ms: of the last evaluation, None before the first.
        standings: {hotkey: where it stands} of those in the network.
        eliminations: {hotkey: its end} of those who left.
    """

    time_ms: int | None = None
    standings: Mapping[str, Standing] = field(default_factory=dict)
    eliminations: Mapping[str, Elimination] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` gives the same state back."""
        return {
            "version": STATE_VERSION,
            "time_ms": self.time_ms,
            "standings": {hotkey: one.to_dict() for hotkey, one in self.standings.items()},
            "eliminations": {hotkey: one.to_dict() for hotkey, one in self.eliminations.items()},
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> "NetworkState":
        """The state that `to_dict` described."""
        standings, eliminations = fields["standings"].items(), fields["eliminations"].items()
        return NetworkState(
            time_ms=fields["time_ms"],
            standings={hotkey: Standing.from_dict(one) for hotkey, one in standings},
            eliminations={hotkey: Elimination.from_dict(one) for hotkey, one in eliminations},
        )


NEW_NETWORK = NetworkState()

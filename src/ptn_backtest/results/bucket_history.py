"""Where each trader stood over time, from the events of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind


@dataclass(frozen=True, slots=True)
class Stay:
    """A time in one bucket; it ends where the next stay begins, or with the run.

    Attributes:
        from_ms: since when, as the events say.
        bucket: where; None once the trader has left the network.
    """

    from_ms: int
    bucket: Bucket | None


Stays: TypeAlias = Mapping[str, tuple[Stay, ...]]
"""{hotkey: its stays, in time order}."""


def bucket_stays(events: Iterable[Event]) -> dict[str, tuple[Stay, ...]]:
    """The stays of every trader that entered the network.

    Args:
        events: of a run, in the order of its evaluations. A liquidation carries the time of its
            tick, which is before its evaluation: it ends what that evaluation began.
    """
    stays: dict[str, list[Stay]] = {}
    for event in events:
        left = event.kind is EventKind.ELIMINATED
        if event.to_bucket is None and not left:
            continue  # nobody moved
        own = stays.setdefault(event.miner_hotkey, [])
        while own and own[-1].from_ms >= event.time_ms:
            own.pop()
        if not own or own[-1].bucket is not event.to_bucket:
            own.append(Stay(event.time_ms, event.to_bucket))
    return {hotkey: tuple(own) for hotkey, own in stays.items()}


def bucket_at(stays: Stays, miner_hotkey: str, t_ms: int) -> Bucket | None:
    """Where a trader stood at a time; None before it entered and after it left."""
    for stay in reversed(stays.get(miner_hotkey, ())):  # there are few
        if stay.from_ms <= t_ms:
            return stay.bucket
    return None

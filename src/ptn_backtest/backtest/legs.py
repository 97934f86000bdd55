"""A replay in legs: stretches of updates that are stored when they are done.

A trader's leg is a pure function of its state before and its orders, so a stored one holds as long
as the trader's orders up to its end are the same. The rules of a leg follow from all traders' legs.
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeAlias

from ptn_backtest.clock import NEVER_MS, format_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.delta import LedgerDeltas
from ptn_backtest.ledger.order_digest import NO_ORDERS, orders_digests
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.prices.changes import CandleChanges
from ptn_backtest.prices.fingerprint import NO_CANDLES, CandleSum
from ptn_backtest.rules.events import Event
from ptn_backtest.rules.scoring import Scores
from ptn_backtest.rules.standing import NetworkState
from ptn_backtest.sources.plagiarism import PlagiarismEvent

log = logging.getLogger(__name__)

LEG_UPDATES = 30
"""Updates in a leg."""

WHOLE_EVERY = 30
"""Of so many legs, the first is stored without reference to those before, so that reading the state
back never takes more than so many legs."""

Leg: TypeAlias = tuple[int, ...]
"""Update times, ms."""


class Added(NamedTuple):
    """What a leg added to the ledgers of several traders.

    Attributes:
        hotkeys: the traders.
        deltas: what was added, in this order.
    """

    hotkeys: Sequence[str]
    deltas: LedgerDeltas


@dataclass(frozen=True, slots=True)
class StoredLedgers:
    """A leg's ledgers.

    Attributes:
        digests: {hotkey: digest of its orders up to a time, and that time}: the end of the leg, or of
            the leg in which it left.
        errors: {hotkey: why it was set aside}.
        added: what the leg added; nothing of traders that had left, or that were set aside.
    """

    digests: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    added: Sequence[Added] = ()


@dataclass(frozen=True, slots=True)
class StoredRules:
    """What the rules made of a leg; of a whole leg, of everything up to its end.

    Attributes:
        state: where everybody stands after it.
        events: what happened.
        scores: of all traders, by evaluation.
        competitions: of those who compete for the ranks, by evaluation.
        leavers: what the leg added to those who left in it until then, in place of its whole leg; of a
            whole leg, also to those who left before.
        idle: whether up to its end there was an evaluation with nobody to inspect. A trader that is
            known before its first order stands in CHALLENGE, so it would have made a difference.
    """

    state: NetworkState
    events: Sequence[Event] = ()
    scores: Sequence[Scores] = ()
    competitions: Sequence[Scores] = ()
    leavers: Sequence[Added] = ()
    idle: bool = False


@dataclass(frozen=True, slots=True)
class LegNotes:
    """What a replay read, from its beginning to the end of a leg.

    Attributes:
        candles: fingerprint of the candles; None where only a part of them was read.
        warnings: sentences on what it had to do without.
        planned_until_ms: end of the replay for which these warnings were made.
        plagiarism: fingerprint of the recorded plagiarism events.
        changes_known: how far the changes of candles were known (`CandleChanges.known`).
    """

    candles: CandleSum | None = NO_CANDLES
    warnings: tuple[str, ...] = ()
    planned_until_ms: int = 0
    plagiarism: str = ""
    changes_known: str = ""


class LegStore(Protocol):
    """Where legs are kept; `results.states` keeps them in a run folder."""

    def legs(self) -> Sequence[Leg]:
        """All legs of the replay, done or not."""
        ...

    def n_done(self) -> int:
        """How many legs are stored with their rules, from the first on."""
        ...

    def digests(self, leg: int) -> Mapping[str, tuple[str, int]]:
        """`StoredLedgers.digests` of a leg; {} where it is not stored."""
        ...

    def ledgers(self, leg: int) -> StoredLedgers:
        """A leg's ledgers; none where it is not stored."""
        ...

    def rules(self, leg: int) -> StoredRules:
        """What the rules made of a leg that is done."""
        ...

    def standing(self, leg: int) -> StoredRules:
        """As `rules`, but only `state` and `idle`: what further legs need."""
        ...

    def notes(self, leg: int) -> LegNotes:
        """What was read up to the end of a stored leg."""
        ...

    def keep_notes(self, leg: int, notes: LegNotes) -> None:
        """Replace the notes of a stored leg."""
        ...

    def keep_ledgers(self, leg: int, ledgers: StoredLedgers, notes: LegNotes) -> None:
        """Store a leg's ledgers, in place of what was there; its rules are not done then."""
        ...

    def keep_rules(self, leg: int, rules: StoredRules) -> None:
        """Store a leg's rules; now it is done."""
        ...


def is_whole(leg: int) -> bool:
    """Whether a leg is stored without reference to those before."""
    return leg % WHOLE_EVERY == 0


def update_times(start_ms: int, end_ms: int, interval_ms: int) -> list[int]:
    """The start, then one time per interval, and the end.

    Raises:
        ConfigError: the start is later than the end.
    """
    if start_ms > end_ms:
        raise ConfigError(
            f"the start ({format_time(start_ms)}) is later than the end ({format_time(end_ms)})"
        )
    times = list(range(start_ms, end_ms, interval_ms))
    return [*times, end_ms]


def cut_into_legs(times_ms: Sequence[int], n_updates: int = LEG_UPDATES) -> tuple[Leg, ...]:
    """Update times in legs of so many; a last one that would be alone is put to the leg before it.

    So whole months, which have an update more than days, end without a leg that does next to nothing.
    """
    firsts = list(range(0, len(times_ms), n_updates))
    if n_updates > 1 and len(times_ms) > 1 and len(times_ms) % n_updates == 1:
        firsts.pop()
    bounds = [*firsts, len(times_ms)]
    return tuple(tuple(times_ms[first:end]) for first, end in pairwise(bounds))


def n_unchanged(
    store: LegStore,
    traders: Traders,
    plagiarism: Sequence[PlagiarismEvent] = (),
    changes: CandleChanges = CandleChanges(),  # noqa: B008 - it is frozen
    settled: Collection[str] = frozenset(),
) -> int:
    """How many stored legs, from the first on, follow from orders, candles and events as they are now.

    Args:
        store: the legs.
        traders: orders.
        plagiarism: recorded events.
        changes: of candles.
        settled: traders whose orders are taken to be those that the legs were built from.
    """
    n_done, legs = store.n_done(), store.legs()
    changed: list[str] = []
    candles_ms = NEVER_MS
    # what counts is all up to a leg's end, so legs before one that holds do too
    for leg in reversed(range(n_done)):
        stored, notes = store.digests(leg), store.notes(leg)
        known = {*settled, *traders.hotkeys}
        found = [h for h in changed_traders(stored, traders) if h not in settled]
        candle_ms = first_changed(changes, notes, traders)
        if (
            not found
            and _holds_without(candle_ms, store, leg)
            and notes.plagiarism == events_digest(plagiarism, legs[leg][-1])
            and (stored.keys() == known or not store.standing(leg).idle)
        ):
            since = format_time(legs[leg][-1])
            _say_what_changed(changed, candles_ms, n_done - leg - 1, since)
            return leg + 1
        changed = found or changed
        if candle_ms < legs[leg][-1]:
            candles_ms = min(candles_ms, candle_ms)
    _say_what_changed(changed, candles_ms, n_done, "the beginning")
    return 0


def _say_what_changed(hotkeys: Sequence[str], candles_ms: int, n_legs: int, since: str) -> None:
    if not n_legs:
        return
    whose = ", ".join(hotkeys) or "no trader"
    if candles_ms < NEVER_MS:
        from_when = "the first" if candles_ms == -NEVER_MS else format_time(candles_ms)
        whose = f"everybody, as candles from {from_when} on were written since"
    log.info("%d legs are done again, from %s on; built anew: %s", n_legs, since, whose)


def first_changed(changes: CandleChanges, notes: LegNotes, traders: Traders) -> int:
    """Start of the first candle of a traded pair that was written since a leg read candles, ms."""
    first = changes.first_since(notes.changes_known)
    traded = (ms for pair, ms in first.items() if pair in traders.trade_pair_ids)
    return min(traded, default=NEVER_MS)


def _holds_without(candle_ms: int, store: LegStore, leg: int) -> bool:
    """Whether a leg that is done looked at no candle that starts at a time or later.

    It looks at those that start before its end; at one that starts there, only where a position was
    closed at that moment, because its trader left.
    """
    end_ms = store.legs()[leg][-1]
    if candle_ms != end_ms:
        return candle_ms > end_ms
    gone = store.standing(leg).state.eliminations.values()
    return all(elimination.time_ms != end_ms for elimination in gone)


def events_digest(events: Iterable[PlagiarismEvent], until_ms: int) -> str:
    """A digest of the recorded plagiarism events up to a time; "" without any."""
    rows = [(e.miner_hotkey, e.time_ms, e.flagged) for e in events if e.time_ms <= until_ms]
    return hashlib.blake2b(repr(rows).encode(), digest_size=16).hexdigest() if rows else ""


def changed_traders(stored: Mapping[str, tuple[str, int]], traders: Traders) -> Iterator[str]:
    """Traders with other orders than those that a stored leg was built from."""
    end_ms = max((until_ms for _, until_ms in stored.values()), default=0)
    until_ms = {hotkey: stored.get(hotkey, (NO_ORDERS, end_ms))[1] for hotkey in traders.hotkeys}
    now = orders_digests(traders, until_ms)
    for hotkey in sorted(stored.keys() | now.keys()):
        digest, _ = stored.get(hotkey, (NO_ORDERS, end_ms))
        if now.get(hotkey, NO_ORDERS) != digest:
            yield hotkey


def legs_to_read(n_legs: int) -> Iterable[int]:
    """The stored legs that tell the state after the first `n_legs`."""
    last_whole = max(n_legs - 1, 0) // WHOLE_EVERY * WHOLE_EVERY
    return range(last_whole, n_legs)

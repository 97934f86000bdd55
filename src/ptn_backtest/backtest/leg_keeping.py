"""Between a replay and the store of its legs: what need not be done again, and what is kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ptn_backtest.backtest.legs import (
    Added,
    Leg,
    LegNotes,
    LegStore,
    StoredLedgers,
    StoredRules,
    events_digest,
    first_changed,
    is_whole,
    legs_to_read,
    n_unchanged,
)
from ptn_backtest.backtest.network import Network
from ptn_backtest.clock import format_time
from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.batch import BuiltLedgers, LedgerBatch
from ptn_backtest.ledger.columns import taken
from ptn_backtest.ledger.delta import LedgerDeltas, Stretch, deltas_of, ledgers_after, with_update
from ptn_backtest.ledger.order_digest import orders_digests
from ptn_backtest.ledger.states import LedgerStates
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.changes import CandleChanges
from ptn_backtest.prices.fingerprint import NO_CANDLES, CandleSum
from ptn_backtest.sources.plagiarism import PlagiarismEvent


class LeaversNeeded(LedgerError):  # noqa: N818 - reads as what it is
    """Who left is needed, too: legs are to be done again, or one is due that holds everybody."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Where the legs that are done leave the ledgers.

    Attributes:
        built: the ledgers; None where there are none.
        failed: {hotkey: why it was set aside}.
        notes: what was read.
    """

    built: BuiltLedgers | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: LegNotes = field(default_factory=LegNotes)


@dataclass(slots=True)
class LegKeeper:
    """A replay's legs, in a store.

    Attributes:
        store: where they are kept.
        traders: orders.
        window_ms: time that checkpoints may cover.
        plagiarism: recorded events.
        changes: of candles, as far as they are known.
        results: whether the ledgers of those who left, and what happened, are wanted too; without
            them only what further legs need is read, and `traders` need not have who left.
        legs: update times of each.
        n_done: legs, from the first on, that the store has as they would be computed now.
        left: {hotkey: digest of its orders, end of its last leg} of traders that left in legs before.
        idle: as in `StoredRules`, so far.
        begun: lengths of the network's lists when the leg began.
        found: what the store had of the leg that is being done: digests, and notes.
    """

    store: LegStore
    traders: Traders
    window_ms: int
    plagiarism: Sequence[PlagiarismEvent]
    changes: CandleChanges
    results: bool = True
    legs: Sequence[Leg] = field(init=False)
    n_done: int = field(init=False)
    left: dict[str, tuple[str, int]] = field(default_factory=dict)
    idle: bool = False
    begun: tuple[int, int, int] = (0, 0, 0)
    found: tuple[Mapping[str, tuple[str, int]], LegNotes | None] = ({}, None)

    def __post_init__(self) -> None:
        self.legs = self.store.legs()
        n_stored = self.store.n_done()
        gone: Collection[str] = ()
        if n_stored and not self.results:
            gone = self.store.standing(n_stored - 1).state.eliminations.keys()
        self.n_done = n_unchanged(
            self.store, self.traders, self.plagiarism, self.changes, frozenset(gone)
        )
        if self.n_done < n_stored and not self.results:
            raise LeaversNeeded(
                f"orders or candles up to {format_time(self.legs[n_stored - 1][-1])} are not those "
                "that the stored legs were built from: all of the traders are needed"
            )
        if (
            any(map(is_whole, range(self.n_done, len(self.legs))))
            and set(gone) - self.traders.places.keys()
        ):
            raise LeaversNeeded(
                "a leg is due that is stored without reference to those before: all of the traders "
                "are needed"
            )

    def counted(self) -> tuple[int, CandleSum]:
        """How many of the done legs have a fingerprint of their candles, and that fingerprint."""
        for n_legs in range(self.n_done, 0, -1):
            candles = self.store.notes(n_legs - 1).candles
            if candles is not None:
                return n_legs, candles
        return 0, NO_CANDLES

    def recall(self, network: Network) -> Recalled:
        """Put the network where the done legs leave it, and tell where they leave the ledgers."""
        if not self.n_done:
            return Recalled()
        last = self.n_done - 1
        rules = self.store.standing(last)
        network.state, self.idle = rules.state, rules.idle
        digests = self.store.digests(last)
        self.left = {h: digests[h] for h in rules.state.eliminations if h in digests}
        # a whole leg is going to hold everything
        everybody = self.results or any(map(is_whole, range(self.n_done, len(self.legs))))
        wanted = self.traders.places.keys() - (set() if everybody else self.left.keys())
        stretches: list[_Part] = []
        failed: dict[str, str] = {}
        for leg in legs_to_read(self.n_done):
            stored = self.store.ledgers(leg)
            failed |= {h: error for h, error in stored.errors.items() if h in wanted}
            parts = [_Part.of(added, wanted - failed.keys()) for added in stored.added]
            if everybody:
                # whoever left in the leg went only a part of it
                leavers = self._recall_results(leg, network)
                gone = {hotkey for added in leavers for hotkey in added.hotkeys}
                parts = [part.without(gone) for part in parts]
                parts += [_Part.of(added, wanted) for added in leavers]
            stretches += parts
        if self.results:
            network.close_again(self.traders.timelines)
        built = self._joined([part.without(failed.keys()) for part in stretches])
        return Recalled(built, failed, self.store.notes(last))

    def _joined(self, parts: Sequence["_Part"]) -> BuiltLedgers | None:
        """The ledgers after these parts of legs."""
        places = self.traders.places_of({h for part in parts for h in part.hotkeys})
        if not len(places):
            return None
        places.sort()
        stretches = [part.stretch(self.traders, places) for part in parts if part.hotkeys]
        columns = ledgers_after(
            self.traders.joined, places, (), stretches, window_ms=self.window_ms
        )
        return BuiltLedgers(places, columns)

    def _recall_results(self, leg: int, network: Network) -> Sequence[Added]:
        """What happened in a leg, and what it added to those who left in it."""
        rules = self.store.rules(leg)
        network.events += rules.events
        network.scores += rules.scores
        network.competitions += rules.competitions
        return rules.leavers

    def keep_notes(self, notes: LegNotes) -> None:
        """Replace the notes of the last leg that was done before."""
        self.store.keep_notes(self.n_done - 1, notes)

    def begin(self, leg: int, batch: LedgerBatch, network: Network) -> list[BuiltLedgers]:
        """What the store has of a leg's ledgers."""
        self.begun = network.lengths
        digests = self.store.digests(leg)
        notes = self.store.notes(leg) if digests else None
        if notes is None or first_changed(self.changes, notes, self.traders) < self.legs[leg][-1]:
            self.found = {}, None
            return []
        self.found = digests, notes
        now, built = self._digests(leg, self.traders.hotkeys_at(batch.traders)), []
        known = {hotkey for hotkey, digest in now.items() if digests.get(hotkey) == digest}
        for added in self.store.ledgers(leg).added:
            part = _Part.of(added, known)
            traders = np.sort(self.traders.places_of(part.hotkeys))
            if len(traders):
                mine = batch.part(np.searchsorted(batch.traders, traders))
                columns = ledgers_after(
                    self.traders.joined,
                    traders,
                    mine.before,
                    [part.stretch(self.traders, traders)],
                    window_ms=self.window_ms,
                    keep_history=True,
                )
                built.append(BuiltLedgers(traders, columns))
        return built

    def keep_ledgers(
        self,
        leg: int,
        batch: LedgerBatch,
        built: Sequence[BuiltLedgers],
        failed: Mapping[str, str],
        notes: LegNotes,
    ) -> None:
        """Store a leg's ledgers, unless the store has them as they are.

        Args:
            leg: which.
            batch: the work.
            built: what came of it, in the order of traders.
            failed: traders that were set aside, by now.
            notes: what was read up to its end.
        """
        end_ms = self.legs[leg][-1]
        hotkeys = [*failed, *self.traders.hotkeys_at(batch.traders)]
        digests = self.left | self._digests(leg, hotkeys)
        notes = replace(
            notes,
            plagiarism=events_digest(self.plagiarism, end_ms),
            changes_known=self.changes.known,
        )
        if (digests, notes) != self.found:
            added = [self._added(leg, batch, one) for one in built]
            ledgers = StoredLedgers(dict(sorted(digests.items())), dict(failed), added)
            self.store.keep_ledgers(leg, ledgers, notes)

    def keep_rules(
        self,
        leg: int,
        network: Network,
        batch: LedgerBatch,
        leavers: Sequence[BuiltLedgers],
        states: LedgerStates,
        *,
        run_challenge: bool,
    ) -> None:
        """Store what the rules made of a leg.

        Args:
            leg: which.
            network: after it.
            batch: where the leg began.
            leavers: the ledgers of those who left in it, until then.
            states: of everybody, after it.
            run_challenge: whether traders are inspected.
        """
        n_inspections = len(network.competitions) - self.begun[2]
        self.idle |= run_challenge and n_inspections < len(self.legs[leg])
        whole = is_whole(leg)
        added = [self._added(leg, batch, one) for one in leavers]
        if whole:
            added += self._whole(states)
        n_events, n_scores, n_competitions = (0, 0, 0) if whole else self.begun
        rules = StoredRules(
            state=network.state,
            events=network.events[n_events:],
            scores=network.scores[n_scores:],
            competitions=network.competitions[n_competitions:],
            leavers=added,
            idle=self.idle,
        )
        self.store.keep_rules(leg, rules)
        gone = [hotkey for one in leavers for hotkey in self.traders.hotkeys_at(one.traders)]
        self.left |= self._digests(leg, gone)

    def _digests(self, leg: int, hotkeys: Sequence[str]) -> dict[str, tuple[str, int]]:
        """{hotkey: digest of its orders up to the end of a leg, and that time}."""
        end_ms = self.legs[leg][-1]
        digests = orders_digests(self.traders, dict.fromkeys(hotkeys, end_ms))
        return {hotkey: (digest, end_ms) for hotkey, digest in digests.items()}

    def _added(self, leg: int, batch: LedgerBatch, built: BuiltLedgers) -> Added:
        part = None if is_whole(leg) else np.searchsorted(batch.traders, built.traders)
        before = () if part is None else batch.part(part).before
        deltas = deltas_of(self.traders.joined, built.traders, before, built.columns)
        return Added(self.traders.hotkeys_at(built.traders), deltas)

    def _whole(self, states: LedgerStates) -> list[Added]:
        """The ledgers of those who left before, as they left them."""
        left, found = sorted(self.left), []
        for columns, sources, places in states.resumed(left):
            hotkeys = [left[place] for place in places.tolist()]
            mine = with_update(taken(columns, sources))
            traders = self.traders.places_of(hotkeys)
            found.append(Added(hotkeys, deltas_of(self.traders.joined, traders, (), mine)))
        return found


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the traders to whom a leg added something: {hotkey: its place in the deltas}."""

    deltas: LedgerDeltas
    hotkeys: Mapping[str, int]

    @staticmethod
    def of(added: Added, wanted: Collection[str]) -> "_Part":
        """Those who are wanted."""
        places = {h: place for place, h in enumerate(added.hotkeys) if h in wanted}
        return _Part(added.deltas, places)

    def without(self, hotkeys: Collection[str]) -> "_Part":
        """All but these."""
        return replace(self, hotkeys={h: i for h, i in self.hotkeys.items() if h not in hotkeys})

    def stretch(self, traders: Traders, places: Ints) -> Stretch:
        """For the traders at these places, ascending, which are all of the part and maybe more."""
        mine = np.searchsorted(places, traders.places_of(self.hotkeys))
        order = np.argsort(mine)
        sources = np.array(list(self.hotkeys.values()), dtype=np.int64)
        return Stretch(self.deltas, sources[order], mine[order])

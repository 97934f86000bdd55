"""Between a replay and the store of its legs: what need not be done again, and what is kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ptn_backtest.backtest.legs import (
    Leg,
    LegNotes,
    LegStore,
    StoredRules,
    StoredTrader,
    events_digest,
    is_whole,
    legs_to_read,
    n_unchanged,
)
from ptn_backtest.backtest.network import Network
from ptn_backtest.clock import format_time
from ptn_backtest.errors import BacktestError, LedgerError
from ptn_backtest.ledger.delta import LedgerDelta, apply_delta, delta_of, state_after
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.manager import TraderOutcome, TraderUnit
from ptn_backtest.ledger.order_digest import orders_digest
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.prices.fingerprint import NO_CANDLES, CandleSum
from ptn_backtest.sources.plagiarism import PlagiarismEvent

Outcome = TraderOutcome | BacktestError
_NO_HISTORY = LedgerHistory()


class EarlierOrdersChanged(LedgerError):  # noqa: N818 - reads as what it is
    """Legs are to be done again, for which the traders that left since then are needed, too."""


@dataclass(slots=True)
class LegKeeper:
    """A replay's legs, in a store.

    Attributes:
        store: where they are kept.
        timelines: {hotkey: orders}.
        plagiarism: recorded events.
        results: whether the ledgers of those who left, and what happened, are wanted too; without
            them only what further legs need is read, and `timelines` need not have who left.
        legs: update times of each.
        n_done: legs, from the first on, that the store has as they would be computed now.
        left: {hotkey: its row} of traders that left in legs before.
        idle: as in `StoredRules`, so far.
        begun: lengths of the network's lists when the leg began.
        found: what the store had of the leg that is being done: {hotkey: digest, end}, and notes.
    """

    store: LegStore
    timelines: Mapping[str, TraderTimeline]
    plagiarism: Sequence[PlagiarismEvent]
    results: bool = True
    legs: Sequence[Leg] = field(init=False)
    n_done: int = field(init=False)
    left: dict[str, StoredTrader] = field(default_factory=dict)
    idle: bool = False
    begun: tuple[int, int, int] = (0, 0, 0)
    found: tuple[Mapping[str, tuple[str, int]], LegNotes | None] = ({}, None)

    def __post_init__(self) -> None:
        self.legs = self.store.legs()
        n_stored = self.store.n_done()
        gone: Collection[str] = ()
        if n_stored and not self.results:
            gone = self.store.standing(n_stored - 1).state.eliminations.keys()
        self.n_done = n_unchanged(self.store, self.timelines, self.plagiarism, frozenset(gone))
        if self.n_done < n_stored and not self.results:
            raise EarlierOrdersChanged(
                f"orders up to {format_time(self.legs[n_stored - 1][-1])} are not those that the "
                "stored legs were built from: all of the traders are needed"
            )

    def summed(self) -> tuple[int, CandleSum]:
        """How many of the done legs have a fingerprint of their candles, and that fingerprint."""
        for n_legs in range(self.n_done, 0, -1):
            candles = self.store.notes(n_legs - 1).candles
            if candles is not None:
                return n_legs, candles
        return 0, NO_CANDLES

    def recall(self, network: Network) -> tuple[dict[str, LedgerState], dict[str, str], LegNotes]:
        """Put the network where the done legs leave it.

        Returns:
            {hotkey: state}, {hotkey: why it was set aside}, and what was read.
        """
        if not self.n_done:
            return {}, {}, LegNotes()
        last = self.n_done - 1
        rules = self.store.standing(last)
        network.state, self.idle = rules.state, rules.idle
        for hotkey, (orders, until_ms) in self.store.digests(last).items():
            if hotkey in rules.state.eliminations:
                self.left[hotkey] = StoredTrader(orders, until_ms)
        # a whole leg is going to hold everything
        results = self.results or any(map(is_whole, range(self.n_done, len(self.legs))))
        gone = frozenset() if results else rules.state.eliminations.keys()
        chains: dict[str, list[LedgerDelta]] = {}
        failed: dict[str, str] = {}
        for leg in legs_to_read(self.n_done):
            for hotkey, row in self.store.ledgers(leg, gone).items():
                if row.delta is not None:
                    chains.setdefault(hotkey, []).append(row.delta)
                if row.error is not None:
                    failed[hotkey] = row.error
                    chains.pop(hotkey, None)
            if results:
                self._recall_results(leg, network, chains)
        if self.results:
            network.close_again(self.timelines)
        states = {hotkey: state_after(NEW, *chain) for hotkey, chain in chains.items()}
        return states, failed, self.store.notes(last)

    def _recall_results(
        self, leg: int, network: Network, chains: dict[str, list[LedgerDelta]]
    ) -> None:
        """What happened in a leg; whoever left in it went only a part of it."""
        rules, digests = self.store.rules(leg), self.store.digests(leg)
        network.events += rules.events
        network.scores += rules.scores
        network.competitions += rules.competitions
        for hotkey, delta in rules.leavers.items():
            chain = chains.setdefault(hotkey, [])
            if digests[hotkey][1] == self.legs[leg][-1]:  # it was there when the leg began
                chain.pop()
            chain.append(delta)

    def keep_notes(self, notes: LegNotes) -> None:
        """Replace the notes of the last leg that was done before."""
        self.store.keep_notes(self.n_done - 1, notes)

    def begin(self, leg: int, units: Sequence[TraderUnit], network: Network) -> dict[str, Outcome]:
        """{hotkey: outcome} of a leg's units that the store has."""
        self.begun = network.lengths
        digests = self.store.digests(leg)
        self.found = digests, self.store.notes(leg) if digests else None
        stored = self.store.ledgers(leg)
        known: dict[str, Outcome] = {}
        for unit in units:
            hotkey = unit.timeline.miner_hotkey
            row = stored.get(hotkey)
            if row is None or row.orders != orders_digest(unit.timeline, self.legs[leg][-1]):
                continue
            if row.delta is not None:
                known[hotkey] = TraderOutcome(*apply_delta(unit.state, row.delta, self.legs[leg]))
            elif row.error is not None:
                known[hotkey] = LedgerError(row.error)
        return known

    def keep_ledgers(
        self,
        leg: int,
        units: Sequence[TraderUnit],
        outcomes: Sequence[Outcome],
        failed: Mapping[str, str],
        notes: LegNotes,
    ) -> None:
        """Store a leg's ledgers, unless the store has them as they are.

        Args:
            leg: which.
            units: the work.
            outcomes: what came of it.
            failed: traders that were set aside, by now.
            notes: what was read up to its end.
        """
        end_ms, whole = self.legs[leg][-1], is_whole(leg)
        rows = dict(self.left)
        for hotkey, message in failed.items():
            digest = orders_digest(self.timelines[hotkey], end_ms)
            rows[hotkey] = StoredTrader(digest, end_ms, error=message)
        for unit, outcome in zip(units, outcomes, strict=True):
            if isinstance(outcome, BacktestError):
                continue
            rows[unit.timeline.miner_hotkey] = StoredTrader(
                orders=orders_digest(unit.timeline, end_ms),
                until_ms=end_ms,
                delta=delta_of(unit.state, outcome.state, outcome.history, whole=whole),
            )
        notes = replace(notes, plagiarism=events_digest(self.plagiarism, end_ms))
        digests = {hotkey: (row.orders, row.until_ms) for hotkey, row in rows.items()}
        if (digests, notes) != self.found:
            self.store.keep_ledgers(leg, dict(sorted(rows.items())), notes)

    def keep_rules(
        self,
        leg: int,
        network: Network,
        leavers: Mapping[str, tuple[LedgerState, TraderOutcome]],
        states: Mapping[str, LedgerState],
        *,
        run_challenge: bool,
    ) -> None:
        """Store what the rules made of a leg.

        Args:
            leg: which.
            network: after it.
            leavers: {hotkey: state before the leg, and what came of it} of those who left in it.
            states: {hotkey: state} of everybody, after it.
            run_challenge: whether traders are inspected.
        """
        n_inspections = len(network.competitions) - self.begun[2]
        self.idle |= run_challenge and n_inspections < len(self.legs[leg])
        end_ms, whole = self.legs[leg][-1], is_whole(leg)
        deltas = {
            hotkey: delta_of(before, outcome.state, outcome.history, whole=whole)
            for hotkey, (before, outcome) in leavers.items()
        }
        if whole:
            for hotkey in self.left:
                deltas[hotkey] = delta_of(NEW, states[hotkey], _NO_HISTORY, whole=True)
        n_events, n_scores, n_competitions = (0, 0, 0) if whole else self.begun
        rules = StoredRules(
            state=network.state,
            events=network.events[n_events:],
            scores=network.scores[n_scores:],
            competitions=network.competitions[n_competitions:],
            leavers=dict(sorted(deltas.items())),
            idle=self.idle,
        )
        self.store.keep_rules(leg, rules)
        for hotkey in leavers:
            self.left[hotkey] = StoredTrader(orders_digest(self.timelines[hotkey], end_ms), end_ms)

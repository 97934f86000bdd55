"""The network's rules along a replay: after each update an evaluation of all traders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from ptn_backtest.ledger.batch import LedgerSettings
from ptn_backtest.ledger.book import LIQUIDATION
from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.columns import LedgerColumns
from ptn_backtest.ledger.state_columns import TraderLedgers
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.closed_positions import ClosedPositions, closed_positions
from ptn_backtest.rules.closing import close_positions
from ptn_backtest.rules.evaluation import evaluate
from ptn_backtest.rules.events import Elimination, EliminationReason, Event
from ptn_backtest.rules.record_history import RecordHistory, TraderHistories, record_history
from ptn_backtest.rules.risk_profile import HeldPosition
from ptn_backtest.rules.scoring import Scores
from ptn_backtest.rules.standing import NEW_NETWORK, NetworkState
from ptn_backtest.sources.plagiarism import PlagiarismEvent

_BY_DRAWDOWN = (
    EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
    EliminationReason.MAX_TOTAL_DRAWDOWN,
)


@dataclass(frozen=True, slots=True)
class RuleSwitches:
    """Which rules a replay runs.

    Attributes:
        run_challenge: challenge period, ranks, promotion and demotion, plagiarism.
        run_elimination: who fails or loses too much leaves.
        run_scoring: all traders are scored at every evaluation, whatever the rules need.
    """

    run_challenge: bool = False
    run_elimination: bool = False
    run_scoring: bool = False

    @property
    def need_ledgers(self) -> bool:
        """Whether an evaluation looks at ledgers at all."""
        return self.run_challenge or self.run_elimination or self.run_scoring


@dataclass(frozen=True)
class Progress:
    """One trader on its way through a schedule of updates.

    Attributes:
        timeline: its orders.
        liquidation: the record at which its portfolio reached 0, by the end of the schedule.
    """

    timeline: TraderTimeline
    liquidation: Breach | None

    @cached_property
    def first_order_ms(self) -> int:
        """Time of the first order."""
        return self.timeline.first_order_ms


@dataclass(frozen=True, slots=True)
class Schedule:
    """All traders on their way through a schedule of updates.

    Attributes:
        traders: {hotkey: trader}.
        times_ms: the updates.
        closed: {hotkey: its closed positions}, where rules ask for them.
        records: what scoring asks of the traders after each update, likewise.
    """

    traders: Mapping[str, Progress]
    times_ms: Sequence[int]
    closed: Mapping[str, ClosedPositions]
    records: RecordHistory

    def begun(self, t_ms: int) -> set[str]:
        """Traders whose first order is known at a time."""
        return {h for h, one in self.traders.items() if one.first_order_ms <= t_ms}

    def members(self, k: int, rulebook: Rulebook) -> dict[str, "ScheduledMember"]:
        """{hotkey: what is known of it after update k}."""
        t_ms = self.times_ms[k]
        return {
            h: ScheduledMember(one, self.closed.get(h), t_ms, rulebook)
            for h, one in self.traders.items()
        }


class ScheduledMember(NamedTuple):
    """A trader at the time of an update; see `rules.member.NetworkMember`."""

    progress: Progress
    closed: ClosedPositions | None
    t_ms: int
    rulebook: Rulebook

    @property
    def first_order_ms(self) -> int | None:
        """Time of the first order, None if it is yet to come."""
        first_ms = self.progress.first_order_ms
        return first_ms if first_ms <= self.t_ms else None

    @property
    def liquidation(self) -> Breach | None:
        """The record at which the portfolio reached 0, where it has by now."""
        lost = self.progress.liquidation
        return lost if lost and lost.time_ms <= self.t_ms else None

    @property
    def collateral_theta(self) -> float | None:
        """What an account size in force stands for, None before there is one."""
        timeline = self.progress.timeline
        sizes = timeline.arrays.sizes
        if len(sizes) == 1 or sizes["from_ms"][1] > self.t_ms:
            return None
        return timeline.account_size_at(self.t_ms) / self.rulebook.accounts.usd_per_theta

    def has_closed_position(self, shortest_ms: int) -> bool:
        """Whether a position of at least this length was closed."""
        close_ms = self.closed.first_close_ms(shortest_ms) if self.closed else None
        return close_ms is not None and close_ms <= self.t_ms


@dataclass(slots=True)
class Network:
    """Where everybody stands, and what has happened.

    Attributes:
        settings: rulebook and slippage of the replay.
        price_at: the price of a pair (by its id) at a time (ms), None where there is none.
        plagiarism: recorded events in time order.
        state: after the last evaluation.
        events: every change so far, in the order of the evaluations.
        held: {hotkey: positions with their states, as an elimination left them}.
        competitions: scores of those who competed for ranks, one per evaluation that ranked.
        scores: scores of all traders, one per evaluation that was asked for them.
    """

    settings: LedgerSettings
    price_at: Callable[[str, int], FoundPrice | None]
    plagiarism: Sequence[PlagiarismEvent] = ()
    state: NetworkState = NEW_NETWORK
    events: list[Event] = field(default_factory=list)
    held: dict[str, tuple[HeldPosition, ...]] = field(default_factory=dict)
    competitions: list[Scores] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    _closed: dict[str, ClosedPositions] = field(default_factory=dict, init=False, repr=False)

    @property
    def positions(self) -> dict[str, tuple[Position, ...]]:
        """{hotkey: positions as an elimination left them}."""
        return {h: tuple(one.position for one in mine) for h, mine in self.held.items()}

    @property
    def lengths(self) -> tuple[int, int, int]:
        """How many events, scores and competitions there are."""
        return len(self.events), len(self.scores), len(self.competitions)

    def schedule(
        self,
        parts: Sequence[tuple[Sequence[TraderTimeline], LedgerColumns]],
        times_ms: Sequence[int],
        switches: RuleSwitches,
    ) -> Schedule:
        """What these rules will ask of traders that went through these updates.

        Args:
            parts: traders, and what the updates left of them.
            times_ms: the updates.
            switches: which rules.
        """
        traders = {
            timeline.miner_hotkey: Progress(
                timeline, TraderLedgers(columns, place, timeline).loss(LIQUIDATION)
            )
            for timelines, columns in parts
            for place, timeline in enumerate(timelines)
        }
        rules = self.settings.rulebook.scoring
        asked = parts if switches.need_ledgers else ()
        everyone = [timeline for timelines, _ in asked for timeline in timelines]
        new = [timeline for timeline in everyone if timeline.miner_hotkey not in self._closed]
        closed = closed_positions(new, rules.risk_profile)
        self._closed.update(zip([one.miner_hotkey for one in new], closed, strict=True))
        histories = [
            TraderHistories(timelines, columns, [self._closed[t.miner_hotkey] for t in timelines])
            for timelines, columns in asked
        ]
        records = record_history(histories, times_ms, rules)
        return Schedule(traders, times_ms, self._closed, records)

    def evaluate(
        self, schedule: Schedule, k: int, switches: RuleSwitches
    ) -> tuple[Elimination, ...]:
        """Apply the rules after update k of a schedule; gives who left.

        Whoever left is still to be brought to an end with `close`.
        """
        t_ms, rulebook = schedule.times_ms[k], self.settings.rulebook
        if not switches.need_ledgers and schedule.begun(t_ms) == self.state.standings.keys():
            # without rules nothing happens but that traders enter
            self.state = replace(self.state, time_ms=t_ms)
            return ()
        after_ms = -1 if self.state.time_ms is None else self.state.time_ms
        outcome = evaluate(
            self.state,
            schedule.members(k, rulebook),
            schedule.records.after(k),
            t_ms,
            rulebook,
            plagiarism=[e for e in self.plagiarism if after_ms < e.time_ms <= t_ms],
            run_challenge=switches.run_challenge,
            run_elimination=switches.run_elimination,
            run_scoring=switches.run_scoring,
        )
        self.state = outcome.state
        self.events += outcome.events
        if outcome.competition is not None:
            self.competitions.append(outcome.competition)
        if outcome.scores is not None:
            self.scores.append(outcome.scores)
        return outcome.eliminations

    def close(
        self, elimination: Elimination, timeline: TraderTimeline, breach: Breach | None
    ) -> None:
        """Close what an eliminated trader holds, and note the exact breach, which its ledgers tell."""
        if elimination.reason in _BY_DRAWDOWN:
            elimination = replace(elimination, breach=breach)
        hotkey = elimination.miner_hotkey
        closing = close_positions(
            elimination,
            timeline.stored_positions,
            self.price_at,
            self.settings.rulebook,
            use_slippage=self.settings.use_slippage,
        )
        self.held[hotkey] = closing.held
        self.events += closing.events
        known = {**self.state.eliminations, hotkey: closing.elimination}
        self.state = replace(self.state, eliminations=known)

    def close_again(self, timelines: Mapping[str, TraderTimeline]) -> None:
        """Close what those who left before held, at the prices that their eliminations tell."""
        for hotkey, elimination in self.state.eliminations.items():
            prices = elimination.closing_prices
            closing = close_positions(
                elimination,
                timelines[hotkey].stored_positions,
                lambda pair, _t_ms, prices=prices: prices.get(pair),  # type: ignore[misc]
                self.settings.rulebook,
                use_slippage=self.settings.use_slippage,
            )
            self.held[hotkey] = closing.held

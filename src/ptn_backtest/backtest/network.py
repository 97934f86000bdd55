"""The network's rules along a replay: after each update an evaluation of all traders."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.manager import LedgerSettings, TraderOutcome, TraderUnit
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.positions.accounting import position_states
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.closing import close_positions
from ptn_backtest.rules.evaluation import evaluate
from ptn_backtest.rules.events import Elimination, EliminationReason, Event
from ptn_backtest.rules.member import Member
from ptn_backtest.rules.risk_profile import HeldPosition
from ptn_backtest.rules.scoring import Scores, score
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


@dataclass(frozen=True, slots=True)
class Progress:
    """One trader on its way through a schedule of updates.

    Attributes:
        unit: its orders, and where the schedule began.
        history: its ledgers after each update, where rules look at them.
        state: after the last update.
        closed: its closed positions, in the order in which they were closed.
        closed_ms: when.
    """

    unit: TraderUnit
    history: LedgerHistory
    state: LedgerState
    closed: tuple[HeldPosition, ...]
    closed_ms: tuple[int, ...]

    def member(self, k: int, t_ms: int, rulebook: Rulebook) -> Member:
        """What is known of the trader after update k, which is at t."""
        timeline, lost = self.unit.timeline, self.state.liquidation
        sizes, size = timeline.arrays.sizes, timeline.account_size_at(t_ms)
        known = len(sizes) > 1 and sizes["from_ms"][1] <= t_ms
        return Member(
            ledgers=self.history.ledgers_after(k) if len(self.history) else {},
            positions=self.closed[: bisect_right(self.closed_ms, t_ms)],
            account_size=size,
            first_order_ms=timeline.first_order_ms if timeline.first_order_ms <= t_ms else None,
            liquidation=lost if lost and lost.time_ms <= t_ms else None,
            collateral_theta=size / rulebook.accounts.usd_per_theta if known else None,
        )


def progress_of(unit: TraderUnit, outcome: TraderOutcome) -> Progress:
    """A trader and what its orders make of its positions."""
    timeline = unit.timeline
    states = position_states(timeline.positions, timeline.arrays.accounts)
    held = map(HeldPosition, timeline.positions, states)
    closed = sorted((one for one in held if one.state.close_ms is not None), key=_close_ms)
    closed_ms = tuple(map(_close_ms, closed))
    return Progress(unit, outcome.history, outcome.state, tuple(closed), closed_ms)


def _close_ms(held: HeldPosition) -> int:
    return held.state.close_ms or 0


@dataclass(slots=True)
class Network:
    """Where everybody stands, and what has happened.

    Attributes:
        settings: rulebook and slippage of the replay.
        price_at: the price of a pair (by its id) at a time (ms), None where there is none.
        plagiarism: recorded events in time order.
        state: after the last evaluation.
        events: every change so far, in the order of the evaluations.
        positions: {hotkey: positions as an elimination left them}.
        competitions: scores of those who competed for ranks, one per evaluation that ranked.
        scores: scores of all traders, one per evaluation that was asked for them.
    """

    settings: LedgerSettings
    price_at: Callable[[str, int], FoundPrice | None]
    plagiarism: Sequence[PlagiarismEvent] = ()
    state: NetworkState = NEW_NETWORK
    events: list[Event] = field(default_factory=list)
    positions: dict[str, tuple[Position, ...]] = field(default_factory=dict)
    competitions: list[Scores] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)

    def evaluate(
        self, traders: Mapping[str, Progress], k: int, t_ms: int, switches: RuleSwitches
    ) -> tuple[Elimination, ...]:
        """Apply the rules after update k of a schedule, which is at t; gives who left.

        Whoever left is still to be brought to an end with `close`.
        """
        rulebook = self.settings.rulebook
        members = {
            hotkey: one.member(k, t_ms, rulebook)
            for hotkey, one in traders.items()
            if hotkey not in self.state.eliminations
        }
        after_ms = -1 if self.state.time_ms is None else self.state.time_ms
        outcome = evaluate(
            self.state,
            members,
            t_ms,
            rulebook,
            plagiarism=[e for e in self.plagiarism if after_ms < e.time_ms <= t_ms],
            run_challenge=switches.run_challenge,
            run_elimination=switches.run_elimination,
        )
        self.state = outcome.state
        self.events += outcome.events
        if outcome.competition is not None:
            self.competitions.append(outcome.competition)
        if switches.run_scoring:
            self.scores.append(score_all(self.state, members, t_ms, rulebook))
        return outcome.eliminations

    def close(self, elimination: Elimination, timeline: TraderTimeline, state: LedgerState) -> None:
        """Close what an eliminated trader holds, and note the exact breach from its last state."""
        if elimination.reason in _BY_DRAWDOWN:
            elimination = replace(elimination, breach=state.breach)
        hotkey = elimination.miner_hotkey
        closing = close_positions(
            elimination,
            timeline.stored_positions,
            self.price_at,
            self.settings.rulebook,
            use_slippage=self.settings.use_slippage,
        )
        self.positions[hotkey] = closing.positions
        self.events += closing.events
        known = {**self.state.eliminations, hotkey: closing.elimination}
        self.state = replace(self.state, eliminations=known)


def score_all(
    state: NetworkState, members: Mapping[str, Member], t_ms: int, rulebook: Rulebook
) -> Scores:
    """Scores of everybody with a ledger who is in the network."""
    traders = {
        hotkey: members[hotkey].in_bucket(standing.bucket)
        for hotkey, standing in state.standings.items()
        if members[hotkey].has_ledger
    }
    return score(traders, t_ms, rulebook.scoring)

"""Random networks for property tests: a week of a few traders under rules with short periods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.ledger.breach import Breach
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook
from ptn_backtest.rules.evaluation import Evaluation
from ptn_backtest.rules.member import Member
from ptn_backtest.rules.standing import NEW_NETWORK, NetworkState
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from tests.rules.made_members import A_MINUTE, BEGIN_MS, daily_ledger, evaluated

N_DAYS = 9

RULES = replace(
    DEFAULT_RULEBOOK,
    challenge=replace(
        DEFAULT_RULEBOOK.challenge,
        challenge_days=4,
        probation_days=2,
        grace_until_ms=0,
        full_days=2,
        ranks=2,
    ),
    eliminations=replace(DEFAULT_RULEBOOK.eliminations, plagiarism_days=2),
)


@dataclass(frozen=True)
class Life:
    """A trader's week.

    Attributes:
        first_day: of its first order, at 03:00.
        returns: log return of each full day from the next one on.
        closed_day: from when it has a closed position of a minute.
        lost_day: within which its portfolio reaches 0, None if it does not.
        pair: what it trades.
        theta: its collateral.
    """

    first_day: int
    returns: Sequence[float]
    closed_day: int
    lost_day: int | None
    pair: str
    theta: float | None

    def after(self, day: int) -> Member:
        """What is known at the start of a day."""
        first_ms = BEGIN_MS + self.first_day * DAY_MS + 3 * HOUR_MS
        lost_ms = None if self.lost_day is None else BEGIN_MS + self.lost_day * DAY_MS + HOUR_MS
        lost = lost_ms is not None and first_ms < lost_ms <= BEGIN_MS + day * DAY_MS
        known = self.returns[: max(0, day - self.first_day)]
        values = np.exp(np.concatenate([[0.0], np.cumsum(known)]))
        mdd = float((values / np.maximum.accumulate(values)).min())
        ledger = daily_ledger(known, mdd=mdd, begin_ms=BEGIN_MS + self.first_day * DAY_MS)
        return Member(
            ledgers={"portfolio": ledger, self.pair: ledger} if known else {},
            positions=A_MINUTE if self.closed_day < day else (),
            account_size=200_000.0,
            first_order_ms=first_ms if day > self.first_day else None,
            liquidation=Breach(lost_ms, 0.0, 1.0, ()) if lost and lost_ms else None,
            collateral_theta=self.theta,
        )


LIVES = st.builds(
    Life,
    first_day=st.integers(0, 4),
    returns=st.lists(
        st.sampled_from([-0.13, -0.06, -0.01, 0.0, 0.01, 0.01, 0.02, 0.03, 0.05]),
        min_size=N_DAYS,
        max_size=N_DAYS,
    ),
    closed_day=st.integers(0, 6),
    lost_day=st.sampled_from([None, None, None, None, 3, 6]),
    pair=st.sampled_from(["BTCUSD", "BTCUSD", "EURUSD"]),
    theta=st.sampled_from([None, 100.0]),
)


@dataclass(frozen=True)
class Town:
    """Several traders, and what was said of plagiarists."""

    lives: Mapping[str, Life]
    plagiarism: Sequence[PlagiarismEvent] = ()

    def members(self, day: int) -> dict[str, Member]:
        """Everybody at the start of a day."""
        return {hotkey: life.after(day) for hotkey, life in self.lives.items()}

    def events(self, day: int) -> list[PlagiarismEvent]:
        """Of the day before."""
        until_ms = BEGIN_MS + day * DAY_MS
        return [e for e in self.plagiarism if until_ms - DAY_MS < e.time_ms <= until_ms]

    def step(
        self, state: NetworkState, day: int, rules: Rulebook = RULES, **switches: Any
    ) -> Evaluation:
        """One evaluation."""
        t_ms, events = BEGIN_MS + day * DAY_MS, self.events(day)
        return evaluated(state, self.members(day), t_ms, rules, plagiarism=events, **switches)

    def run(self, rules: Rulebook = RULES, **switches: Any) -> list[Evaluation]:
        """The whole week."""
        state, outcomes = NEW_NETWORK, []
        for day in range(1, N_DAYS + 1):
            outcomes.append(self.step(state, day, rules, **switches))
            state = outcomes[-1].state
        return outcomes


@st.composite
def towns(draw: st.DrawFn, *, min_size: int = 1, max_size: int = 6) -> Town:
    """A few traders; now and then one is flagged, or cleared."""
    lives = draw(st.lists(LIVES, min_size=min_size, max_size=max_size))
    named = {f"trader {i}": life for i, life in enumerate(lives)}
    said = draw(
        st.lists(
            st.builds(
                PlagiarismEvent,
                miner_hotkey=st.sampled_from(sorted(named)),
                time_ms=st.integers(0, N_DAYS * 24).map(lambda hour: BEGIN_MS + hour * HOUR_MS),
                flagged=st.booleans(),
            ),
            max_size=3,
        )
    )
    return Town(named, sorted(said, key=lambda event: event.time_ms))


SWITCHES = st.fixed_dictionaries({"run_challenge": st.booleans(), "run_elimination": st.booleans()})

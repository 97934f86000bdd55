"""How traders enter, rise, fall and leave: challenge, probation, eliminations, account sizes."""

from dataclasses import dataclass

from ptn_backtest.clock import DAY_MS, SECOND_MS
from ptn_backtest.rulebook.kinds import Count, Fraction, Percent, Positive, Shipped, Time

_CHALLENGE = Shipped("challenge")
_ELIMINATIONS = Shipped("eliminations")
_ACCOUNTS = Shipped("accounts")


@dataclass(frozen=True, slots=True)
class ChallengeRules:
    """What a trader must do to enter the main competition, and to stay in it.

    Attributes:
        challenge_days: from its first order; then a trader that was not promoted is eliminated.
        probation_days: the same of a demoted trader, from its demotion.
        grace_until_ms: no period ends earlier than this (2025-10-02 00:00 UTC, quirk 34).
        full_days: days with two full checkpoints that promotion asks for.
        position_seconds: a closed position counts from this length on.
        ranks: this many of a class are in the main competition.
    """

    challenge_days: Count = _CHALLENGE.challenge_days
    probation_days: Count = _CHALLENGE.probation_days
    grace_until_ms: Time = _CHALLENGE.grace_until_ms
    full_days: int = _CHALLENGE.full_days
    position_seconds: int = _CHALLENGE.position_seconds
    ranks: Count = _CHALLENGE.ranks

    @property
    def challenge_ms(self) -> int:
        """Length of the challenge period, ms."""
        return self.challenge_days * DAY_MS

    @property
    def probation_ms(self) -> int:
        """Length of the probation, ms."""
        return self.probation_days * DAY_MS

    @property
    def position_ms(self) -> int:
        """Shortest position that counts, ms."""
        return self.position_seconds * SECOND_MS


@dataclass(frozen=True, slots=True)
class EliminationRules:
    """When a trader leaves for good, and what that costs.

    Attributes:
        drawdown_limit: a drawdown of this many percent or more eliminates; scoring's, too.
        plagiarism_days: a plagiarist who is not cleared within them is eliminated.
        closing_price_days: open positions are closed at a price of at most this age.
        drawdown_slash: fraction of the collateral taken for MAX_TOTAL_DRAWDOWN and LIQUIDATED.
        challenge_slash: the same for a failed challenge period or probation.
    """

    drawdown_limit: Percent = _ELIMINATIONS.drawdown_limit
    plagiarism_days: int = _ELIMINATIONS.plagiarism_days
    closing_price_days: int = _ELIMINATIONS.closing_price_days
    drawdown_slash: Fraction = _ELIMINATIONS.drawdown_slash
    challenge_slash: Fraction = _ELIMINATIONS.challenge_slash

    @property
    def plagiarism_ms(self) -> int:
        """Time that a plagiarist has to be cleared, ms."""
        return self.plagiarism_days * DAY_MS

    @property
    def closing_price_ms(self) -> int:
        """Largest age of a closing price, ms."""
        return self.closing_price_days * DAY_MS


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What an account size follows from.

    Attributes:
        usd_per_theta: account size per unit of collateral.
        most_theta: more collateral does not count.
        smallest_usd: account size where it is unknown, and at least (quirk 18).
    """

    usd_per_theta: Positive = _ACCOUNTS.usd_per_theta
    most_theta: float = _ACCOUNTS.most_theta
    smallest_usd: Positive = _ACCOUNTS.smallest_usd

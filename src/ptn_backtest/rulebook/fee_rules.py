"""What holding and changing a position costs: the spread fee and the carry fee."""

from dataclasses import dataclass

from ptn_backtest.clock import HOUR_MS
from ptn_backtest.rulebook.kinds import Count, Fraction, Time
from ptn_backtest.trade_pairs import TradePair


@dataclass(frozen=True, slots=True)
class FeeRules:
    """The fee of a position, and its part that changes of leverage cost.

    Attributes:
        v4_ms: before it, the fee is trade pair fee x largest leverage; from it on carry x spread.
        crypto_spread_rate: spread fee of crypto, per unit of cumulative leverage.
        pair_fee_share: share of each pair's own fee that is a spread fee, likewise.
        spread_until_slippage: whether the spread fee falls away once slippage counts.
    """

    v4_ms: Time
    crypto_spread_rate: Fraction
    pair_fee_share: float
    spread_until_slippage: bool


@dataclass(frozen=True, slots=True)
class CarryRule:
    """Carry fee of an asset class: each interval multiplies the value by `factor ** leverage`.

    Attributes:
        period_hours: length of an interval.
        phase_hours: an interval ends at every multiple of the period since 1970 plus this.
        yearly_rate: what `intervals_a_year` intervals cost at leverage 1 (fraction).
        intervals_a_year: see there.
        weekdays_only: intervals sampled on Saturday and Sunday are free, Wednesday counts thrice.
    """

    period_hours: Count
    phase_hours: int
    yearly_rate: Fraction
    intervals_a_year: Count
    weekdays_only: bool

    @property
    def period_ms(self) -> int:
        """Length of an interval, ms."""
        return self.period_hours * HOUR_MS

    @property
    def phase_ms(self) -> int:
        """Offset of the interval ends, ms."""
        return self.phase_hours * HOUR_MS

    @property
    def factor(self) -> float:
        """Value kept per interval at leverage 1."""
        return float((1 - self.yearly_rate) ** (1 / self.intervals_a_year))


@dataclass(frozen=True, slots=True)
class CarryRules:
    """The carry fees of all asset classes.

    Attributes:
        from_ms: carry fees accrue from here.
        crypto: the rule of crypto; the others likewise.
        forex: also of gold and silver.
        equities: see there.
        indices: see there.
    """

    from_ms: Time
    crypto: CarryRule
    forex: CarryRule
    equities: CarryRule
    indices: CarryRule

    def of(self, pair: TradePair) -> CarryRule:
        """The rule of a pair's asset class."""
        rule: CarryRule = getattr(self, pair.category.value)
        return rule

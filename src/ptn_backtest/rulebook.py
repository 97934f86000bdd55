"""The network's rules as data with dates: one immutable value.

Everything that computes with money takes its constants from here, so that another rule set is
another value. This version ships the rules of November 2025; what is not yet a field here
(challenge period, eliminations, scoring) arrives with the stages that use it.
"""

from dataclasses import dataclass

from ptn_backtest.clock import HOUR_MS, NEVER_MS
from ptn_backtest.trade_pairs import TradePair, TradePairCategory


@dataclass(frozen=True, slots=True)
class CarryRule:
    """Carry fee of an asset class: each interval multiplies the value by `factor ** leverage`.

    Attributes:
        period_ms: length of an interval.
        phase_ms: an interval ends at every multiple of `period_ms` since 1970 plus this.
        factor: value kept per interval at leverage 1 (fraction).
        weekdays_only: intervals sampled on Saturday and Sunday are free, Wednesday counts thrice.
    """

    period_ms: int
    phase_ms: int
    factor: float
    weekdays_only: bool


CRYPTO_CARRY = CarryRule(8 * HOUR_MS, 4 * HOUR_MS, (1 - 0.1095) ** (1 / 1095), weekdays_only=False)
FOREX_CARRY = CarryRule(24 * HOUR_MS, 21 * HOUR_MS, (1 - 0.03) ** (1 / 365), weekdays_only=True)
STOCK_CARRY = CarryRule(24 * HOUR_MS, 21 * HOUR_MS, (1 - 0.0525) ** (1 / 365), weekdays_only=True)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules that turn orders and prices into returns.

    Attributes:
        name: how a run records it.
        fee_v4_ms: before it, the fee is trade pair fee x largest leverage; from it on carry x spread.
        fee_v6_ms: carry fees accrue from here.
        slippage_v1_ms: slippage enters entry and exit prices from here.
        crypto_spread_rate: spread fee of crypto, per unit of cumulative leverage.
    """

    name: str = "2025-11"
    fee_v4_ms: int = 1_713_198_680_000
    fee_v6_ms: int = 1_720_843_707_000
    slippage_v1_ms: int = 1_739_937_600_000
    crypto_spread_rate: float = 0.001

    def carry(self, pair: TradePair) -> CarryRule:
        """The carry rule of a pair."""
        if pair.category is TradePairCategory.CRYPTO:
            return CRYPTO_CARRY
        return FOREX_CARRY if pair.category is TradePairCategory.FOREX else STOCK_CARRY

    def spread_rate(self, pair: TradePair) -> float:
        """Spread fee per unit of cumulative leverage."""
        return self.crypto_spread_rate if pair.is_crypto else 0.0

    def slippage_from_ms(self, use_slippage: bool | None) -> int:
        """The time from which slippage counts: `True` always, `False` never, `None` by the date."""
        if use_slippage is None:
            return self.slippage_v1_ms
        return -NEVER_MS if use_slippage else NEVER_MS


DEFAULT_RULEBOOK = Rulebook()

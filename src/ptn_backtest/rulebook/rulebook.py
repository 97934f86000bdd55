"""The network's rules as data with dates: one immutable value.

Everything that computes with money or standing takes its constants from here, so that another rule
set is another value. `reading` makes rulebooks from files.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.rulebook.codec import encode
from ptn_backtest.rulebook.fee_rules import CarryRule, CarryRules, FeeRules
from ptn_backtest.rulebook.leverage_rules import LeverageRules
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rulebook.slippage_rules import SlippageRules
from ptn_backtest.rulebook.standing_rules import AccountRules, ChallengeRules, EliminationRules
from ptn_backtest.trade_pairs import TradePair


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every rule that turns orders and prices into returns, scores and standing.

    Attributes:
        name: how a run records it.
        in_force: when the network used it, in words.
        fees: what changing a position costs.
        carry_fees: what holding it costs ("carry" in a file).
        slippage: what an order loses to the market, and from when on.
        leverage: how much leverage an order may bring.
        challenge: how a trader enters the main competition and stays in it.
        eliminations: how it leaves for good.
        accounts: what its account size follows from.
        scoring: what its record is worth; its drawdown limit is that of `eliminations`.
    """

    name: str
    in_force: str
    fees: FeeRules
    carry_fees: CarryRules = field(metadata={"key": "carry"})
    slippage: SlippageRules
    leverage: LeverageRules
    challenge: ChallengeRules
    eliminations: EliminationRules
    accounts: AccountRules
    scoring: ScoringRules

    def __post_init__(self) -> None:
        limit = self.eliminations.drawdown_limit
        # the limit is one number for users; a frozen class is only set like this
        object.__setattr__(self, "scoring", replace(self.scoring, drawdown_limit=limit))

    @property
    def fee_v4_ms(self) -> int:
        """Before it, the fee is trade pair fee x largest leverage; from it on carry x spread."""
        return self.fees.v4_ms

    @property
    def carry_from_ms(self) -> int:
        """Carry fees accrue from here."""
        return self.carry_fees.from_ms

    @property
    def slippage_v1_ms(self) -> int:
        """Slippage enters entry and exit prices from here."""
        return self.slippage.from_ms

    def carry(self, pair: TradePair) -> CarryRule:
        """The carry rule of a pair."""
        return self.carry_fees.of(pair)

    def spread_rate(self, pair: TradePair) -> float:
        """Spread fee per unit of cumulative leverage."""
        own = self.fees.crypto_spread_rate if pair.is_crypto else 0.0
        return own + self.fees.pair_fee_share * pair.fee

    def slippage_from_ms(self, use_slippage: bool | None) -> int:
        """The time from which slippage counts: `True` always, `False` never, `None` by the date."""
        if use_slippage is None:
            return self.slippage_v1_ms
        return -NEVER_MS if use_slippage else NEVER_MS

    def spread_until_ms(self, use_slippage: bool | None) -> int:
        """The time until which the spread fee is charged."""
        until_slippage = self.fees.spread_until_slippage
        return self.slippage_from_ms(use_slippage) if until_slippage else NEVER_MS

    def to_dict(self) -> dict[str, Any]:
        """Whole, in the shape of its file, tables as rows; `rulebook_from` gives it back."""
        rules = {"base": "none", **encode(Rulebook, self)}
        del rules["scoring"]["drawdown_limit"]
        return rules

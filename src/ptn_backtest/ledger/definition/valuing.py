"""The readable definition, part 3: what a position is worth (compiled: `ledger.valuing`)."""

from dataclasses import dataclass

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.positions.accounting import Accounts, carry_at, replay_orders
from ptn_backtest.positions.columns import (
    AccountingRules,
    PositionColumns,
    accounting_rules,
    position_columns,
)
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import Rulebook


@dataclass(slots=True, eq=False)
class Holding:
    """A position as the ledgers see it: orders booked so far, valuation, fees, fee cache."""

    position: Position
    columns: PositionColumns
    accounts: Accounts
    rules: AccountingRules
    n_orders: int = 0
    current_return: float = 1.0
    value: float = 1.0
    price: float = 0.0
    candle_ms: int | None = None
    spread: float = 1.0
    carry: float = 1.0
    cached_carry: tuple[float, int] | None = None

    @property
    def pair_id(self) -> str:
        """The key of its pair's ledger."""
        return self.position.trade_pair.trade_pair_id

    @property
    def close_ms(self) -> int:
        """Time of the order that closes it, known yet or not; `NEVER_MS` if none does."""
        close = int(self.accounts.bounds["close"][0])
        return self.position.orders[close].processed_ms if close >= 0 else NEVER_MS

    @property
    def is_open(self) -> bool:
        """Whether it is held, with the orders booked so far."""
        return self.n_orders > 0 and not self.is_closed_after(self.n_orders)

    def orders_until(self, at_ms: int) -> int:
        """How many orders it has up to a time."""
        return sum(order.processed_ms <= at_ms for order in self.position.orders)

    def last_order_ms(self, at_ms: int) -> int:
        """Time of its last order up to a time; before all times if there is none."""
        known = [o.processed_ms for o in self.position.orders if o.processed_ms <= at_ms]
        return max(known, default=-NEVER_MS)

    def is_closed_after(self, n_orders: int) -> bool:
        """Whether one of its first orders closes it."""
        return 0 <= self.accounts.bounds["close"][0] < n_orders

    def value_after(self, n_orders: int) -> float:
        """Return with fees right after an order, from the orders alone."""
        return float(self.accounts.after["return_at_close"][n_orders - 1])

    def stand_as_ordered(self) -> None:
        """Forget what ticks made of it: it is worth what its orders alone say."""
        self.current_return = float(self.accounts.after["current_return"][self.n_orders - 1])
        self.value = self.value_after(self.n_orders)
        self.price, self.candle_ms = self.position.orders[self.n_orders - 1].price, None

    def ask_fees(self, at_ms: int, n_orders: int) -> None:
        """Ask for both fees with so many orders known.

        A cached carry fee serves until its next change, even if orders changed the leverage
        meanwhile (quirk 7).
        """
        charged = at_ms < self.rules.spread_until_ms
        self.spread = float(self.accounts.after["spread_fee"][n_orders - 1]) if charged else 1.0
        asked_ms = min(at_ms, self.close_ms) if self.is_closed_after(n_orders) else at_ms
        if self.cached_carry is not None:
            self.carry, next_ms = self.cached_carry
            period_ms = int(self.columns.positions["carry_period_ms"][0])
            if next_ms - period_ms <= asked_ms < next_ms:
                return
        fee, next_ms = carry_at(self.columns, self.rules, self.accounts, 0, n_orders, at_ms)
        self.carry, self.cached_carry = float(fee), (float(fee), int(next_ms))

    def stand_at_price(self, price: float, at_ms: int, candle_ms: int) -> None:
        """Value the open position between orders; realized profit counts where slippage does."""
        self.price, self.candle_ms = price, candle_ms
        after = self.accounts.after[self.n_orders - 1]
        profit = (price - float(after["entry_price"])) * float(after["held"])
        if at_ms >= self.rules.slippage_from_ms:
            profit += float(after["realized"])
        gain = profit / float(self.accounts.bounds["initial_entry"][0])
        self.current_return = 0.0 if gain <= -1 else 1 + gain
        self.charge_fees()

    def charge_fees(self) -> None:
        """Between orders carry and spread are charged, before fee V4 too."""
        self.value = self.current_return * (self.carry * self.spread)


def make_holding(position: Position, rulebook: Rulebook, use_slippage: bool | None) -> Holding:
    """A position before its first order is booked."""
    rules = accounting_rules(rulebook, use_slippage)
    columns = position_columns([position], rulebook)
    return Holding(position, columns, replay_orders(columns, rules), rules)

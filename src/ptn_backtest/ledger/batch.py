"""Several traders' share of an update, and the pure function that does it.

This is what parallel modes hand about: a batch goes in, columns come out, and how traders are put
together in batches makes no difference to any of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.builder import build_ledgers
from ptn_backtest.ledger.checkpoint import WINDOW_MS
from ptn_backtest.ledger.columns import LedgerColumns, Resumed, side_by_side, taken
from ptn_backtest.ledger.timelines import Timelines
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.table import PriceTable
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What decides the figures of a ledger, beside orders and prices.

    Attributes:
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
        portfolio_only: build no ledgers by pair.
        window_ms: time that a ledger's checkpoints may cover.
    """

    rulebook: Rulebook = DEFAULT_RULEBOOK
    use_slippage: bool | None = None
    portfolio_only: bool = False
    window_ms: int = WINDOW_MS


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """Traders whose ledgers are to be continued.

    Attributes:
        traders: their places in the timelines, ascending.
        before: where they go on; those that are not in it are new.
        update_times_ms: ascending.
        prices: candles that these updates look at, and market hours, of every pair traded.
        keep_history: whether rules will look at the ledgers after each of these updates.
    """

    traders: Ints
    before: tuple[Resumed, ...]
    update_times_ms: tuple[int, ...]
    prices: PriceTable
    keep_history: bool = False

    def __len__(self) -> int:
        return len(self.traders)

    def part(self, places: Sequence[int] | Ints) -> "LedgerBatch":
        """Those at these places of the batch, which are ascending."""
        wanted, before = np.array(places, dtype=np.int64), []
        for columns, sources, mine in self.before:
            at = np.searchsorted(wanted, mine)
            chosen = np.searchsorted(wanted, mine, side="right") > at
            if chosen.any():
                before.append(Resumed(columns, sources[chosen], at[chosen]))
        return replace(self, traders=self.traders[wanted], before=tuple(before))

    def alone(self) -> "LedgerBatch":
        """The same without any other trader: with places from 0 on, and columns of its own."""
        before = [
            Resumed(taken(columns, sources), np.arange(len(sources)), places)
            for columns, sources, places in self.before
        ]
        return replace(self, traders=np.arange(len(self)), before=tuple(before))


class BuiltLedgers(NamedTuple):
    """What came of a batch, or of a part of one.

    Attributes:
        traders: whose ledgers, by their places in the timelines; ascending.
        columns: in this order.
    """

    traders: Ints
    columns: LedgerColumns


def same_work(first: LedgerBatch, second: LedgerBatch) -> bool:
    """Whether two batches ask for the same of the same traders."""
    return (
        np.array_equal(first.traders, second.traders)
        and first.update_times_ms == second.update_times_ms
        and first.keep_history == second.keep_history
        and len(first.before) == len(second.before)
        and all(
            mine.columns is other.columns and np.array_equal(mine.sources, other.sources)
            for mine, other in zip(first.before, second.before, strict=True)
        )
    )


def in_order(parts: Iterable[BuiltLedgers]) -> list[BuiltLedgers]:
    """Parts of a batch in the order of their traders; one part, where they lie between each other."""
    ordered = sorted((part for part in parts if len(part.traders)), key=lambda p: p.traders[0])
    traders = np.concatenate([np.zeros(0, np.int64), *(part.traders for part in ordered)])
    if (np.diff(traders) > 0).all():
        return ordered
    order = np.argsort(traders)
    columns = side_by_side([part.columns for part in ordered])
    return [BuiltLedgers(traders[order], taken(columns, order))]


@dataclass(frozen=True, slots=True)
class LedgerUpdate:
    """What an update does to a batch: a pure function, for any process to call.

    Attributes:
        settings: what decides the figures.
        timelines: orders of all traders.
        price_rows: row in a batch's prices of every pair of the timelines.
    """

    settings: LedgerSettings
    timelines: Timelines
    price_rows: Ints

    def __call__(
        self, batch: LedgerBatch, zeros: Callable[..., NDArray[Any]] = np.zeros
    ) -> LedgerColumns:
        """What the update leaves of the batch's traders; `zeros` makes the arrays."""
        return build_ledgers(
            self.timelines,
            batch.traders,
            batch.prices,
            self.price_rows,
            batch.update_times_ms,
            batch.before,
            portfolio_only=self.settings.portfolio_only,
            window_ms=self.settings.window_ms,
            drawdown_limit=self.settings.rulebook.eliminations.drawdown_limit,
            keep_history=batch.keep_history,
            zeros=zeros,
        )

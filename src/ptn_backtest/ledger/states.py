"""The states of many traders: columns, until somebody looks at one of them."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence

import numpy as np

from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import DRAWDOWN, LIQUIDATION
from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.columns import LedgerColumns, Resumed
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.state_columns import TraderLedgers, state_columns
from ptn_backtest.ledger.timeline import TraderTimeline


class LedgerStates(MutableMapping[str, LedgerState]):
    """{hotkey: state after the last update}; a state that is put in is gone on from."""

    def __init__(
        self, timelines: Mapping[str, TraderTimeline], states: Mapping[str, LedgerState]
    ) -> None:
        """States as they are to begin with.

        Args:
            timelines: {hotkey: orders}.
            states: {hotkey: state}.
        """
        self._timelines = timelines
        self._columns: dict[str, tuple[LedgerColumns, int] | None] = {}
        self._looked_at: dict[str, LedgerState] = {}
        self.update(states)

    def __getitem__(self, hotkey: str) -> LedgerState:
        known = self._columns[hotkey]
        if hotkey not in self._looked_at and known is not None:
            self._looked_at[hotkey] = TraderLedgers(*known, self._timelines[hotkey]).state()
        return self._looked_at[hotkey]

    def __setitem__(self, hotkey: str, state: LedgerState) -> None:
        self._columns[hotkey] = None
        self._looked_at[hotkey] = state

    def __delitem__(self, hotkey: str) -> None:
        del self._columns[hotkey]
        self._looked_at.pop(hotkey, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def keep(self, hotkeys: Sequence[str], columns: LedgerColumns) -> None:
        """Take over what updates left of these traders, in the order of the columns."""
        columns = columns.without_history()
        for place, hotkey in enumerate(hotkeys):
            self._columns[hotkey] = columns, place
            self._looked_at.pop(hotkey, None)

    def loss(self, hotkey: str, which: int) -> Breach | None:
        """`LedgerState.breach` or `.liquidation` (`book.DRAWDOWN`, `LIQUIDATION`), without the rest."""
        known = self._columns[hotkey]
        if known is None:
            state = self._looked_at[hotkey]
            return {DRAWDOWN: state.breach, LIQUIDATION: state.liquidation}[which]
        return TraderLedgers(*known, self._timelines[hotkey]).loss(which)

    def resumed(self, hotkeys: Sequence[str]) -> tuple[Resumed, ...]:
        """Where these traders go on, as a batch of them wants to know it; without those that are new."""
        places: dict[int, tuple[LedgerColumns, list[tuple[int, int]]]] = {}
        for place, hotkey in enumerate(hotkeys):
            if hotkey in self._columns:
                columns, source = self._in_columns(hotkey)
                places.setdefault(id(columns), (columns, []))[1].append((source, place))
        return tuple(
            Resumed(columns, *np.array(found, dtype=np.int64).T.copy())
            for columns, found in places.values()
        )

    def late_orders(self, hotkey: str) -> LedgerError | None:
        """Why a trader cannot go on: its orders are not those that the state was built from."""
        try:
            if hotkey in self._columns:
                self._in_columns(hotkey)
        except LedgerError as error:
            return error
        return None

    def _in_columns(self, hotkey: str) -> tuple[LedgerColumns, int]:
        known = self._columns[hotkey]
        if known is None:
            known = state_columns(self._looked_at[hotkey], self._timelines[hotkey]), 0
            self._columns[hotkey] = known
        return known

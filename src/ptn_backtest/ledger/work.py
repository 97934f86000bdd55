"""Scratch memory of one step; nothing in it outlives the step."""

from typing import NamedTuple

import numpy as np

from ptn_backtest.positions.columns import Floats, Ints

N_OPEN, BATCH_SIZE, BATCH_CLOSES, FIRST_CHANGED = 0, 1, 2, 3
"""Places in `Work.facts`: open positions, positions with an order in the batch, whether the batch
closes one, and the first position of the batch that was there before (-1 = none)."""


class Work(NamedTuple):
    """What a step works with.

    Per position: `after` (orders known after the batch), `fee` (carry fee last asked), `open` (the
    open positions' indices, `facts[N_OPEN]` of them), `minute_at`, `second_at`, `session_at`
    (cursors into the price table).
    Per pair: `pair_open` (1 where a position is open before the batch).
    Per ledger: `closed_*` (products over closed positions), `value`, `spread`, `carry` (products at
    the last tick), `market_open` (0 or 1, at the last tick).
    `facts`: see the names above.
    """

    after: Ints
    fee: Floats
    open: Ints
    minute_at: Ints
    second_at: Ints
    session_at: Ints
    pair_open: Ints
    closed_value: Floats
    closed_spread: Floats
    closed_carry: Floats
    value: Floats
    spread: Floats
    carry: Floats
    market_open: Ints
    facts: Ints


def new_work(n_positions: int, n_pairs: int, n_ledgers: int) -> Work:
    """Scratch memory for a trader."""

    def ints(size: int) -> Ints:
        return np.zeros(size, dtype=np.int64)

    return Work(
        after=ints(n_positions),
        fee=np.ones(n_positions),
        open=ints(n_positions),
        minute_at=ints(n_positions),
        second_at=ints(n_positions),
        session_at=ints(n_positions),
        pair_open=ints(n_pairs),
        closed_value=np.ones(n_ledgers),
        closed_spread=np.ones(n_ledgers),
        closed_carry=np.ones(n_ledgers),
        value=np.ones(n_ledgers),
        spread=np.ones(n_ledgers),
        carry=np.ones(n_ledgers),
        market_open=ints(n_ledgers),
        facts=ints(4),
    )

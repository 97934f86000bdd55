"""The kernel's working memory: a trader's ledgers, prices seen and fees cached, as rows of arrays."""

from typing import NamedTuple

import numpy as np

from ptn_backtest.ledger.checkpoint import Checkpoints
from ptn_backtest.positions.columns import Floats, Ints, Rows
from ptn_backtest.prices.table import SPARE

NONE_MS = -1
"""Stands for "no time yet"."""

BLOCK = 2048
"""Room for the ticks of a block: 30 minutes of seconds, or the minutes of a checkpoint and two of seconds."""

STRETCHES = 3
"""A block has so many stretches at most: seconds, minutes, seconds."""

GROUP = SPARE
"""Values of a block are taken in groups of so many, the last one repeated up to a whole group."""

PORTFOLIO_LEDGER = 0
"""Ledger 0 is the portfolio's, ledger 1 + j that of pair j."""

LEDGER = np.dtype(
    [
        ("oldest", np.int64),
        ("used", np.int64),
        ("init_ms", np.int64),
        ("peak", np.float64),
        ("peak_left", np.bool_),
        ("traded", np.bool_),
        ("closed_value", np.float64),
        ("closed_spread", np.float64),
        ("closed_carry", np.float64),
        ("value", np.float64),
        ("spread", np.float64),
        ("carry", np.float64),
        ("market_open", np.bool_),
        ("n_moments", np.int64),
        ("place", np.int64),
        ("factor", np.float64),
        ("lowest", np.float64),
        ("highest", np.float64),
    ]
)
"""A ledger: its checkpoints are `oldest` to before `used` (0 = no record yet). `init_ms`: first
record. `peak`: running; `peak_left`: the checkpoint that had it may have left the window. `traded`: a
position of it has an order. `closed_*`: products over closed positions. Of the step under way: `value`,
`spread`, `carry`, products over all positions at the last tick, and `market_open` there. Of the block
under way: `n_moments`, how many values it has, which are `factor` x those at row `place` of
`Book.values`, or only the factor if it is one; `lowest` and `highest` of them."""

PAIR = np.dtype(
    [
        ("row", np.int64),
        ("session", np.int64),
        ("price", np.float64),
        ("price_ms", np.int64),
        ("before", np.float64),
        ("before_ms", np.int64),
        ("n_open", np.int64),
        ("n_known", np.int64),
        ("place", np.int64),
        ("market_open", np.bool_),
        ("n_candles", np.int64),
        ("waits", np.int64),
    ]
)
"""A pair: `row` in the price table; `session`, the next time there at which its market opens or
closes; `price`, `price_ms`, last known close and the start of its candle (`NONE_MS` = none);
`before`, `before_ms`, the one before; `n_open`: open positions. While positions are put into an order:
`n_known` of them have orders, the next one comes to `place`. Of the block under way: `market_open`;
how many candles, `n_candles`; `waits`: 1 if the first tick has none, otherwise 0."""

HOLDING = np.dtype(
    [
        ("pair", np.int64),
        ("known", np.int64),
        ("after", np.int64),
        ("closed", np.bool_),
        ("settled", np.bool_),
        ("current", np.float64),
        ("value", np.float64),
        ("price", np.float64),
        ("price_ms", np.int64),
        ("carry", np.float64),
        ("carry_until_ms", np.int64),
        ("fee", np.float64),
        ("spread", np.float64),
    ]
)
"""A position: its `pair`; `known` orders so far, and `after` the batch of the step under way;
`closed`: one of the known ones closed it; `settled`: its fees were asked since; `current` and
`value`, its return without and with fees as last seen; `price`, what it was valued at, and
`price_ms`, the start of that candle (`NONE_MS` = the price of its last order); `carry`, `carry_until_ms`,
cached fee and its next change (`NONE_MS` = none); `fee`, `spread`, carry and spread as last asked."""

STRETCH = np.dtype([("second_ms", np.int64), ("step_ms", np.int64), ("n_ticks", np.int64)])
"""Ticks of a block with one distance between them: the second of the first, the distance, how many."""

FOUND = np.dtype([("first", np.int64), ("n_candles", np.int64)])
"""The candles that a pair has in a stretch: `n_candles` from place `first` on."""

LOSS = np.dtype(
    [
        ("limit_percent", np.float64),
        ("window_ms", np.int64),
        ("time_ms", np.int64),
        ("value", np.float64),
        ("peak", np.float64),
    ]
)
"""A drawdown that reached a limit: the limit, and the first record in the window that did
(`NONE_MS` = none)."""

HELD = np.dtype(
    [
        ("open", np.bool_),
        ("leverage", np.float64),
        ("price", np.float64),
        ("price_ms", np.int64),
        ("value", np.float64),
    ]
)
"""A position at such a record, as `HOLDING` has it; `open`: whether it was held."""

MARK = np.dtype([("oldest", np.int64), ("used", np.int64), ("peak", np.float64)])
"""Where a ledger stood after an update; the names of `LEDGER`."""

DRAWDOWN, LIQUIDATION = 0, 1
"""Places in `Book.losses` and columns of `Book.held`."""

LAST_UPDATE, LIQUIDATED, CURSOR, BY_CLOSE, REGROUPED = 0, 1, 2, 3, 4
"""Places in `Book.clock`: time of the last step, time of the liquidation, next event, whether the
order of products is that by close (0 or 1), and whether it or the set of open positions changed, so
that the products over closed ones are to be taken anew (0 or 1)."""

UP, DOWN, LOG_UP, LOG_DOWN = 0, 1, 2, 3
"""Rows of `Book.changes`."""

AT_CANDLES, AT_TICKS = -2, -1
"""Rows of `Book.values` for the worth of one position more."""

N_OPEN, N_CHANGED, BATCH_CLOSES, FIRST_CHANGED, N_STRETCHES = 0, 1, 2, 3, 4
"""Places in `Book.step`: open positions, positions with an order in the batch, whether the batch
closes one, the first of the batch that was there before (-1 = none), and stretches of the block."""


class Book(NamedTuple):
    """State of one trader's ledgers; the kernel changes it in place.

    `cps`: checkpoints (ledgers x capacity). `ledgers`, `pairs`, `holdings`: rows of LEDGER, PAIR and
    HOLDING. `sequence`: positions in the order of products. `open`: those that are open, in it;
    `changed`: those with an order in the batch, ascending. `clock`, `step`: see the names above.
    `losses`: two rows of LOSS; `held`: what was held at them (positions x 2, HELD). `newest`, `marks`:
    every ledger's newest checkpoint and MARK after each update (ledgers x updates; no column where
    nobody asks). Of a block: `stretches` of ticks; the candles `found` in them (pairs x stretches); a row
    of `values` for the portfolio, one per pair, two more, each with a place before the first value;
    `changes` of one ledger.
    """

    cps: Checkpoints
    ledgers: Rows
    pairs: Rows
    holdings: Rows
    sequence: Ints
    open: Ints
    changed: Ints
    clock: Ints
    step: Ints
    losses: Rows
    held: Rows
    newest: Checkpoints
    marks: Rows
    stretches: Rows
    found: Rows
    values: Floats
    changes: Floats

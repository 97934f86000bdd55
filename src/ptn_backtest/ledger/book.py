"""The kernel's working memory: a trader's ledgers, prices seen and fees cached, as arrays."""

from typing import NamedTuple

from ptn_backtest.ledger.checkpoint import Checkpoints
from ptn_backtest.positions.columns import Floats, Ints

NONE_MS = -1
"""Stands for "no time yet"."""

LAST_UPDATE, LIQUIDATED, CURSOR = 0, 1, 2
"""Places in `Book.clock`."""


class Book(NamedTuple):
    """State of one trader's ledgers between records; the kernel changes it in place.

    Ledger 0 is the portfolio's, ledger 1 + j that of pair j.

    Per ledger: `cps` (ledgers x capacity, rows `oldest` to `used`), `oldest`, `used` (0 =
    no record yet), `init_ms`, `peak`.
    Per pair: `price`, `price_ms` (last known, `NONE_MS` = none), `before`, `before_ms` (the one
    before).
    Per position: `carry`, `carry_until_ms` (cached fee and its next change, `NONE_MS` = none);
    `current` and `value` (return without and with fees as last seen), `known` (orders so far).
    `clock`: time of the last update, time of the liquidation, next event.
    """

    cps: Checkpoints
    oldest: Ints
    used: Ints
    init_ms: Ints
    peak: Floats
    price: Floats
    price_ms: Ints
    before: Floats
    before_ms: Ints
    carry: Floats
    carry_until_ms: Ints
    current: Floats
    value: Floats
    known: Ints
    clock: Ints

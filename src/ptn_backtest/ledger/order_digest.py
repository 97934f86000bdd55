"""A digest of what a trader's ledgers follow from, up to a time: to notice a late or changed order."""

import hashlib

import numpy as np

from ptn_backtest.ledger.timeline import TraderTimeline

NO_ORDERS = ""
"""The digest before the first order."""


def orders_digest(timeline: TraderTimeline, until_ms: int) -> str:
    """128 bits, as hexadecimal text, over all that the ledgers up to a time depend on.

    These are orders as the arithmetic reads them, by position; positions with their pair, account
    size and place in the stored order; and account sizes in force. Orders of later times make no
    difference, nor do positions that begin later.

    Args:
        timeline: a trader's orders.
        until_ms: the last update's time.
    """
    (positions, orders), sizes = timeline.arrays.columns, timeline.arrays.sizes
    known = orders["time_ms"] <= until_ms
    if not known.any():
        return NO_ORDERS
    counts = np.add.reduceat(known, positions["first"], dtype=np.int64)
    begun = np.flatnonzero(counts)
    stored = np.argsort(np.argsort(positions["stored"][begun]))
    named = (timeline.positions[i] for i in begun.tolist())
    names = "".join(f"{one.position_uuid} {one.trade_pair.trade_pair_id}\n" for one in named)
    digest = hashlib.blake2b(names.encode(), digest_size=16)
    for part in (
        counts[begun],
        stored,
        positions["account_size"][begun],
        orders[known],
        sizes[sizes["from_ms"] <= until_ms],
    ):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()

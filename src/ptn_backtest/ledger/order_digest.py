"""Digests of what traders' ledgers follow from, up to a time: to notice a late or changed order."""

import hashlib
from collections.abc import Mapping

import numpy as np

from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.positions.columns import Ints
from ptn_backtest.positions.recorded_orders import spans

NO_ORDERS = ""
"""The digest before the first order."""


def orders_digests(traders: Traders, until_ms: Mapping[str, int]) -> dict[str, str]:
    """Of each trader 128 bits, as hexadecimal text, over all that its ledgers up to a time depend on.

    These are orders as the arithmetic reads them, by position; positions with their pair, account
    size and place in the stored order; and account sizes in force. Orders of later times make no
    difference, nor do positions that begin later.

    Args:
        traders: orders.
        until_ms: {hotkey: the last update's time}.
    """
    if not until_ms:
        return {}
    places, times_ms = traders.places_of(until_ms), np.array(list(until_ms.values()), np.int64)
    known, trader, positions, counts = _known(traders, places, times_ms)
    columns = traders.joined.rows.columns
    orders, rows = columns.orders[known], columns.positions[positions]
    # places in the stored order, among those that have begun
    by_stored = np.lexsort((rows["stored"], trader))
    stored = np.empty_like(by_stored)
    begins = np.searchsorted(trader, np.arange(len(places) + 1))
    stored[by_stored] = np.arange(len(by_stored)) - begins[trader]
    ends = np.append(0, np.cumsum(counts))[begins]
    digests = {}
    for i, (hotkey, end_ms) in enumerate(until_ms.items()):
        mine, timeline = slice(begins[i], begins[i + 1]), traders.timelines[hotkey]
        if mine.start == mine.stop:
            digests[hotkey] = NO_ORDERS
            continue
        begin = int(traders.joined.begins["position"][places[i]])
        named = (timeline.positions[k - begin] for k in positions[mine].tolist())
        names = "".join(f"{one.position_uuid} {one.trade_pair.trade_pair_id}\n" for one in named)
        digest = hashlib.blake2b(names.encode(), digest_size=16)
        sizes = timeline.arrays.sizes
        for part in (
            counts[mine],
            stored[mine],
            rows["account_size"][mine],
            orders[ends[i] : ends[i + 1]],
            sizes[sizes["from_ms"] <= end_ms],
        ):
            digest.update(part.tobytes())
        digests[hotkey] = digest.hexdigest()
    return digests


def _known(traders: Traders, places: Ints, times_ms: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Orders of these traders up to each one's time, as rows of all orders, and their positions.

    Of each position that has such orders: whose it is of these traders, its row of all positions, and
    how many orders.
    """
    begins, columns = traders.joined.begins, traders.joined.rows.columns
    first, last = begins[places], begins[places + 1]
    orders = spans(first["order"], last["order"])
    n_orders = last["order"] - first["order"]
    known = columns.orders["time_ms"][orders] <= np.repeat(times_ms, n_orders)
    positions = spans(first["position"], last["position"])
    trader = np.repeat(np.arange(len(places)), last["position"] - first["position"])
    rows = columns.positions[positions]
    n_of_each = rows["last"] - rows["first"]
    counts = np.add.reduceat(known, np.cumsum(n_of_each) - n_of_each, dtype=np.int64)
    begun = np.flatnonzero(counts)
    return orders[known], trader[begun], positions[begun], counts[begun]

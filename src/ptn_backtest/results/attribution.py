"""Where the change of a value came from: price, spread fee, carry fee and slippage.

Changes are log changes, so that parts add up, over checkpoints, positions and pairs alike; the
definition is in `docs/results.md`. Of a ledger's checkpoint

    change   = gain + loss
    spread   = spread_fee_loss
    carry    = carry_fee_loss
    slippage = sum of `slippage_change` of its orders (`positions.order_log.slippage_changes`)
    price    = change - spread - carry - slippage
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.ledger.checkpoint import PORTFOLIO, Checkpoints, PerfLedger
from ptn_backtest.ledger.daily import start_ms
from ptn_backtest.positions.order_log import OrderLog
from ptn_backtest.results.parquet import table_schema
from ptn_backtest.results.position_index import PositionIndex
from ptn_backtest.results.tables import Ledgers

__all__ = [
    "ATTRIBUTION",
    "NO_SLIPPAGE",
    "PARTS",
    "Parts",
    "SlippageLog",
    "attribution_table",
    "parts_of_many",
    "running_parts",
    "slippage_logs",
]

PARTS = ("price", "spread", "carry", "slippage")
_CHECKPOINT_PARTS = ("change", *PARTS)

ATTRIBUTION = table_schema(
    [
        ("miner_hotkey", pa.string()),
        ("ledger", pa.string()),
        ("checkpoint_index", pa.int64()),
        ("last_update_ms", pa.int64()),
        *((name, pa.float64()) for name in _CHECKPOINT_PARTS),
    ]
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What changes of log value are made of; arrays of one length, an element per checkpoint.

    Attributes:
        change: the whole.
        price: what prices did, and whatever the others do not explain.
        spread: what spread fees took.
        carry: what carry fees took.
        slippage: what slippage took.
    """

    change: NDArray[np.float64]
    price: NDArray[np.float64]
    spread: NDArray[np.float64]
    carry: NDArray[np.float64]
    slippage: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SlippageLog:
    """Orders whose slippage counts, of one ledger, in any order; arrays of one length.

    Attributes:
        time_ms: of each order.
        change: what its slippage did to the log value.
    """

    time_ms: NDArray[np.int64]
    change: NDArray[np.float64]


NO_SLIPPAGE = SlippageLog(np.zeros(0, np.int64), np.zeros(0))


def slippage_logs(index: PositionIndex, log: OrderLog) -> dict[str, dict[str, SlippageLog]]:
    """{hotkey: {"portfolio" or trade pair id: its orders with slippage}}.

    Args:
        index: of the run's positions.
        log: their orders.
    """
    places = np.flatnonzero(log.slippage_change)
    trader, pair = (each[log.position[places]] for each in (index.trader, index.pair))
    time_ms, change = log.orders["time_ms"][places], log.slippage_change[places]
    found: dict[str, dict[str, SlippageLog]] = {}
    for names, number in (([PORTFOLIO], np.zeros_like(pair)), (index.pairs, pair)):
        ledger = trader * len(names) + number
        order = np.argsort(ledger, kind="stable")
        which, first = np.unique(ledger[order], return_index=True)
        times, changes = np.split(time_ms[order], first[1:]), np.split(change[order], first[1:])
        for one, *own in zip(which.tolist(), times, changes, strict=False):
            whose, name = divmod(one, len(names))
            found.setdefault(index.hotkeys[whose], {})[names[name]] = SlippageLog(*own)
    return found


def parts_of_many(
    sums: Mapping[str, NDArray[np.float64]],
    ledgers: Sequence[PerfLedger],
    slippage: Sequence[SlippageLog],
) -> Parts:
    """The parts of many ledgers over all checkpoints of each; an element per ledger.

    Args:
        sums: `statistics.sums_of_many` of these ledgers.
        ledgers: each with at least one checkpoint.
        slippage: of each ledger.
    """
    if not ledgers:
        return _parts(sums, np.zeros(0))
    own = np.repeat(np.arange(len(ledgers)), [len(log.time_ms) for log in slippage])
    time_ms = np.concatenate([log.time_ms for log in slippage])
    change = np.concatenate([log.change for log in slippage])
    begins = np.array([start_ms(ledger.cps[:1])[0] for ledger in ledgers])
    begun = begins <= np.array([ledger.initialization_time_ms for ledger in ledgers])
    ends = np.array([ledger.last_update_ms for ledger in ledgers])
    inside = (time_ms <= ends[own]) & ((time_ms > begins[own]) | begun[own])
    took = np.bincount(own[inside], weights=change[inside], minlength=len(ledgers))
    return _parts(sums, took.astype(np.float64))


def running_parts(
    ledgers: Sequence[PerfLedger], slippage: Sequence[SlippageLog]
) -> dict[str, NDArray[np.float64]]:
    """{part: its sum up to each checkpoint} of many ledgers, those of one after those of another.

    Args:
        ledgers: each with at least one checkpoint.
        slippage: of each ledger.
    """
    counts = [len(ledger.cps) for ledger in ledgers]
    begins = np.cumsum([0, *counts])[:-1]
    columns = {
        name: np.concatenate([np.zeros(0), *(ledger.cps[name] for ledger in ledgers)])
        for name in _LOG_CHANGES
    }
    took = [_slippage_by_checkpoint(*each) for each in zip(ledgers, slippage, strict=True)]
    parts = _parts(columns, np.concatenate([np.zeros(0), *took]))
    found = {}
    for name in PARTS:
        sums = np.cumsum(getattr(parts, name))
        before = np.concatenate(([0.0], sums))[begins]
        found[name] = sums - np.repeat(before, counts)
    return found


def attribution_table(
    checkpoints: pa.Table, ledgers: Ledgers, slippage: Mapping[str, Mapping[str, SlippageLog]]
) -> pa.Table:
    """attribution.parquet: a row per checkpoint, in the order of checkpoints.parquet.

    Args:
        checkpoints: checkpoints.parquet of these ledgers.
        ledgers: of the run.
        slippage: by trader and ledger.
    """
    named = ATTRIBUTION.names[:4]
    by_ledger = [np.zeros(0)] + [
        _slippage_by_checkpoint(ledger, slippage.get(hotkey, {}).get(name, NO_SLIPPAGE))
        for hotkey, own in ledgers.items()
        for name, ledger in own.items()
    ]
    columns = {name: checkpoints[name].to_numpy() for name in _LOG_CHANGES}
    parts = _parts(columns, np.concatenate(by_ledger))
    return pa.Table.from_arrays(
        [
            *(checkpoints[name] for name in named),
            *(pa.chunked_array([getattr(parts, name)]) for name in _CHECKPOINT_PARTS),
        ],
        schema=ATTRIBUTION,
    )


_LOG_CHANGES = ("gain", "loss", "spread_fee_loss", "carry_fee_loss")


def _parts(
    cps: Checkpoints | Mapping[str, NDArray[np.float64]], slippage: NDArray[np.float64]
) -> Parts:
    spread, carry = cps["spread_fee_loss"], cps["carry_fee_loss"]
    with np.errstate(over="ignore", invalid="ignore"):  # a ledger may hold any float
        change = cps["gain"] + cps["loss"]
        price = change - (spread + carry + slippage)
    return Parts(change, price, spread, carry, slippage)


def _slippage_by_checkpoint(ledger: PerfLedger, slippage: SlippageLog) -> NDArray[np.float64]:
    """Sum of slippage changes of the orders in each checkpoint.

    A checkpoint has the orders after its start up to its last record; the first order of a ledger
    may lie exactly at its start.
    """
    ends = ledger.cps["last_update_ms"]
    if not len(slippage.time_ms) or not len(ends):
        return np.zeros(len(ends))
    at = np.searchsorted(ends, slippage.time_ms)
    begin = int(start_ms(ledger.cps[:1])[0])
    begun = (slippage.time_ms > begin) | (begin <= ledger.initialization_time_ms)
    inside = (at < len(ends)) & begun
    weights = slippage.change[inside]
    return np.bincount(at[inside], weights=weights, minlength=len(ends)).astype(np.float64)

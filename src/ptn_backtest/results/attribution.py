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

from ptn_backtest.backtest.result import ReplayedPosition
from ptn_backtest.ledger.checkpoint import PORTFOLIO, Checkpoints, PerfLedger
from ptn_backtest.ledger.daily import start_ms
from ptn_backtest.positions.order_log import OrderLog
from ptn_backtest.results.parquet import table_schema
from ptn_backtest.results.tables import Ledgers

__all__ = [
    "ATTRIBUTION",
    "PARTS",
    "Parts",
    "SlippageLog",
    "attribute",
    "attribution_table",
    "part_sums",
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

    def sums(self) -> dict[str, float]:
        """The whole ("change") and its parts over all checkpoints."""
        return {name: float(getattr(self, name).sum()) for name in _CHECKPOINT_PARTS}


@dataclass(frozen=True, slots=True)
class SlippageLog:
    """Orders whose slippage counts, of one ledger, in any order; arrays of one length.

    Attributes:
        time_ms: of each order.
        change: what its slippage did to the log value.
    """

    time_ms: NDArray[np.int64]
    change: NDArray[np.float64]


_NO_SLIPPAGE = SlippageLog(np.zeros(0, np.int64), np.zeros(0))


def attribute(ledger: PerfLedger, slippage: SlippageLog) -> Parts:
    """The parts of a ledger's changes, checkpoint by checkpoint.

    Args:
        ledger: of a portfolio or a pair.
        slippage: of its orders. Those before its first checkpoint, where older ones were dropped,
            and after its last record are left out.
    """
    return _parts(ledger.cps, _slippage_by_checkpoint(ledger, slippage))


def slippage_logs(
    positions: Sequence[ReplayedPosition], log: OrderLog
) -> dict[str, dict[str, SlippageLog]]:
    """{hotkey: {"portfolio" or trade pair id: its orders with slippage}}.

    Args:
        positions: of the run, by hotkey.
        log: their orders.
    """
    places = np.flatnonzero(log.slippage_change)
    found: dict[str, dict[str, list[int]]] = {}
    for place, at in zip(places.tolist(), log.position[places].tolist(), strict=True):
        position = positions[at].position
        own = found.setdefault(position.miner_hotkey, {})
        own.setdefault(PORTFOLIO, []).append(place)
        own.setdefault(position.trade_pair.trade_pair_id, []).append(place)
    times = log.orders["time_ms"]
    return {
        hotkey: {
            name: SlippageLog(times[mine], log.slippage_change[mine]) for name, mine in own.items()
        }
        for hotkey, own in found.items()
    }


def part_sums(
    ledgers: Mapping[str, PerfLedger], slippage: Mapping[str, SlippageLog]
) -> dict[str, dict[str, float]]:
    """{ledger name: sums of its parts} of one trader's ledgers that have a checkpoint.

    Args:
        ledgers: {"portfolio" or trade pair id: ledger}.
        slippage: of the same names; one that is absent has none.
    """
    return {
        name: attribute(ledger, slippage.get(name, _NO_SLIPPAGE)).sums()
        for name, ledger in ledgers.items()
        if len(ledger.cps)
    }


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
        _slippage_by_checkpoint(ledger, slippage.get(hotkey, {}).get(name, _NO_SLIPPAGE))
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
    begin = int(start_ms(ledger.cps)[0])
    begun = (slippage.time_ms > begin) | (begin <= ledger.initialization_time_ms)
    inside = (at < len(ends)) & begun
    weights = slippage.change[inside]
    return np.bincount(at[inside], weights=weights, minlength=len(ends)).astype(np.float64)

"""Legs of ledgers as Arrow rows: a trader each, arrays as bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ptn_backtest.backtest.legs import Added, StoredLedgers
from ptn_backtest.ledger.book import HELD, MARK, NONE_MS
from ptn_backtest.ledger.books import BEGIN
from ptn_backtest.ledger.checkpoint import CHECKPOINT
from ptn_backtest.ledger.delta import ADDED, ASKED, LOST, SEEN, LedgerDeltas
from ptn_backtest.positions.columns import Ints
from ptn_backtest.results.parquet import table_schema

_INT = np.dtype(np.int64)

_DTYPES = {
    "clock": _INT,
    "losses": LOST,
    "ledgers": ADDED,
    "pairs": SEEN,
    "holdings": ASKED,
    "held": HELD,
    "cps": CHECKPOINT,
    "marks": MARK,
    "earlier_at": _INT,
    "earlier": CHECKPOINT,
}
"""The arrays of `LedgerDeltas`, in which a trader has a stretch; places in `earlier_at` are counted from
its own first ledger, and `held` is there only after a loss."""

TRADERS = table_schema(
    [("miner_hotkey", pa.string()), ("orders", pa.string()), ("until_ms", pa.int64())],
    nullable=[
        ("error", pa.string()),
        ("n_updates", pa.int64()),
        *((name, pa.large_binary()) for name in _DTYPES),
    ],
)
"""A trader's leg: digest of its orders up to a time, and why it was set aside, or what so many updates
added."""


def ledger_rows(ledgers: StoredLedgers) -> pa.Table:
    """A row for every trader that has a digest: those to whom nothing was added come first."""
    added = {hotkey for one in ledgers.added for hotkey in one.hotkeys}
    others = [hotkey for hotkey in ledgers.digests if hotkey not in added]
    parts = [_rows(others, {}, ledgers.digests, ledgers.errors)]
    parts += [_rows(one.hotkeys, _bytes(one.deltas), ledgers.digests) for one in ledgers.added]
    return pa.concat_tables(parts)


def leaver_rows(leavers: Sequence[Added]) -> pa.Table:
    """A row for every leaver, without digests."""
    parts = [_rows(one.hotkeys, _bytes(one.deltas)) for one in leavers]
    return pa.concat_tables([TRADERS.empty_table(), *parts])


def ledgers_of(table: pa.Table) -> StoredLedgers:
    """What such rows say."""
    columns = [table[name].to_pylist() for name in ("miner_hotkey", "orders", "until_ms", "error")]
    rows = list(zip(*columns, strict=True))
    return StoredLedgers(
        digests={hotkey: (digest, until_ms) for hotkey, digest, until_ms, _ in rows},
        errors={hotkey: error for hotkey, *_, error in rows if error is not None},
        added=added_of(table),
    )


def added_of(table: pa.Table) -> list[Added]:
    """What such rows say was added, in groups of traders that went through as many updates."""
    found = []
    n_updates = table["n_updates"].to_numpy()  # not a number, where nothing was added
    for count in np.unique(n_updates[n_updates >= 0]).astype(np.int64).tolist():
        mine = table.filter(pa.array(n_updates == count)).combine_chunks()
        found.append(Added(list(map(str, mine["miner_hotkey"].to_pylist())), _deltas(mine, count)))
    return found


def _rows(
    hotkeys: Sequence[str],
    arrays: Mapping[str, Any],
    digests: Mapping[str, tuple[str, int]] | None = None,
    errors: Mapping[str, str] | None = None,
) -> pa.Table:
    known = [(digests or {}).get(hotkey, ("", 0)) for hotkey in hotkeys]
    columns: dict[str, Any] = {
        "miner_hotkey": list(hotkeys),
        "orders": [digest for digest, _ in known],
        "until_ms": [until_ms for _, until_ms in known],
        "error": [(errors or {}).get(hotkey) for hotkey in hotkeys],
        "n_updates": [None] * len(hotkeys),
        **dict.fromkeys(_DTYPES, pa.nulls(len(hotkeys), pa.large_binary())),
        **arrays,
    }
    return pa.Table.from_pydict(columns, schema=TRADERS)


def _bytes(deltas: LedgerDeltas) -> dict[str, Any]:
    """{column: a cell for each trader}; arrays are not copied."""
    ledgers, pairs, positions = (deltas.begins[name] for name in BEGIN.names or ())
    each, n_updates = np.arange(len(ledgers)), deltas.marks.shape[1]
    earlier = np.searchsorted(deltas.earlier_at, ledgers * n_updates)
    cps = np.append(0, np.cumsum(deltas.ledgers["added"]))[ledgers]
    lost = (deltas.losses["time_ms"] != NONE_MS).any(axis=1)
    n_held = np.where(lost, np.diff(positions), 0)
    held = deltas.held[np.repeat(lost, np.diff(positions))]
    own = np.repeat(ledgers[:-1], np.diff(earlier)) * n_updates
    begins = {
        "clock": each * deltas.clock.shape[1],
        "losses": each * deltas.losses.shape[1],
        "ledgers": ledgers,
        "pairs": pairs,
        "holdings": positions,
        "held": np.append(0, np.cumsum(n_held)) * held.shape[1],
        "cps": cps,
        "marks": ledgers * n_updates,
        "earlier_at": earlier,
        "earlier": earlier,
    }
    arrays = {**deltas._asdict(), "held": held, "earlier_at": deltas.earlier_at - own}
    cells = {name: _binary(arrays[name], begins[name]) for name in _DTYPES}
    return {"n_updates": [n_updates] * (len(ledgers) - 1), **cells}


def _binary(array: NDArray[Any], begins: Ints) -> Any:  # noqa: ANN401 - Arrow's types
    """A cell for each stretch of the array's elements."""
    data: Any = np.ascontiguousarray(array)
    offsets: Any = np.ascontiguousarray(begins * data.itemsize, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(begins) - 1, buffers)


def _deltas(table: pa.Table, n_updates: int) -> LedgerDeltas:
    """Of rows that went through so many updates."""
    arrays = {name: _array(table, name, dtype) for name, dtype in _DTYPES.items()}
    begins = np.zeros(len(table) + 1, dtype=BEGIN)
    for name, (column, dtype) in {
        "ledger": ("ledgers", ADDED),
        "pair": ("pairs", SEEN),
        "position": ("holdings", ASKED),
    }.items():
        begins[name][1:] = np.cumsum(_lengths(table, column, dtype))
    n_positions = np.diff(begins["position"])
    held = np.zeros((int(n_positions.sum()), 2), dtype=HELD)
    held[np.repeat(_lengths(table, "held", HELD) > 0, n_positions)] = arrays["held"].reshape(-1, 2)
    n_earlier = _lengths(table, "earlier_at", _INT)
    own = np.repeat(begins["ledger"][:-1], n_earlier) * n_updates
    return LedgerDeltas(
        begins=begins,
        clock=arrays["clock"].reshape(len(table), -1),
        losses=arrays["losses"].reshape(-1, 2),
        ledgers=arrays["ledgers"],
        pairs=arrays["pairs"],
        holdings=arrays["holdings"],
        held=held,
        cps=arrays["cps"],
        marks=arrays["marks"].reshape(len(arrays["ledgers"]), n_updates),
        earlier_at=arrays["earlier_at"] + own,
        earlier=arrays["earlier"],
    )


def _array(table: pa.Table, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """All bytes of a column, one cell after the other."""
    column: Any = table[name].combine_chunks()
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    found: NDArray[Any] = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]].view(dtype)
    return found


def _lengths(table: pa.Table, name: str, dtype: np.dtype[Any]) -> Ints:
    """How many elements each cell of a column has."""
    lengths: Ints = pc.binary_length(table[name]).to_numpy().astype(np.int64) // dtype.itemsize
    return lengths

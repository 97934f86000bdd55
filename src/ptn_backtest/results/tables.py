"""The Parquet tables of ledgers and positions: their columns, and the way there and back.

What each column means is in `docs/run-folder.md`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.backtest.result import ReplayedPosition
from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.checkpoint import CHECKPOINT, PerfLedger, words
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.results.parquet import read_table, table_schema
from ptn_backtest.sources.record_table import field_columns
from ptn_backtest.sources.records import STORED_FIELDS

if TYPE_CHECKING:
    import pyarrow.dataset as ds

Ledgers: TypeAlias = Mapping[str, Mapping[str, PerfLedger]]
"""{hotkey: {"portfolio" or trade pair id: ledger}}."""

_PRICE = pa.struct(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("start_ms", pa.int64(), nullable=False),
    ]
)
_CHECKPOINT_FIELDS = CHECKPOINT.names or ()
_STATE_FIELDS = (
    "current_return",
    "return_at_close",
    "net_leverage",
    "average_entry_price",
    "initial_entry_price",
    "cumulative_entry_value",
    "realized_pnl",
    "cumulative_leverage",
    "max_leverage_seen",
    "spread_fee",
)
_STORED_TYPES: dict[str, tuple[pa.DataType, type]] = {
    "position_type": (pa.string(), str),
    "close_ms": (pa.int64(), int),
    "is_closed_position": (pa.bool_(), bool),
}
_FLOAT = (pa.float64(), float)
"""Types of stored fields, and of their values where nothing is to be read; others are `_FLOAT`."""

LEDGERS = table_schema(
    [
        ("miner_hotkey", pa.string()),
        ("ledger", pa.string()),
        ("initialization_time_ms", pa.int64()),
        ("max_return", pa.float64()),
        ("target_cp_duration_ms", pa.int64()),
        ("target_ledger_window_ms", pa.int64()),
        ("n_checkpoints", pa.int64()),
        ("last_known_prices", pa.list_(_PRICE)),
    ]
)
CHECKPOINTS = table_schema(
    [
        ("miner_hotkey", pa.string()),
        ("ledger", pa.string()),
        ("checkpoint_index", pa.int64()),
        *((name, pa.from_numpy_dtype(CHECKPOINT[name])) for name in _CHECKPOINT_FIELDS),
    ]
)
POSITIONS = table_schema(
    [
        ("miner_hotkey", pa.string()),
        ("position_uuid", pa.string()),
        ("trade_pair_id", pa.string()),
        ("position_type", pa.string()),
        ("is_closed_position", pa.bool_()),
        ("open_ms", pa.int64()),
        ("n_orders", pa.int64()),
        ("account_size", pa.float64()),
        *((name, pa.float64()) for name in _STATE_FIELDS),
    ],
    nullable=[
        ("close_ms", pa.int64()),
        *((f"stored_{name}", _STORED_TYPES.get(name, _FLOAT)[0]) for name in STORED_FIELDS),
    ],
)
REJECTED = table_schema(
    [
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("origin", pa.string()),
        ("miner_hotkey", pa.string()),
        ("position_uuid", pa.string()),
        ("order_uuid", pa.string()),
        ("n_orders", pa.int64()),
    ]
)


def ledger_table(ledgers: Ledgers) -> pa.Table:
    """ledgers.parquet: what a ledger needs beside its checkpoints to be continued."""
    rows = [
        {
            "miner_hotkey": hotkey,
            "ledger": name,
            "initialization_time_ms": ledger.initialization_time_ms,
            "max_return": ledger.max_return,
            "target_cp_duration_ms": ledger.target_cp_duration_ms,
            "target_ledger_window_ms": ledger.target_ledger_window_ms,
            "n_checkpoints": len(ledger.cps),
            "last_known_prices": [
                {"key": key, "close": close, "start_ms": start_ms}
                for key, (close, start_ms) in ledger.last_known_prices.items()
            ],
        }
        for hotkey, name, ledger in _each_ledger(ledgers)
    ]
    return pa.Table.from_pylist(rows, schema=LEDGERS)


def checkpoint_table(ledgers: Ledgers) -> pa.Table:
    """checkpoints.parquet: the checkpoints of all ledgers, in the order of `ledger_table`."""
    each = list(_each_ledger(ledgers))
    counts = np.array([len(ledger.cps) for _, _, ledger in each], dtype=np.int64)
    last_rows = np.cumsum(counts)
    first_rows = np.repeat(last_rows - counts, counts)
    fields = np.empty((len(_CHECKPOINT_FIELDS), len(first_rows)), np.int64)
    for (_, _, ledger), n_rows, last in zip(each, counts, last_rows, strict=True):
        # a ledger at a time, so that rows become columns within the processor's cache
        fields[:, last - n_rows : last] = words(ledger.cps).T
    return pa.Table.from_arrays(
        [
            _repeated([hotkey for hotkey, _, _ in each], counts),
            _repeated([name for _, name, _ in each], counts),
            pa.array(np.arange(len(first_rows)) - first_rows),
            *(
                pa.array(column.view(CHECKPOINT[name]))
                for name, column in zip(_CHECKPOINT_FIELDS, fields, strict=True)
            ),
        ],
        schema=CHECKPOINTS,
    )


def position_table(positions: Sequence[ReplayedPosition]) -> pa.Table:
    """positions.parquet: what the replay made of each position, beside what the source had stored."""
    recorded = [replayed.position for replayed in positions]
    states = [replayed.state for replayed in positions]
    stored = field_columns([position.stored for position in recorded], STORED_FIELDS)
    columns: dict[str, Any] = {
        "miner_hotkey": [position.miner_hotkey for position in recorded],
        "position_uuid": [position.position_uuid for position in recorded],
        "trade_pair_id": [position.trade_pair.trade_pair_id for position in recorded],
        "open_ms": [position.open_ms for position in recorded],
        "close_ms": [state.close_ms for state in states],
        "position_type": [state.position_type.value for state in states],
        "is_closed_position": [state.is_closed_position for state in states],
        "n_orders": [len(position.orders) for position in recorded],
        "account_size": [position.account_size for position in recorded],
        **{name: list(map(attrgetter(name), states)) for name in _STATE_FIELDS},
        **{f"stored_{name}": _as_stored(name, values) for name, values in stored.items()},
    }
    return pa.Table.from_pydict(columns, schema=POSITIONS)


def rejection_table(rejections: Sequence[Rejection]) -> pa.Table:
    """rejected.parquet: what was set aside, and why."""
    rows = [
        {name: getattr(rejection, name) for name in REJECTED.names}
        | {"reason": str(rejection.reason)}
        for rejection in rejections
    ]
    return pa.Table.from_pylist(rows, schema=REJECTED)


def read_ledgers(
    folder: Path, where: "ds.Expression | None" = None
) -> dict[str, dict[str, PerfLedger]]:
    """The ledgers of a run folder, equal to those that were written.

    Args:
        folder: of the run.
        where: a condition on `miner_hotkey` and `ledger`: only those are read; None for all.

    Raises:
        ConfigError: its two files cannot be read or do not belong together.
    """
    heads = read_table(folder / "ledgers.parquet", LEDGERS, where)
    table = read_table(folder / "checkpoints.parquet", CHECKPOINTS, where)
    counts = heads["n_checkpoints"].to_numpy()
    for column in ("miner_hotkey", "ledger"):
        expected = _repeated(heads[column].to_pylist(), counts)
        if table[column].combine_chunks() != expected:
            raise ConfigError(
                f"{folder}: checkpoints.parquet does not belong to ledgers.parquet (column {column} "
                "differs). Repeat the run: one of the files was changed or comes from another run"
            )
    cps = np.empty(len(table), dtype=CHECKPOINT)
    for name in _CHECKPOINT_FIELDS:
        cps[name] = table[name].to_numpy()
    ledgers: dict[str, dict[str, PerfLedger]] = {}
    parts = np.split(cps, np.cumsum(counts)[:-1]) if len(counts) else []
    for head, part in zip(heads.to_pylist(), parts, strict=True):
        ledgers.setdefault(head["miner_hotkey"], {})[head["ledger"]] = PerfLedger(
            initialization_time_ms=head["initialization_time_ms"],
            max_return=head["max_return"],
            cps=part,
            last_known_prices={
                price["key"]: (price["close"], price["start_ms"])
                for price in head["last_known_prices"]
            },
            target_cp_duration_ms=head["target_cp_duration_ms"],
            target_ledger_window_ms=head["target_ledger_window_ms"],
        )
    return ledgers


def read_rejections(folder: Path) -> tuple[Rejection, ...]:
    """What rejected.parquet of a run folder says."""
    rows = read_table(folder / "rejected.parquet", REJECTED).to_pylist()
    return tuple(Rejection(**{**row, "reason": Reason(row["reason"])}) for row in rows)


def _each_ledger(ledgers: Ledgers) -> Iterator[tuple[str, str, PerfLedger]]:
    for hotkey, own in ledgers.items():
        for name, ledger in own.items():
            yield hotkey, name, ledger


def _repeated(names: Sequence[Any], counts: NDArray[np.int64]) -> "pa.Array[Any]":
    return pa.array(names, pa.string()).take(np.repeat(np.arange(len(names)), counts))


def _as_stored(name: str, values: list[Any]) -> "pa.Array[Any]":
    """A stored field in its column's type; null where it is absent or not of that kind.

    The fields come unjudged from a database or a file (Decimal, text, 0 and 1 for booleans), and
    are only compared with, so what cannot be read does not stop the run.
    """
    kind, python_type = _STORED_TYPES.get(name, _FLOAT)
    if {*map(type, values)} <= {python_type, type(None)}:
        with suppress(OverflowError):  # of a whole number
            return pa.array(values, kind)
    found = [None if value is None else _one_as_stored(name, value) for value in values]
    return pa.array(found, kind)


def _one_as_stored(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever a source held
    if name == "position_type":
        return str(getattr(value, "value", value))
    if name == "is_closed_position":
        return {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    with suppress(TypeError, ValueError, OverflowError):
        return int(np.int64(int(value))) if name == "close_ms" else float(value)
    return None

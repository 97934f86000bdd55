"""Which positions only one of two runs has, and which have other orders or returns."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ptn_backtest.results.compared_ledgers import equal_numbers
from ptn_backtest.results.run_folder import StoredRun

Row: TypeAlias = Mapping[str, Any]
_KEYS = ("miner_hotkey", "position_uuid")
_STORED = "stored_"
"""What the source had stored says nothing about the runs."""


@dataclass(frozen=True, slots=True)
class ComparedPosition:
    """One position.

    Attributes:
        miner_hotkey: whose.
        position_uuid: its key.
        trade_pair_id: its pair.
        open_ms: its first order.
        return_at_close: value with fees at its last order.
    """

    miner_hotkey: str
    position_uuid: str
    trade_pair_id: str
    open_ms: int
    return_at_close: float


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One column of positions.parquet that is not the same."""

    field: str
    a: float | int | str | bool | None
    b: float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class PositionDifference:
    """A position that is not the same in both runs.

    Attributes:
        position: as the first run has it.
        return_a: its value with fees at its last order, in the first.
        return_b: likewise in the second.
        fields: every column that differs.
    """

    position: ComparedPosition
    return_a: float
    return_b: float
    fields: tuple[FieldDifference, ...]


@dataclass(frozen=True, slots=True)
class PositionComparison:
    """All positions of the traders that both runs have.

    Attributes:
        compared: how many both have.
        left_out: how many of these were changed by what comes after the common time.
        only_a: those that only the first has.
        only_b: likewise.
        differences: the largest difference in return first.
    """

    compared: int
    left_out: int
    only_a: tuple[ComparedPosition, ...]
    only_b: tuple[ComparedPosition, ...]
    differences: tuple[PositionDifference, ...]


def compare_positions(
    a: StoredRun, b: StoredRun, hotkeys: Collection[str], until_ms: int, rtol: float
) -> PositionComparison:
    """Hold the positions of some traders against each other.

    Runs that end at other times know other orders of a position that goes on beyond the common time;
    such positions are left out.

    Args:
        a: the first run.
        b: the second.
        hotkeys: traders that both have.
        until_ms: the end of the common time.
        rtol: tolerance of numbers.
    """
    left, right = (_rows(run, hotkeys, until_ms) for run in (a, b))
    same_end = a.info["end_ms"] == b.info["end_ms"]
    both = [key for key in left if key in right]
    ended = [
        key for key in both if same_end or all(_ended(r[key], until_ms) for r in (left, right))
    ]
    found = [
        PositionDifference(
            position=_compared(left[key]),
            return_a=left[key]["return_at_close"],
            return_b=right[key]["return_at_close"],
            fields=fields,
        )
        for key in ended
        if (fields := tuple(_fields(left[key], right[key], rtol)))
    ]
    found.sort(key=lambda one: (-abs(one.return_a - one.return_b), one.position.position_uuid))
    return PositionComparison(
        compared=len(ended),
        left_out=len(both) - len(ended),
        only_a=tuple(_compared(row) for key, row in left.items() if key not in right),
        only_b=tuple(_compared(row) for key, row in right.items() if key not in left),
        differences=tuple(found),
    )


def _rows(run: StoredRun, hotkeys: Collection[str], until_ms: int) -> dict[tuple[str, str], Row]:
    names = [name for name in run.positions.schema.names if not name.startswith(_STORED)]
    rows = run.positions.select(names).to_pylist()
    return {
        (row["miner_hotkey"], row["position_uuid"]): row
        for row in rows
        if row["miner_hotkey"] in hotkeys and row["open_ms"] <= until_ms
    }


def _ended(row: Row, until_ms: int) -> bool:
    return row["close_ms"] is not None and row["close_ms"] <= until_ms


def _fields(a: Row, b: Row, rtol: float) -> Iterable[FieldDifference]:
    for name in a:
        if name not in _KEYS and not _same(a[name], b[name], rtol):
            yield FieldDifference(name, a[name], b[name])


def _same(a: Any, b: Any, rtol: float) -> bool:  # noqa: ANN401 - any column
    if isinstance(a, float) and isinstance(b, float):
        return bool(equal_numbers(np.array([a]), np.array([b]), rtol)[0])
    return bool(a == b)


def _compared(row: Row) -> ComparedPosition:
    return ComparedPosition(**{name: row[name] for name in ComparedPosition.__slots__})

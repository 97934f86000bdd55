"""Where the ledgers of two runs differ, down to the first checkpoint and field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.checkpoint import CHECKPOINT, PORTFOLIO, Checkpoints, PerfLedger
from ptn_backtest.results.statistics import is_truncated
from ptn_backtest.results.tables import Ledgers

_FIELDS = CHECKPOINT.names or ()
VALUE = "prev_portfolio_ret"
WHOLE = "checkpoint"
"""Field of a difference where only one run has the checkpoint at all."""


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first checkpoint that is not the same.

    Attributes:
        checkpoint_ms: its last record.
        field: column of checkpoints.parquet; "checkpoint" where one run lacks it.
        a: its value in a; None where a lacks the checkpoint.
        b: likewise.
    """

    checkpoint_ms: int
    field: str
    a: float | None
    b: float | None


@dataclass(frozen=True, slots=True)
class LedgerDifference:
    """One ledger that is not the same in both runs.

    Attributes:
        miner_hotkey: whose.
        ledger: "portfolio" or trade pair id.
        only_in: "a" or "b" where one run lacks the ledger, else "".
        first: where it begins.
        checkpoints: how many both have at the same time.
        different: how many of these differ in any field.
        only_a: checkpoints, of the common time, that only a has.
        only_b: likewise.
        largest_value_difference: largest |a - b| of the value at a record.
        largest_value_ms: that record, None where no value differs.
        final_value_a: value at the last record in the common time, None without one.
        final_value_b: likewise.
        max_drawdown_a: deepest drawdown in the common time, a fraction.
        max_drawdown_b: likewise.
    """

    miner_hotkey: str
    ledger: str
    only_in: str = ""
    first: FirstDifference | None = None
    checkpoints: int = 0
    different: int = 0
    only_a: int = 0
    only_b: int = 0
    largest_value_difference: float = 0.0
    largest_value_ms: int | None = None
    final_value_a: float | None = None
    final_value_b: float | None = None
    max_drawdown_a: float | None = None
    max_drawdown_b: float | None = None

    @property
    def size(self) -> float:
        """What ledgers are sorted by: the largest of what differs in value and drawdown."""
        sizes = [self.largest_value_difference]
        if self.final_value_a is not None and self.final_value_b is not None:
            sizes.append(abs(self.final_value_a - self.final_value_b))
        if self.max_drawdown_a is not None and self.max_drawdown_b is not None:
            sizes.append(abs(self.max_drawdown_a - self.max_drawdown_b))
        return max(sizes)


@dataclass(frozen=True, slots=True)
class LedgerComparison:
    """All ledgers of the traders that both runs have.

    Attributes:
        compared: how many.
        differences: those that differ: portfolios first, then by size.
    """

    compared: int
    differences: tuple[LedgerDifference, ...]


def compare_ledgers(
    a: Ledgers, b: Ledgers, hotkeys: Iterable[str], until_ms: int, rtol: float
) -> LedgerComparison:
    """Hold the ledgers of some traders against each other.

    Args:
        a: of the first run.
        b: of the second.
        hotkeys: traders that both have.
        until_ms: the end of the common time: later records are left out.
        rtol: numbers are equal where |a - b| <= rtol x the larger of them.
    """
    compared, found = 0, []
    for hotkey in hotkeys:
        mine, other = a.get(hotkey, {}), b.get(hotkey, {})
        for name in dict.fromkeys((*mine, *other)):
            compared += 1
            difference = _compare(hotkey, name, mine, other, until_ms, rtol)
            if difference:
                found.append(difference)
    found.sort(key=lambda one: (one.ledger != PORTFOLIO, -one.size, one.miner_hotkey, one.ledger))
    return LedgerComparison(compared, tuple(found))


def equal_numbers(a: NDArray[np.generic], b: NDArray[np.generic], rtol: float) -> NDArray[np.bool_]:
    """Where two arrays are equal; NaN equals NaN."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf
        near = np.abs(left - right) <= rtol * np.maximum(np.abs(left), np.abs(right))
    equal: NDArray[np.bool_] = (a == b) | near | (np.isnan(left) & np.isnan(right))
    return equal


def _compare(
    hotkey: str,
    name: str,
    mine: Mapping[str, PerfLedger],
    other: Mapping[str, PerfLedger],
    until_ms: int,
    rtol: float,
) -> LedgerDifference | None:
    if name not in mine or name not in other:
        side = "a" if name in mine else "b"
        ledger = mine.get(name) or other[name]
        # a pair that is first traded after the common time is no difference
        late = ledger.initialization_time_ms > until_ms
        return None if late else LedgerDifference(hotkey, name, side)
    left, right = _common(mine[name], other[name], until_ms)
    times, of_a, of_b = np.intersect1d(
        left["last_update_ms"], right["last_update_ms"], return_indices=True
    )
    both_a, both_b = left[of_a], right[of_b]
    same = {field: equal_numbers(both_a[field], both_b[field], rtol) for field in _FIELDS}
    all_same = np.logical_and.reduce(list(same.values()))
    only_a, only_b = len(left) - len(times), len(right) - len(times)
    if all_same.all() and not only_a and not only_b:
        return None
    apart = np.abs(both_a[VALUE] - both_b[VALUE])
    at = int(np.argmax(apart)) if apart.any() else None
    return LedgerDifference(
        miner_hotkey=hotkey,
        ledger=name,
        first=_first(left, right, times[~all_same], rtol),
        checkpoints=len(times),
        different=int((~all_same).sum()),
        only_a=only_a,
        only_b=only_b,
        largest_value_difference=0.0 if at is None else float(apart[at]),
        largest_value_ms=None if at is None else int(times[at]),
        final_value_a=_last_value(left),
        final_value_b=_last_value(right),
        max_drawdown_a=_max_drawdown(left),
        max_drawdown_b=_max_drawdown(right),
    )


def _common(a: PerfLedger, b: PerfLedger, until_ms: int) -> tuple[Checkpoints, Checkpoints]:
    """The checkpoints that can be held against each other.

    Left out: records after the common time; the last checkpoint of a run that ended in the middle
    of it, where the other went on; and what has left only the other's window.
    """
    left, right = (one.cps[one.cps["last_update_ms"] <= until_ms] for one in (a, b))
    left, right = _without_begun(left, b, until_ms), _without_begun(right, a, until_ms)
    begin_ms = max((_oldest(one) for one in (a, b) if is_truncated(one)), default=0)
    return left[left["last_update_ms"] >= begin_ms], right[right["last_update_ms"] >= begin_ms]


def _without_begun(cps: Checkpoints, other: PerfLedger, until_ms: int) -> Checkpoints:
    later = other.cps["last_update_ms"][other.cps["last_update_ms"] > until_ms]
    if not len(cps) or not len(later):
        return cps
    slot_ms = other.target_cp_duration_ms
    begun = (int(cps["last_update_ms"][-1]) - 1) // slot_ms == (int(later[0]) - 1) // slot_ms
    return cps[:-1] if begun else cps


def _oldest(ledger: PerfLedger) -> int:
    return int(ledger.cps["last_update_ms"][0])


def _first(
    left: Checkpoints, right: Checkpoints, different: NDArray[np.int64], rtol: float
) -> FirstDifference | None:
    """The first of: a checkpoint that differs, and one that only one run has."""
    lonely = np.setxor1d(left["last_update_ms"], right["last_update_ms"])
    times = np.concatenate([different, lonely])
    if not len(times):
        return None
    at_ms = int(times.min())
    rows = [cps[cps["last_update_ms"] == at_ms] for cps in (left, right)]
    if not len(rows[0]) or not len(rows[1]):
        a, b = (float(row[VALUE][0]) if len(row) else None for row in rows)
        return FirstDifference(at_ms, WHOLE, a, b)
    # the value first, if it is among what differs: the other fields follow from it
    for field in (VALUE, *_FIELDS):
        if not equal_numbers(rows[0][field], rows[1][field], rtol)[0]:
            return FirstDifference(at_ms, field, *(float(row[field][0]) for row in rows))
    return None


def _last_value(cps: Checkpoints) -> float | None:
    return float(cps[VALUE][-1]) if len(cps) else None


def _max_drawdown(cps: Checkpoints) -> float | None:
    return 1.0 - float(cps["mdd"].min()) if len(cps) else None

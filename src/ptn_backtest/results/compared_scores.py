"""How scores and ranks moved between two runs, at their last common evaluation."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ptn_backtest.results.compared_ledgers import equal_numbers
from ptn_backtest.results.rule_tables import WITH_ALL, WITH_COMPETITION

_KEYS = ["time_ms", "miner_hotkey", "asset_class"]
_FIGURES = ("score", "rank", "final_weight", "final_rank")


@dataclass(frozen=True, slots=True)
class ClassMove:
    """One trader in one asset class, on both sides.

    Attributes:
        asset_class: the class.
        score_a: class score in the first run, None where it does not score the trader.
        score_b: likewise in the second.
        rank_a: rank in the class.
        rank_b: likewise.
    """

    asset_class: str
    score_a: float | None
    score_b: float | None
    rank_a: int | None
    rank_b: int | None


@dataclass(frozen=True, slots=True)
class RankMove:
    """One trader whose scores differ, on both sides.

    Attributes:
        miner_hotkey: whose.
        weight_a: final weight in the first run, None where it does not score the trader.
        weight_b: likewise in the second.
        rank_a: final rank.
        rank_b: likewise.
        classes: the classes that differ.
    """

    miner_hotkey: str
    weight_a: float | None
    weight_b: float | None
    rank_a: int | None
    rank_b: int | None
    classes: tuple[ClassMove, ...]

    @property
    def places(self) -> int:
        """How many places the final rank is apart; the largest of the classes' where it is not."""
        final = _apart(self.rank_a, self.rank_b)
        return final or max((_apart(one.rank_a, one.rank_b) for one in self.classes), default=0)


@dataclass(frozen=True, slots=True)
class ScoreComparison:
    """Scores of two runs.

    Attributes:
        time_ms: the last evaluation that both scored, None where there is none.
        scored_with: "all", or "competition" where only those who compete for ranks were scored.
        compared: traders scored by both there.
        first_difference_ms: the first common evaluation with another figure, None without one.
        moves: traders with other figures at the last common evaluation, most places moved first.
    """

    time_ms: int | None
    scored_with: str
    compared: int
    first_difference_ms: int | None
    moves: tuple[RankMove, ...]


def compare_scores(
    a: pa.Table, b: pa.Table, hotkeys: Collection[str], until_ms: int, rtol: float
) -> ScoreComparison:
    """Hold scores against each other.

    Args:
        a: scores.parquet of the first run.
        b: of the second.
        hotkeys: traders that both have; the scores of others are left out.
        until_ms: the end of the common time.
        rtol: tolerance of numbers.
    """
    for scored_with in (WITH_ALL, WITH_COMPETITION):
        left, right = (_some(table, scored_with, hotkeys, until_ms) for table in (a, b))
        times = np.intersect1d(left["time_ms"].to_numpy(), right["time_ms"].to_numpy())
        if len(times):
            last_ms = int(times[-1])
            end_a, end_b = _at(left, last_ms), _at(right, last_ms)
            return ScoreComparison(
                time_ms=last_ms,
                scored_with=scored_with,
                compared=len({h for h, _ in end_a} & {h for h, _ in end_b}),
                first_difference_ms=_first_difference(left, right, set(times.tolist()), rtol),
                moves=_moves(end_a, end_b, rtol),
            )
    return ScoreComparison(None, "", 0, None, ())


def _some(table: pa.Table, scored_with: str, hotkeys: Collection[str], until_ms: int) -> pa.Table:
    wanted = pc.and_(
        pc.equal(table["scored_with"], pa.scalar(scored_with)),
        pc.less_equal(table["time_ms"], pa.scalar(until_ms)),
    )
    own = pc.is_in(table["miner_hotkey"], value_set=pa.array(sorted(hotkeys), pa.string()))
    return table.filter(pc.and_(wanted, own)).select([*_KEYS, *_FIGURES])


def _at(table: pa.Table, t_ms: int) -> dict[tuple[str, str], dict[str, Any]]:
    rows = table.filter(pc.equal(table["time_ms"], pa.scalar(t_ms))).to_pylist()
    return {(row["miner_hotkey"], row["asset_class"]): row for row in rows}


def _first_difference(left: pa.Table, right: pa.Table, common: set[int], rtol: float) -> int | None:
    """The first of the common evaluations where a figure, or who is scored, differs."""
    joined = left.join(right, keys=_KEYS, join_type="full outer", right_suffix="_b")
    times = joined["time_ms"].to_numpy()
    differs = np.zeros(len(times), dtype=bool)
    for name in _FIGURES:
        mine, other = (
            joined[column].cast(pa.float64()).to_numpy() for column in (name, f"{name}_b")
        )
        differs |= ~equal_numbers(mine, other, rtol)
    found = sorted(common.intersection(times[differs].tolist()))
    return found[0] if found else None


def _moves(
    left: dict[tuple[str, str], dict[str, Any]],
    right: dict[tuple[str, str], dict[str, Any]],
    rtol: float,
) -> tuple[RankMove, ...]:
    traders: dict[str, list[tuple[str, str]]] = {}
    for key in dict.fromkeys((*left, *right)):
        traders.setdefault(key[0], []).append(key)
    moves = []
    for hotkey, keys in traders.items():
        a, b = (next((side[key] for key in keys if key in side), {}) for side in (left, right))
        changed = tuple(
            ClassMove(
                key[1],
                *(
                    side.get(key, {}).get(name)
                    for name in ("score", "rank")
                    for side in (left, right)
                ),
            )
            for key in keys
            if not _same(left.get(key, {}), right.get(key, {}), ("score", "rank"), rtol)
        )
        if changed or not _same(a, b, ("final_weight", "final_rank"), rtol):
            moves.append(
                RankMove(
                    miner_hotkey=hotkey,
                    weight_a=a.get("final_weight"),
                    weight_b=b.get("final_weight"),
                    rank_a=a.get("final_rank"),
                    rank_b=b.get("final_rank"),
                    classes=changed,
                )
            )
    moves.sort(key=lambda one: (-one.places, one.rank_a or one.rank_b or 0, one.miner_hotkey))
    return tuple(moves)


def _same(a: dict[str, Any], b: dict[str, Any], names: tuple[str, ...], rtol: float) -> bool:
    return all(
        (a.get(name) is None) == (b.get(name) is None)
        and (
            a.get(name) is None
            or bool(equal_numbers(np.array([a[name]]), np.array([b[name]]), rtol)[0])
        )
        for name in names
    )


def _apart(a: int | None, b: int | None) -> int:
    return abs(a - b) if a is not None and b is not None else 0

"""Scores as a table that gives them back: the rows of scores.parquet, and what no row tells."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ptn_backtest.results.rule_tables import WITH_ALL, WITH_COMPETITION
from ptn_backtest.rulebook.scoring_rules import METRICS
from ptn_backtest.rules.penalties import PenaltyTable
from ptn_backtest.rules.scoring import ClassTable, Scores
from ptn_backtest.trade_pairs import TradePairCategory

_PENALTIES = ("drawdown", "account_size", "risk_profile")


def evaluations(scores: Sequence[Scores], competitions: Sequence[Scores]) -> list[dict[str, Any]]:
    """JSON-ready: each evaluation's time, with whom it scored, how many traders, and its classes."""
    return [
        {
            "time_ms": one.time_ms,
            "scored_with": scored_with,
            "n_traders": len(one.hotkeys),
            "min_days": {category.value: days for category, days in one.min_days.items()},
            "classes": [category.value for category in one.classes],
        }
        for scored_with, each in ((WITH_ALL, scores), (WITH_COMPETITION, competitions))
        for one in each
    ]


def read_scores(
    table: pa.Table, described: Sequence[Mapping[str, Any]]
) -> tuple[list[Scores], list[Scores]]:
    """Scores of all traders, and of those who compete, from a table and its `evaluations`."""
    found: dict[str, list[Scores]] = {WITH_ALL: [], WITH_COMPETITION: []}
    for one, rows in _parts(table, described):
        found[one["scored_with"]].append(_scores(one, rows))
    return found[WITH_ALL], found[WITH_COMPETITION]


def _parts(
    table: pa.Table, described: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Each evaluation with its part of every column."""
    columns = {name: table[name].to_numpy() for name in table.schema.names}
    begin = 0
    for one in described:
        end = begin + one["n_traders"] * len(one["classes"])
        yield one, {name: values[begin:end] for name, values in columns.items()}
        begin = end


def _scores(one: Mapping[str, Any], rows: Mapping[str, Any]) -> Scores:
    n_classes = len(one["classes"])
    first = slice(None, None, max(n_classes, 1))  # what does not depend on the class
    return Scores(
        time_ms=one["time_ms"],
        min_days={TradePairCategory(name): days for name, days in one["min_days"].items()},
        hotkeys=tuple(rows["miner_hotkey"][first].tolist()),
        penalties=PenaltyTable(*(rows[f"penalty_{name}"][first] for name in _PENALTIES)),
        classes={
            TradePairCategory(name): _class_table(rows, slice(i, None, n_classes))
            for i, name in enumerate(one["classes"])
        },
        weight=rows["final_weight"][first],
        rank=rows["final_rank"][first],
    )


def _class_table(rows: Mapping[str, Any], own: slice) -> ClassTable:
    percentiles = {metric: rows[f"percentile_{metric}"][own] for metric in METRICS}
    return ClassTable(
        n_days=rows["n_days"][own],
        metrics={metric: rows[metric][own] for metric in METRICS},
        # a metric without weight has none; where all are null it makes no difference
        percentiles={m: v for m, v in percentiles.items() if not np.isnan(v).all()},
        score=rows["score"][own],
        rank=rows["rank"][own],
        weight=rows["weight"][own],
    )

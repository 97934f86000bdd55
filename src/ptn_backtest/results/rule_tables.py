"""The Parquet tables of what the network's rules did: events, scores, judged orders.

What each column means is in `docs/run-folder.md`.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.positions.order_bounds import OrderRule
from ptn_backtest.positions.order_checks import OrderFinding
from ptn_backtest.results.bucket_history import Stays, bucket_at, bucket_stays
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.parquet import read_table, table_schema
from ptn_backtest.rulebook.scoring_rules import METRICS
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind
from ptn_backtest.rules.scoring import ClassTable, Scores
from ptn_backtest.trade_pairs import TradePairCategory

WITH_ALL = "all"
WITH_COMPETITION = "competition"
"""With whom a trader was scored: with everybody, or with those who compete for the ranks."""

_Values: TypeAlias = NDArray[Any]
_PENALTIES = ("drawdown", "account_size", "risk_profile")

EVENTS = table_schema(
    [
        ("time_ms", pa.int64()),
        ("miner_hotkey", pa.string()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("figures", pa.string()),
    ],
    nullable=[("from_bucket", pa.string()), ("to_bucket", pa.string())],
)
SCORES = table_schema(
    [
        ("time_ms", pa.int64()),
        ("scored_with", pa.string()),
        ("miner_hotkey", pa.string()),
        ("asset_class", pa.string()),
        ("n_days", pa.int64()),
        ("min_days", pa.int64()),
        *((name, pa.float64()) for name in METRICS),
        ("score", pa.float64()),
        ("rank", pa.int64()),
        ("weight", pa.float64()),
        *((f"penalty_{name}", pa.float64()) for name in _PENALTIES),
        ("penalty", pa.float64()),
        ("final_weight", pa.float64()),
        ("final_rank", pa.int64()),
    ],
    nullable=[
        ("bucket", pa.string()),
        *((f"percentile_{name}", pa.float64()) for name in METRICS),
    ],
)
ORDER_FINDINGS = table_schema(
    [
        ("miner_hotkey", pa.string()),
        ("position_uuid", pa.string()),
        ("order_uuid", pa.string()),
        ("trade_pair_id", pa.string()),
        ("time_ms", pa.int64()),
        ("rule", pa.string()),
        ("recorded_leverage", pa.float64()),
        ("sentence", pa.string()),
    ],
    nullable=[("allowed_leverage", pa.float64())],
)


def event_table(events: Iterable[Event]) -> pa.Table:
    """events.parquet: what the rules did, in their order."""
    rows = [
        {
            "time_ms": event.time_ms,
            "miner_hotkey": event.miner_hotkey,
            "kind": event.kind.value,
            "reason": str(event.reason),
            "figures": _json_text(event.figures),
            "from_bucket": event.from_bucket,
            "to_bucket": event.to_bucket,
        }
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=EVENTS)


def score_table(
    scores: Iterable[Scores], competitions: Iterable[Scores], events: Iterable[Event]
) -> pa.Table:
    """scores.parquet: a row per evaluation, trader and asset class, in that order.

    Built a column at a time, so that a network of hundreds of traders over a year never stands in
    memory as rows.

    Args:
        scores: of all traders.
        competitions: of those who compete for the ranks; they follow in the table.
        events: of the run, which tell the buckets.
    """
    stays = bucket_stays(events)
    batches = [
        _score_batch(list(alike), scored_with, stays)
        for scored_with, each in ((WITH_ALL, scores), (WITH_COMPETITION, competitions))
        for _, alike in groupby(each, key=_classes)
    ]
    return pa.Table.from_batches(batches, schema=SCORES)


def order_finding_table(findings: Iterable[OrderFinding]) -> pa.Table:
    """order_findings.parquet: orders that the network would have reduced or refused."""
    rows = [
        {name: getattr(finding, name) for name in ORDER_FINDINGS.names}
        | {"rule": finding.rule.value}
        for finding in findings
    ]
    return pa.Table.from_pylist(rows, schema=ORDER_FINDINGS)


def read_events(folder: Path) -> tuple[Event, ...]:
    """What events.parquet of a run folder says."""
    return tuple(
        Event(
            time_ms=row["time_ms"],
            miner_hotkey=row["miner_hotkey"],
            kind=EventKind(row["kind"]),
            from_bucket=_bucket(row["from_bucket"]),
            to_bucket=_bucket(row["to_bucket"]),
            reason=row["reason"],
            figures=json.loads(row["figures"]),
        )
        for row in read_table(folder / "events.parquet", EVENTS).to_pylist()
    )


def read_order_findings(folder: Path) -> tuple[OrderFinding, ...]:
    """What order_findings.parquet of a run folder says."""
    rows = read_table(folder / "order_findings.parquet", ORDER_FINDINGS).to_pylist()
    return tuple(OrderFinding(**{**row, "rule": OrderRule(row["rule"])}) for row in rows)


def _classes(scores: Scores) -> tuple[TradePairCategory, ...]:
    return tuple(scores.classes)


def _score_batch(each: Sequence[Scores], scored_with: str, stays: Stays) -> pa.RecordBatch:
    """Evaluations with the same asset classes as columns."""
    classes = _classes(each[0])
    tables = [[one.classes[name] for one in each] for name in classes]
    own = np.repeat(np.arange(sum(len(one.hotkeys) for one in each)), len(classes))

    def of_classes(values: Iterable[Iterable[_Values]]) -> _Values:
        rows: _Values = np.stack([np.concatenate([*one]) for one in values], axis=1).ravel()
        return rows

    def of_traders(values: Iterable[_Values]) -> _Values:
        rows: _Values = np.concatenate([*values])[own]
        return rows

    def names(texts: Iterable[str | None]) -> "pa.Array[Any]":
        return pa.array(texts, pa.string()).take(own)

    asset_classes = pa.array([name.value for name in classes], pa.string())
    columns: dict[str, Any] = {
        "time_ms": of_traders(np.full(len(one.hotkeys), one.time_ms) for one in each),
        "scored_with": pa.repeat(pa.scalar(scored_with), len(own)),
        "miner_hotkey": names(hotkey for one in each for hotkey in one.hotkeys),
        "asset_class": asset_classes.take(np.arange(len(own)) % len(classes)),
        "n_days": of_classes([one.n_days for one in mine] for mine in tables),
        "min_days": of_classes(
            [np.full(len(one.hotkeys), one.min_days[name]) for one in each] for name in classes
        ),
        "score": of_classes([one.score for one in mine] for mine in tables),
        "rank": of_classes([one.rank for one in mine] for mine in tables),
        "weight": of_classes([one.weight for one in mine] for mine in tables),
        **{
            f"penalty_{name}": of_traders(getattr(one.penalties, name) for one in each)
            for name in _PENALTIES
        },
        "penalty": of_traders(one.penalties.total for one in each),
        "final_weight": of_traders(one.weight for one in each),
        "final_rank": of_traders(one.rank for one in each),
        "bucket": names(
            bucket_at(stays, hotkey, one.time_ms) for one in each for hotkey in one.hotkeys
        ),
    }
    for metric in METRICS:
        columns[metric] = of_classes([one.metrics[metric] for one in mine] for mine in tables)
        percentiles = of_classes([_percentiles(one, metric) for one in mine] for mine in tables)
        columns[f"percentile_{metric}"] = pa.array(percentiles, from_pandas=True)  # NaN is null
    return pa.RecordBatch.from_pydict(columns, schema=SCORES)


def _percentiles(table: ClassTable, metric: str) -> _Values:
    """Percentile ranks; NaN where the metric has no weight."""
    ranks = table.percentiles.get(metric)
    return np.full(len(table.score), np.nan) if ranks is None else ranks


def _json_text(figures: Any) -> str:  # noqa: ANN401
    return json.dumps(json_ready(figures), allow_nan=False, ensure_ascii=False)


def _bucket(text: str | None) -> Bucket | None:
    return None if text is None else Bucket(text)

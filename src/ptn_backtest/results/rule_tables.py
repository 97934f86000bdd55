"""The Parquet tables of what the network's rules did: events, scores, judged orders.

What each column means is in `docs/run-folder.md`.
"""

import json
from collections.abc import Iterable, Sequence
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
from ptn_backtest.rules.scoring import Scores

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

    Built an evaluation at a time, so that a network of hundreds of traders over a year never stands
    in memory as rows.

    Args:
        scores: of all traders.
        competitions: of those who compete for the ranks; they follow in the table.
        events: of the run, which tell the buckets.
    """
    stays = bucket_stays(events)
    batches = [
        _score_batch(one, scored_with, stays)
        for scored_with, each in ((WITH_ALL, scores), (WITH_COMPETITION, competitions))
        for one in each
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


def _score_batch(scores: Scores, scored_with: str, stays: Stays) -> pa.RecordBatch:
    """One evaluation as columns."""
    n_traders, tables = len(scores.hotkeys), list(scores.classes.values())
    own = np.repeat(np.arange(n_traders), len(tables))

    def interleaved(of_classes: Iterable[_Values]) -> _Values:
        return np.stack(list(of_classes), axis=1).ravel()

    def names(texts: Sequence[str | None]) -> "pa.Array[Any]":
        return pa.array(texts, pa.string()).take(own)

    absent = np.full(n_traders, np.nan)
    factors = scores.penalties
    columns: dict[str, Any] = {
        "time_ms": np.full(len(own), scores.time_ms, np.int64),
        "scored_with": pa.repeat(pa.scalar(scored_with), len(own)),
        "miner_hotkey": names(scores.hotkeys),
        "asset_class": pa.array([name.value for name in scores.classes] * n_traders, pa.string()),
        "n_days": interleaved(table.n_days for table in tables),
        "min_days": np.tile([scores.min_days[name] for name in scores.classes], n_traders),
        "score": interleaved(table.score for table in tables),
        "rank": interleaved(table.rank for table in tables),
        "weight": interleaved(table.weight for table in tables),
        **{f"penalty_{name}": getattr(factors, name)[own] for name in _PENALTIES},
        "penalty": factors.total[own],
        "final_weight": scores.weight[own],
        "final_rank": scores.rank[own],
        "bucket": names([bucket_at(stays, hotkey, scores.time_ms) for hotkey in scores.hotkeys]),
    }
    for metric in METRICS:
        columns[metric] = interleaved(table.metrics[metric] for table in tables)
        percentiles = interleaved(table.percentiles.get(metric, absent) for table in tables)
        columns[f"percentile_{metric}"] = pa.array(percentiles, from_pandas=True)  # NaN is null
    return pa.RecordBatch.from_pydict(columns, schema=SCORES)


def _json_text(figures: Any) -> str:  # noqa: ANN401
    return json.dumps(json_ready(figures), allow_nan=False, ensure_ascii=False)


def _bucket(text: str | None) -> Bucket | None:
    return None if text is None else Bucket(text)

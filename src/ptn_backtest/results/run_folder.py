"""A run folder: everything that a run leaves behind, in files that other tools read too.

    run.json             what was run: settings, versions, inputs, counts; timings last
    ledgers.parquet      one row per ledger
    checkpoints.parquet  one row per checkpoint
    positions.parquet    one row per position
    rejected.parquet     one row per position that was set aside
    events.parquet       one row per change that the network's rules made
    scores.parquet       one row per evaluation, trader and asset class
    order_findings.parquet  one row per order that the network would not have taken as it is
    orders.parquet       one row per replayed order, and what it made of its position
    attribution.parquet  one row per checkpoint: its change, by price, fees and slippage
    states/              what is done, so that the run can be continued (see `results.states`)

Two runs on the same input leave the same bytes, except for `timings` in run.json and `states`. Every column is
described in `docs/run-folder.md`; a change of the format raises `FORMAT_VERSION`.
"""

import json
import platform
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from ptn_backtest.backtest.result import Liquidation, RunResult
from ptn_backtest.errors import ConfigError
from ptn_backtest.positions.order_checks import OrderFinding
from ptn_backtest.positions.rejection import Rejection
from ptn_backtest.results import rule_tables, tables
from ptn_backtest.results.attribution import attribution_table, slippage_logs
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.order_table import order_table
from ptn_backtest.results.parquet import FORMAT_VERSION, read_table, write_table
from ptn_backtest.results.position_index import position_index
from ptn_backtest.results.states import STATES, share_states
from ptn_backtest.results.tables import Ledgers
from ptn_backtest.rules.events import Elimination, Event
from ptn_backtest.rules.standing import Standing

__all__ = [
    "RUN_FILE",
    "StoredRun",
    "read_info",
    "read_run",
    "refuse_what_is_in_the_way",
    "restore_run",
    "versions",
    "write_run",
]

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run folder, read back.

    Attributes:
        info: run.json as it stands; see `docs/run-folder.md`.
        ledgers: {hotkey: {"portfolio" or trade pair id: ledger}}, equal to what the run computed.
        positions: positions.parquet.
        rejections: what was set aside.
        liquidations: portfolios that reached 0.
        events: every change that the network's rules made, in their order.
        eliminations: who left, in time order.
        standings: {hotkey: where it stands at the end}.
        scores: scores.parquet.
        order_findings: orders that the network would have reduced or refused.
    """

    info: Mapping[str, Any]
    ledgers: Ledgers
    positions: pa.Table
    rejections: tuple[Rejection, ...]
    liquidations: tuple[Liquidation, ...]
    events: tuple[Event, ...]
    eliminations: tuple[Elimination, ...]
    standings: Mapping[str, Standing]
    scores: pa.Table
    order_findings: tuple[OrderFinding, ...]


def write_run(
    folder: Path,
    result: RunResult,
    *,
    overwrite: bool = False,
    states_of: Path | None = None,
) -> Path:
    """Write a run folder, whole or not at all.

    Args:
        folder: where to; its parents are made.
        result: what to write.
        overwrite: replace a run folder that is already there. A folder that holds anything but
            a run is never replaced.
        states_of: folder whose `states` the run goes on to have.

    Returns:
        `folder`.

    Raises:
        ConfigError: something is in the way.
    """
    refuse_what_is_in_the_way(folder, overwrite=overwrite)
    with _replaced_at_once(folder) as temporary:
        info = json.dumps(_run_info(result), indent=2, allow_nan=False, ensure_ascii=False)
        (temporary / RUN_FILE).write_text(info + "\n", encoding="utf-8", newline="\n")
        for name, table in _tables(result):
            write_table(table, temporary / f"{name}.parquet")
        if states_of is not None:
            share_states(states_of, temporary)
    return folder


def _tables(result: RunResult) -> Iterator[tuple[str, pa.Table]]:
    """Each table by its name, made when it is asked for: together they are larger than the result."""
    yield "ledgers", tables.ledger_table(result.ledgers)
    checkpoints = tables.checkpoint_table(result.ledgers)
    yield "checkpoints", checkpoints
    slippage = slippage_logs(position_index(result.positions), result.orders)
    yield "attribution", attribution_table(checkpoints, result.ledgers, slippage)
    del checkpoints, slippage
    yield "positions", tables.position_table(result.positions)
    yield "orders", order_table(result.positions, result.orders)
    yield "rejected", tables.rejection_table(result.rejections)
    yield "events", rule_tables.event_table(result.events)
    yield "scores", rule_tables.score_table(result.scores, result.competitions, result.events)
    yield "order_findings", rule_tables.order_finding_table(result.order_findings)


def restore_run(folder: Path) -> None:
    """Put a run folder back, if a crash came while a newer one took its place."""
    replaced = sorted(folder.parent.glob(f".{folder.name}.*.old"))
    if replaced and not folder.exists():
        replaced[-1].replace(folder)


def read_run(folder: Path) -> StoredRun:
    """Read a run folder.

    Raises:
        ConfigError: it is not one, of another format version, or its files contradict each other.
    """
    info = read_info(folder)
    return StoredRun(
        info=info,
        ledgers=tables.read_ledgers(folder),
        positions=read_table(folder / "positions.parquet", tables.POSITIONS),
        rejections=tables.read_rejections(folder),
        liquidations=tuple(_parse_liquidation(event) for event in info["liquidations"]),
        events=rule_tables.read_events(folder),
        eliminations=tuple(Elimination.from_dict(one) for one in info["eliminations"]),
        standings={hotkey: Standing.from_dict(one) for hotkey, one in info["standings"].items()},
        scores=read_table(folder / "scores.parquet", rule_tables.SCORES),
        order_findings=rule_tables.read_order_findings(folder),
    )


def read_info(folder: Path) -> dict[str, Any]:
    """run.json of a run folder of our format version.

    Raises:
        ConfigError: it is not one, or of another format version.
    """
    try:
        info = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        if (folder / STATES).is_dir():
            raise ConfigError(
                f"{folder} holds a run that is not finished: go on with it "
                f"('ptn-backtest continue {folder}')"
            ) from None
        inside = sorted(path.parent.name for path in folder.glob(f"[!.]*/{RUN_FILE}"))
        held = f", such as {folder / inside[0]}" if inside else ""
        raise ConfigError(
            f"{folder} is not a run folder: {RUN_FILE} cannot be read ({error.strerror}). "
            f"Give a folder that `ptn-backtest run` wrote{held}"
        ) from None
    except ValueError as error:
        raise ConfigError(
            f"{folder / RUN_FILE} is not valid JSON: {error}. Repeat the run, or restore the file"
        ) from None
    found = info.get("format_version") if isinstance(info, dict) else None
    if found != FORMAT_VERSION:
        raise ConfigError(
            f"{folder / RUN_FILE} has format version {found!r}; this version of ptn-backtest reads "
            f"{FORMAT_VERSION}. Repeat the run, or read it with the version that wrote it"
        )
    return dict(info)


# ---- run.json


def _run_info(result: RunResult) -> dict[str, Any]:
    """run.json: keys below the first level are sorted, so that equal runs give equal bytes."""
    return {
        "format_version": FORMAT_VERSION,
        "synthetic": result.synthetic,
        "source": result.source,
        "start_ms": int(result.start_ms),
        "end_ms": int(result.end_ms),
        "settings": json_ready(result.settings),
        "inputs": json_ready(result.inputs),
        "versions": versions(),
        "counts": {name: int(count) for name, count in sorted(result.counts.items())},
        "liquidations": [
            {
                "miner_hotkey": event.miner_hotkey,
                "elimination_ms": int(event.elimination_ms),
                "previous_return": json_ready(event.previous_return),
                "last_known_prices": json_ready(event.last_known_prices),
            }
            for event in result.liquidations
        ],
        "eliminations": [json_ready(one.to_dict()) for one in result.eliminations],
        "standings": {hotkey: one.to_dict() for hotkey, one in sorted(result.standings.items())},
        "failed_traders": json_ready(result.failed_traders),
        "warnings": list(result.warnings),
        "update_times_ms": [int(time) for time in result.update_times_ms],
        "timings": {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": json_ready(result.timings),
        },
    }


def versions() -> dict[str, str]:
    """Versions of what the figures depend on."""
    packages = ("numba", "numpy", "ptn-backtest", "pyarrow")
    return {name: version(name) for name in packages} | {"python": platform.python_version()}


def _parse_liquidation(event: Mapping[str, Any]) -> Liquidation:
    prices = event["last_known_prices"].items()
    return Liquidation(
        miner_hotkey=event["miner_hotkey"],
        elimination_ms=event["elimination_ms"],
        last_known_prices={key: (float(close), start_ms) for key, (close, start_ms) in prices},
        previous_return=float(event["previous_return"]),
    )


# ---- the folder


def refuse_what_is_in_the_way(folder: Path, *, overwrite: bool) -> None:
    """See to it that a run can be written to a folder.

    Raises:
        ConfigError: something is in the way.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file: name a folder to write the run to")
    if (folder / RUN_FILE).is_file():
        if not overwrite:
            raise ConfigError(
                f"{folder} already holds a run: name another folder, or overwrite it (--overwrite)"
            )
    elif any(folder.iterdir()):
        raise ConfigError(
            f"{folder} holds other files than a run's, so it is not touched: "
            "name a new or empty folder"
        )


@contextmanager
def _replaced_at_once(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place if the block succeeds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    tag = uuid.uuid4().hex[:8]
    temporary = folder.with_name(f".{folder.name}.{tag}.new")
    previous = folder.with_name(f".{folder.name}.{tag}.old")
    temporary.mkdir()
    try:
        yield temporary
        if folder.exists():
            folder.replace(previous)
        try:
            temporary.replace(folder)
        except OSError:
            if previous.exists():
                previous.replace(folder)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(previous, ignore_errors=True)

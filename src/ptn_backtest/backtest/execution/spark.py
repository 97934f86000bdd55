"""PYSPARK: traders as rows of a DataFrame, candles read by the executors from the store.

Only the DataFrame API, so that it works through Spark Connect too. `docs/parallel.md` tells how to
choose a cluster.
"""

import contextlib
import importlib.util
import logging
import os
import pickle
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ptn_backtest.backtest.execution.contract import OrdinaryRoom, Room, cut_evenly
from ptn_backtest.backtest.execution.spark_tasks import RESULT_FIELDS, Job, read_columns, run_rows
from ptn_backtest.clock import NEVER_MS
from ptn_backtest.errors import ExecutionError
from ptn_backtest.ledger.batch import BuiltLedgers, LedgerBatch, LedgerUpdate
from ptn_backtest.ledger.columns import LedgerColumns
from ptn_backtest.ledger.timeline import TraderTimeline, open_ranges
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.candles import CandleSource, Timespan
from ptn_backtest.prices.store import CandleStore

log = logging.getLogger(__name__)

TICKS_PER_TASK = 50_000_000
"""Work of one task, about a second: much more than reading its candles."""

MIN_TASKS = 8
"""Smaller networks are still split into so many tasks, for clusters with several executors."""

JOBS_AT_ONCE = 100
"""Tasks that Spark knows of at a time: as many processors as a run can use."""

_INTERRUPT_S = 0.5
"""How long to wait for jobs that were interrupted, before it is tried again."""


def require_spark() -> None:
    """Check that a session can be had.

    Raises:
        ExecutionError: the message says what to install.
    """
    if importlib.util.find_spec("pyspark") is None:
        raise ExecutionError(
            "parallel_mode = PYSPARK needs pyspark: pip install 'ptn-backtest[spark]'"
        )
    home = os.environ.get("JAVA_HOME")
    has_java = shutil.which("java") or (home and (Path(home) / "bin" / "java").exists())
    if not has_java and not os.environ.get("SPARK_REMOTE") and _active_session() is None:
        raise ExecutionError(
            "parallel_mode = PYSPARK needs Java 17 or later for a Spark of its own: install it "
            "(Debian: apt-get install openjdk-17-jre-headless), or name a Spark Connect server in "
            "the environment: SPARK_REMOTE=sc://host:15002"
        )


class Spark:
    """PYSPARK; `contract.Execution` says what it promises.

    An active session is used and left alone; where there is none, one is made, and stopped at
    `close`.
    """

    def __init__(self, candles: CandleSource, traders: Traders) -> None:
        """Find or make a session.

        Args:
            candles: a store is read by the executors where it lies; anything else is first written
                as a store to a temporary folder, which the executors must be able to read.
            traders: whose ledgers will be built.

        Raises:
            ExecutionError: there is no pyspark or Java, or the cluster cannot be reached.
        """
        require_spark()
        self._candles = candles
        self._traders = traders
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._written_until_ms = -NEVER_MS
        session = _active_session()
        self._ours = session is None
        self._session = _new_session() if session is None else session

    def map(self, update: LedgerUpdate, batch: LedgerBatch, ticks: Ints) -> Iterator[BuiltLedgers]:
        """A Spark job per part, many at once; its ledgers come when it is over.

        Jobs of their own, because all that Spark Connect says of a job is its end: so results and
        progress come bit by bit, and a result need not fit the driver as a whole.
        """
        if not len(batch):
            return
        job = Job(update.settings, self._store_place(batch))
        parts = cut_evenly(ticks, max(MIN_TASKS, int(ticks.sum()) // TICKS_PER_TASK))
        tag = f"ptn-backtest-{uuid.uuid4()}"
        with ThreadPoolExecutor(min(len(parts), JOBS_AT_ONCE), "ptn-backtest-spark") as threads:
            running = {
                threads.submit(self._run_part, job, batch.part(places), tag): batch.traders[places]
                for places in parts
            }
            try:
                for done in as_completed(running):
                    yield BuiltLedgers(running[done], done.result())
            finally:
                self._interrupt(list(running), tag)

    def room(self) -> Room:
        """Of the driver: executors read candles themselves."""
        return OrdinaryRoom()

    def process_ids(self) -> Sequence[int]:
        """None of this machine."""
        return ()

    def close(self) -> None:
        """Stop the session, if it is ours."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        if self._ours:
            self._ours = False
            self._session.stop()

    def _run_part(self, job: Job, part: LedgerBatch, tag: str) -> LedgerColumns:
        """What an executor made of a part."""
        self._session.addTag(tag)  # of this thread
        try:
            timelines = self._traders.timelines_at(part.traders)
            frame = self._session.createDataFrame(part_row(timelines, part)).coalesce(1)
            (row,) = frame.mapInArrow(partial(run_rows, job), RESULT_FIELDS).toArrow().to_pylist()
        except Exception as fault:
            raise ExecutionError(
                f"the Spark job failed: {_last_line(fault)}. Executors need ptn-backtest "
                f"installed, and must be able to read the candle store at {job.store}"
            ) from fault
        finally:
            self._session.removeTag(tag)
        return read_columns(row)

    def _interrupt(self, running: "Sequence[Future[LedgerColumns]]", tag: str) -> None:
        """End the jobs that still run, because the work was stopped."""
        for each in running:
            each.cancel()
        # again and again, as a job may only be about to begin
        while wait(running, timeout=_INTERRUPT_S).not_done:
            # without a server nothing can be interrupted, and nothing runs
            with contextlib.suppress(Exception):
                self._session.interruptTag(tag)

    def _store_place(self, batch: LedgerBatch) -> str:
        """The candle store's folder or URL; other candles are written as one first."""
        if isinstance(self._candles, CandleStore):
            root = self._candles.root
            return str(root.resolve() if isinstance(root, Path) else root)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ptn-backtest-candles-")
        folder = Path(self._folder.name) / "candles"
        end_ms = batch.update_times_ms[-1]
        if end_ms > self._written_until_ms:
            ranges = open_ranges(self._traders.timelines.values(), end_ms)
            spans = {pair: (mine[0][0], end_ms) for pair, mine in ranges.items()}
            write_store(folder, self._candles, spans)
            self._written_until_ms = end_ms
        return str(folder)


def part_row(timelines: Sequence[TraderTimeline], part: LedgerBatch) -> pa.Table:
    """A row that tells an executor all that it needs of some traders, but for candles.

    Args:
        timelines: of the part's traders; that which is read of them are arrays.
        part: of a batch.
    """
    light = [replace(timeline, positions=()) for timeline in timelines]
    mine = part.alone()
    work = light, mine.before, mine.update_times_ms, mine.keep_history
    return pa.table({"part": pa.array([pickle.dumps(work, 5)], pa.binary())})


def write_store(
    folder: Path, candles: CandleSource, ranges: Mapping[str, tuple[int, int]]
) -> CandleStore:
    """Write the candles of these pairs, {trade pair id: (start, end) in ms}, as a store."""
    store = CandleStore.create(folder, label=candles.describe())
    for pair, (start_ms, end_ms) in ranges.items():
        for timespan in Timespan:
            found = candles.read(pair, timespan, start_ms - start_ms % timespan.ms, end_ms)
            if len(found):
                columns = {"timestamp_ms": found.start_ms, "close": found.close}
                store.write(pair, timespan, pa.table(columns))
    return store


def _active_session() -> Any | None:  # noqa: ANN401 - classic or Connect, no common type
    """The session of this thread, or the process's default; None without one."""
    from pyspark.errors import PySparkException  # noqa: PLC0415 - an extra
    from pyspark.sql import SparkSession  # noqa: PLC0415

    # a Connect session that was not made through the class above is not known to it
    connect = sys.modules.get("pyspark.sql.connect.session")
    for kind in [SparkSession, *([connect.SparkSession] if connect else [])]:
        with contextlib.suppress(PySparkException, RuntimeError):
            return kind.active()
    return None


def _new_session() -> Any:  # noqa: ANN401 - classic or Connect
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

    try:
        return SparkSession.builder.appName("ptn-backtest").getOrCreate()
    except Exception as fault:
        raise ExecutionError(
            f"no Spark session: {_last_line(fault)}. Check SPARK_REMOTE, or the master in "
            "PYSPARK_SUBMIT_ARGS or spark-defaults.conf"
        ) from fault


def _last_line(fault: Exception) -> str:
    """What a fault says, without the traces that Spark adds."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    ours = [line for line in lines if "ptn_backtest.errors" in line or "RuntimeError" in line]
    return (ours or lines or [type(fault).__name__])[0]

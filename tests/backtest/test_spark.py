"""PYSPARK on a real standalone cluster on the loopback: one master, two workers."""

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from benchmarks.workload import workload

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.execution import ParallelizationMode, check_mode, spark
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.backtest.watching import NobodyWatches
from ptn_backtest.clock import DAY_MS
from ptn_backtest.errors import ExecutionError
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.results.run_folder import write_run
from ptn_backtest.sources.bundled import START_MS, BundledPositionSource, bundled_candles
from tests.conftest import cannot_run

# pyspark's own use of pandas and of files warns
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.xdist_group("spark"),  # one cluster for all, where tests run in several processes
]
PYSPARK = ParallelizationMode.PYSPARK


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java that lives for a minute compiles little, so that these tests are quicker."""


@dataclass
class Cluster:
    """A master, workers and maybe a Spark Connect server, each a process of its own."""

    url: str
    folder: Path
    daemons: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        import pyspark  # noqa: PLC0415

        home = Path(pyspark.__file__).parent
        with (self.folder / f"{len(self.daemons)}.log").open("wb") as log:
            daemon = subprocess.Popen(
                [str(home / "bin" / program), *arguments],
                env={
                    **os.environ,
                    "SPARK_HOME": str(home),
                    "SPARK_LOCAL_IP": "127.0.0.1",
                    "SPARK_DAEMON_JAVA_OPTS": QUICK_START,
                    "PYSPARK_PYTHON": sys.executable,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.daemons.append(daemon)
        return daemon

    def start_worker(self) -> None:
        work = self.folder / f"work{len(self.workers)}"
        worker = self.start(
            *("spark-class", "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1"),
            # room for an executor of the session and one of the Connect server
            *("--webui-port", "0", "--cores", "2", "--memory", "1200m"),
            *("--work-dir", str(work), self.url),
        )
        self.workers.append(worker)

    def log_of(self, daemon: "subprocess.Popen[bytes]") -> str:
        return (self.folder / f"{self.daemons.index(daemon)}.log").read_text()

    def wait_for_workers(self) -> None:
        """Until all of them are known to the master, which else gives one of them everything."""
        deadline = time.monotonic() + 180
        for worker in self.workers:
            while worker.poll() is None and "registered with master" not in self.log_of(worker):
                assert time.monotonic() < deadline, self.log_of(worker)[-2000:]
                time.sleep(0.1)

    def stop(self) -> None:
        for daemon in self.daemons:
            if daemon.poll() is None:
                os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


EXECUTORS: dict[str, bool | float | int | str | None] = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": QUICK_START,
    "spark.executor.extraJavaOptions": QUICK_START,
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.cores.max": "2",  # of both workers, as they are spread out
    "spark.ui.enabled": "false",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    try:
        check_mode(PYSPARK)
    except ExecutionError as error:
        cannot_run(str(error))
    port = free_port()
    cluster = Cluster(f"spark://127.0.0.1:{port}", tmp_path_factory.mktemp("cluster"))
    cluster.start(
        *("spark-class", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1"),
        *("--port", str(port), "--webui-port", "0"),
    )
    cluster.start_worker()
    cluster.start_worker()
    cluster.wait_for_workers()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def session(cluster: Cluster) -> Iterator[Any]:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master(cluster.url).config(map=EXECUTORS).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def connect_url(cluster: Cluster) -> str:
    """Of a Spark Connect server, whose executors are on the cluster's workers."""
    port = free_port()
    settings = {
        **EXECUTORS,
        "spark.master": cluster.url,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    server = cluster.start(
        *("spark-submit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *(word for name, value in settings.items() for word in ("--conf", f"{name}={value}")),
    )
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return f"sc://127.0.0.1:{port}"
        time.sleep(0.1)
    raise AssertionError(f"no Spark Connect server: {cluster.log_of(server)[-2000:]}")


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> CandleStore:
    return bundled_candles(tmp_path_factory.mktemp("bundled") / "candles")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> BacktestConfig:
    """The benchmarks' small network, a month with all rules but scoring; candles by URL."""
    made = workload("small", folder=tmp_path_factory.mktemp("networks"))
    archive = tmp_path_factory.mktemp("zip") / "candles.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in made.candles.rglob("*"):
            zipped.write(path, path.relative_to(made.candles.parent))
    return BacktestConfig(
        use_database_positions=True,
        database_url=made.url,
        candles=f"zip://{made.candles.name}::file://{archive}",
        start_time_ms=made.start_ms,
        end_time_ms=made.end_ms,
        missing_candles="hold",
        run_challenge=True,
        run_elimination=True,
    )


@pytest.fixture(scope="module")
def serial(network: BacktestConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the network's run folder holds, SERIAL."""
    folder = tmp_path_factory.mktemp("serial") / "run"
    write_run(folder, run_backtest(network))
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    """The bytes of a run folder's files, run.json without its timings."""
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    info = json.loads(found.pop("run.json"))
    assert info.pop("timings")
    return found | {"run.json": json.dumps(info).encode()}


class Watching(NobodyWatches):
    """Calls a function when the first trader is done."""

    def __init__(self, first_done: Callable[[], None]) -> None:
        self.first_done = first_done
        self.n_done = 0

    def done(self, n_traders: int, ticks: int) -> None:
        del ticks
        before, self.n_done = self.n_done, self.n_done + n_traders
        if not before:
            self.first_done()


@dataclass
class OtherCandles:
    """Candles that are no store, as those of a bundle."""

    store: CandleStore

    def describe(self) -> str:
        return "other candles"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        return self.store.read(trade_pair_id, timespan, start_ms, end_ms)


def states(manager: BacktestManager) -> dict[str, Any]:
    return {h: s.to_dict() for h, s in manager.perf_ledger_manager.states.items()}


def test_a_cluster_gives_the_same_bytes_though_a_worker_is_killed(
    tmp_path: Path,
    cluster: Cluster,
    session: Any,
    network: BacktestConfig,
    serial: dict[str, bytes],
) -> None:
    config = replace(network, parallel_mode=PYSPARK)
    write_run(tmp_path / "spark", run_backtest(config))
    assert files(tmp_path / "spark") == serial

    def kill_one() -> None:
        os.killpg(cluster.workers[-1].pid, signal.SIGKILL)

    n_executors = len(list(cluster.folder.glob(f"work{len(cluster.workers) - 1}/app-*/*/")))
    assert n_executors  # the one that is killed works for us
    watching = Watching(kill_one)
    write_run(tmp_path / "killed", run_backtest(config, watcher=watching))
    assert cluster.workers[-1].wait(timeout=10)
    assert watching.n_done > 1  # what was killed had not done everything
    cluster.start_worker()
    cluster.wait_for_workers()
    assert files(tmp_path / "killed") == serial
    # the session that was there is still there
    assert session.range(3).count() == 3


CONNECT_PROGRAM = """
import os, pickle, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")  # pyspark's
from pyspark.sql import SparkSession
from ptn_backtest import run_backtest
from ptn_backtest.backtest.execution.spark import _active_session
from ptn_backtest.results.run_folder import write_run

url, folder = sys.argv[1], Path(sys.argv[2])
network, short = pickle.loads((folder / "configs").read_bytes())
session = SparkSession.builder.remote(url).getOrCreate()
write_run(folder / "existing", run_backtest(network))
assert session.range(3).count() == 3  # never stopped
session.stop()
os.environ["SPARK_REMOTE"] = url
write_run(folder / "made", run_backtest(short))
assert _active_session() is None  # stopped
"""


def test_spark_connect_gives_the_same_bytes(
    tmp_path: Path, connect_url: str, network: BacktestConfig, serial: dict[str, bytes]
) -> None:
    """In a process of its own, as pyspark is either classic or Connect there."""
    assert network.start_time_ms is not None
    short = replace(network, end_time_ms=network.start_time_ms + 3 * DAY_MS)
    configs = [replace(each, parallel_mode=PYSPARK) for each in (network, short)]
    (tmp_path / "configs").write_bytes(pickle.dumps(configs))
    done = subprocess.run(
        [sys.executable, "-c", CONNECT_PROGRAM, connect_url, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "existing") == serial
    write_run(tmp_path / "short", run_backtest(short))
    assert files(tmp_path / "made") == files(tmp_path / "short")


@pytest.mark.usefixtures("session")
def test_other_candles_and_updates_one_by_one_are_the_same_on_a_cluster(
    candles: CandleStore,
) -> None:
    positions = PositionManager(convert(BundledPositionSource().read()).positions)
    managers = [
        BacktestManager(positions, source, START_MS, START_MS + 2 * DAY_MS, parallel_mode=mode)
        for source, mode in (
            (candles, ParallelizationMode.SERIAL),
            (OtherCandles(candles), PYSPARK),
        )
    ]
    managers[0].run()
    for t_ms in managers[1].update_times_ms:
        managers[1].update(t_ms)
    managers[1].close()
    assert states(managers[0]) == states(managers[1])


class LocalFrame:
    """Does what a frame of Spark does, at once and here."""

    def __init__(self, session: "LocalSession", rows: pa.Table) -> None:
        self.session = session
        self.rows = rows

    def coalesce(self, n_partitions: int) -> "LocalFrame":
        assert n_partitions == 1
        return self

    def mapInArrow(self, function: Any, _: str) -> "LocalFrame":  # noqa: N802
        from pyspark import cloudpickle  # noqa: PLC0415

        self.session.sent.append(cloudpickle.dumps(function))
        self.function = function
        return self

    def toArrow(self) -> pa.Table:  # noqa: N802
        self.session.before_job(self.rows)
        return pa.Table.from_batches(self.function(iter(self.rows.to_batches())))


class LocalSession:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.interrupted = threading.Event()

    def createDataFrame(self, rows: pa.Table) -> LocalFrame:  # noqa: N802
        self.sent.extend(rows["part"].to_pylist())  # type: ignore[arg-type]
        return LocalFrame(self, rows)

    def before_job(self, rows: pa.Table) -> None:
        pass

    def addTag(self, tag: str) -> None:  # noqa: N802
        pass

    def removeTag(self, tag: str) -> None:  # noqa: N802
        pass

    def interruptTag(self, _: str) -> None:  # noqa: N802
        self.interrupted.set()


ANNA, CHEN = (f"5TestTrader{name}".ljust(48, "x") for name in ("Anna", "Chen"))


def hotkeys_of(rows: pa.Table) -> list[str]:
    """The traders of a job."""
    parts = [pickle.loads(row["part"]) for row in rows.to_pylist()]  # noqa: S301 - our own
    return [timeline.miner_hotkey for timelines, *_ in parts for timeline in timelines]


def local_manager(
    session: LocalSession, candles: CandleStore, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> BacktestManager:
    monkeypatch.setattr(spark, "require_spark", lambda: None)
    monkeypatch.setattr(spark, "_active_session", lambda: session)
    positions = PositionManager(convert(BundledPositionSource().read()).positions)
    return BacktestManager(
        positions, candles, START_MS, START_MS + 5 * DAY_MS, parallel_mode=PYSPARK, **options
    )


def test_no_secret_leaves_the_driver(candles: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent is the job and the rows; neither knows of a database."""
    session = LocalSession()
    monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", "postgresql://reader:s3cret@host/ptn")
    manager = local_manager(session, candles, monkeypatch)
    manager.run()
    assert manager.get_perf_ledgers()
    n_traders = len(manager.positions.hotkeys)
    assert len(session.sent) == 2 * min(n_traders, spark.MIN_TASKS)  # a function and a row
    assert not any(b"s3cret" in each or b"postgresql" in each for each in session.sent)
    # the check can fail: a secret in a unit would be seen
    assert b"s3cret" in pickle.dumps({"url": "postgresql://reader:s3cret@host/ptn"})


def test_traders_are_told_as_they_are_done(
    candles: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last job waits until the others' traders were told."""
    told = threading.Event()

    class Slow(LocalSession):
        def before_job(self, rows: pa.Table) -> None:
            if ANNA in hotkeys_of(rows):
                assert told.wait(timeout=60)

    manager = local_manager(Slow(), candles, monkeypatch, watcher=Watching(told.set))
    manager.run()
    assert told.is_set()


def test_a_job_that_fails_ends_the_others_and_what_is_done_is_kept(
    candles: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(LocalSession):
        broken = True

        def __init__(self) -> None:
            super().__init__()
            self.begun: list[int] = []  # appended to by many threads at once

        def before_job(self, rows: pa.Table) -> None:
            self.begun.append(len(hotkeys_of(rows)))
            if not self.broken:
                return
            if ANNA in hotkeys_of(rows):
                assert one_is_done.wait(timeout=60)
                raise RuntimeError("trader 5X: no memory")
            if CHEN in hotkeys_of(rows):
                assert self.interrupted.wait(timeout=60)
                raise RuntimeError("cancelled")

    one_is_done = threading.Event()
    session = Failing()
    manager = local_manager(session, candles, monkeypatch, watcher=Watching(one_is_done.set))
    with pytest.raises(ExecutionError, match="trader 5X: no memory"):
        manager.run()
    assert manager._done
    n_kept = sum(len(part.traders) for part in manager._done[1])
    assert 0 < n_kept < len(manager.positions.hotkeys)
    session.broken, session.begun = False, []
    manager.run()
    assert sum(session.begun) == len(manager.positions.hotkeys) - n_kept


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spark, "_active_session", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    with pytest.raises(ExecutionError, match="openjdk-17-jre-headless"):
        check_mode(PYSPARK)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ExecutionError, match=r"ptn-backtest\[spark\]"):
        check_mode(PYSPARK)

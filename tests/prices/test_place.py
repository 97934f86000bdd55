"""Stores that are no local folder: read through fsspec, never written."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from ptn_backtest.backtest.config import BacktestConfig, load_config
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.cli.candles import candles
from ptn_backtest.clock import DAY_MS
from ptn_backtest.errors import CandleError, ConfigError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.place import checked_place, is_url
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.results.run_folder import write_run
from ptn_backtest.sources.bundled import START_MS, bundled_candles

URL = "memory://bucket/candles"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> CandleStore:
    store = bundled_candles(tmp_path_factory.mktemp("place") / "candles")
    store.add_known_missing("BTCUSD", Timespan.MINUTE, "some provider", [(START_MS, START_MS + 1)])
    return store


@pytest.fixture(scope="module")
def memory(local: CandleStore) -> Iterator[CandleStore]:
    files = fsspec.filesystem("memory")
    files.put(f"{local.root}/", "/bucket/candles/", recursive=True)
    yield CandleStore(URL)
    files.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def zipped(local: CandleStore, tmp_path_factory: pytest.TempPathFactory) -> CandleStore:
    archive = shutil.make_archive(
        str(tmp_path_factory.mktemp("zip") / "all"), "zip", Path(str(local.root)).parent
    )
    return CandleStore(f"zip://candles::file://{archive}")


@pytest.mark.parametrize("kind", ["memory", "zipped"])
def test_a_store_reads_the_same_from_a_url(
    local: CandleStore, kind: str, request: pytest.FixtureRequest
) -> None:
    store: CandleStore = request.getfixturevalue(kind)
    assert store.label == local.label
    assert str(CandleStore(str(store.root)).root) == str(store.root)  # as executors open it
    assert store.pairs() == local.pairs()
    for pair in local.pairs():
        for timespan in Timespan:
            assert store.extent(pair, timespan) == local.extent(pair, timespan)
            end_ms = START_MS + 2 * DAY_MS
            ours = store.read(pair, timespan, START_MS, end_ms)
            theirs = local.read(pair, timespan, START_MS, end_ms)
            assert np.array_equal(ours.start_ms, theirs.start_ms)
            assert np.array_equal(ours.close, theirs.close)
            assert store.read_table(pair, timespan, START_MS, end_ms) == local.read_table(
                pair, timespan, START_MS, end_ms
            )
            assert store.known_missing(pair, timespan) == local.known_missing(pair, timespan)
    assert store.known_missing("BTCUSD", Timespan.MINUTE)


class Network:
    """Stands between a store and its files: counts what is asked for, and how much of it at once."""

    def __init__(self, cat_file: Callable[..., bytes]) -> None:
        self.asked: list[str] = []
        self.most = 0
        self._cat_file, self._now, self._lock = cat_file, 0, threading.Lock()

    def __call__(self, files: object, path: str, **options: Any) -> bytes:
        with self._lock:
            self.asked.append(path)
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        try:
            return self._cat_file(files, path, **options)
        finally:
            with self._lock:
                self._now -= 1


@pytest.fixture
def network(memory: CandleStore, monkeypatch: pytest.MonkeyPatch) -> Network:
    """The store in memory, as if it were reached through a network."""
    kind = type(memory.root.fs)  # type: ignore[union-attr]
    between = Network(kind.cat_file)
    monkeypatch.setattr(kind, "async_impl", True)
    monkeypatch.setattr(kind, "cat_file", lambda *args, **options: between(*args, **options))  # noqa: PLW0108 - bound
    return between


def test_files_that_are_far_away_are_fetched_whole_and_several_at_once(
    local: CandleStore, memory: CandleStore, network: Network
) -> None:
    end_ms = START_MS + 20 * DAY_MS
    ours = memory.read("BTCUSD", Timespan.SECOND, START_MS, end_ms)
    theirs = local.read("BTCUSD", Timespan.SECOND, START_MS, end_ms)
    assert np.array_equal(ours.start_ms, theirs.start_ms)
    assert np.array_equal(ours.close, theirs.close)
    assert len(network.asked) == len(set(network.asked)) > 5
    assert 1 < network.most <= 16


def test_whoever_wants_one_file_fetches_one(memory: CandleStore, network: Network) -> None:
    always = np.array([[START_MS, START_MS + 20 * DAY_MS]])
    assert len(next(memory.read_around("BTCUSD", Timespan.SECOND, always)))
    assert len(network.asked) == 1


def test_a_file_that_cannot_be_fetched_is_named(
    memory: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems have faults of their own, which are no `OSError`."""

    class NoCredentialsError(Exception):
        pass

    def refuse(*_: object, **__: object) -> bytes:
        raise NoCredentialsError("unable to locate credentials\nsecond line")

    kind = type(memory.root.fs)  # type: ignore[union-attr]
    monkeypatch.setattr(kind, "cat_file", refuse)
    asked = r"candles/minute/BTCUSD/.*cannot be reached \(NoCredentialsError: unable to locate"
    with pytest.raises(CandleError, match=asked) as raised:
        memory.read("BTCUSD", Timespan.MINUTE, START_MS, START_MS + DAY_MS)
    assert "second line" not in str(raised.value)
    monkeypatch.setattr(kind, "open", refuse)
    with pytest.raises(CandleError, match="cannot be reached"):
        CandleStore(URL)
    with pytest.raises(CandleError, match="cannot be reached"):
        memory.extent("BTCUSD", Timespan.MINUTE)
    for listing in ("ls", "isdir", "info", "glob", "find"):
        monkeypatch.setattr(kind, listing, refuse)
    with pytest.raises(CandleError, match="cannot be reached"):
        memory.pairs()
    with pytest.raises(CandleError, match="cannot be reached"):
        memory.known_missing("BTCUSD", Timespan.MINUTE)


@pytest.mark.usefixtures("memory")
def test_a_run_is_the_same_from_a_url(tmp_path: Path, local: CandleStore) -> None:
    options: dict[str, Any] = {"use_test_positions": True, "run_elimination": True}
    ledgers: list[bytes] = []
    for place in (str(local.root), URL):
        config = load_config(None, {}, {**options, "candles": place})
        result = run_backtest(config)
        write_run(tmp_path / str(len(ledgers)), result)
        ledgers.append((tmp_path / str(len(ledgers)) / "ledgers.parquet").read_bytes())
        assert config.recorded()["candles"] == place
    assert ledgers[0] == ledgers[1]


def test_a_url_is_not_written_to(memory: CandleStore) -> None:
    table = pa.table({"timestamp_ms": [START_MS], "close": [1.0]})
    for write in (
        lambda: CandleStore.create(URL),
        lambda: memory.write("BTCUSD", Timespan.MINUTE, table),
        lambda: memory.add_known_missing("BTCUSD", Timespan.MINUTE, "x", [(0, 60_000)]),
    ):
        with pytest.raises(CandleError, match="can be read, but not written"):
            write()
    refused = CliRunner().invoke(candles, ["import", "s3://bucket/candles", "x.csv"])
    assert refused.exit_code == 2
    assert "s3://bucket/candles is a URL" in refused.output
    assert not Path("s3:").exists()


@pytest.mark.usefixtures("memory")
def test_commands_that_read_take_a_url() -> None:
    listed = CliRunner().invoke(candles, ["list", URL])
    assert listed.exit_code == 0, listed.output
    assert "BTCUSD" in listed.output


def test_a_file_url_is_the_folder(local: CandleStore) -> None:
    assert CandleStore(f"file://{local.root}").root == local.root
    assert checked_place("file:///a%20b/c") == Path("/a b/c")
    assert checked_place("local:///a") == Path("/a")
    assert checked_place("s3") == Path("s3")
    assert not is_url("/a/b")
    assert not is_url(Path("s3://x"))


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:s3cret@bucket/candles",
        "https://host/candles?token=s3cret",
        "zip://candles::https://me:s3cret@host/x.zip",
    ],
)
def test_a_url_with_credentials_is_refused_without_showing_them(url: str) -> None:
    with pytest.raises(CandleError, match="must not hold credentials") as error:
        CandleStore(url)
    assert "s3cret" not in str(error.value)
    with pytest.raises(ConfigError, match="--candles") as refused:
        load_config(None, {}, {"use_test_positions": True, "candles": url})
    assert "s3cret" not in str(refused.value)


def test_what_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CandleError, match="no candle store at memory://nothing"):
        CandleStore("memory://nothing/here")
    with pytest.raises(CandleError, match=r"nosuch://x cannot be read: .*nosuch"):
        CandleStore("nosuch://x")
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(CandleError, match=r"ptn-backtest\[remote\]"):
        CandleStore(URL)


def test_a_settings_file_may_name_a_url(tmp_path: Path) -> None:
    file = tmp_path / "backtest.toml"
    file.write_text(f'use_test_positions = true\ncandles = "{URL}"\n')
    assert load_config(file, {}, {}) == BacktestConfig(use_test_positions=True, candles=URL)

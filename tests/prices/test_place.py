"""Stores that are no local folder: read through fsspec, never written."""

import shutil
import sys
from collections.abc import Iterator
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

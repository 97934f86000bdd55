"""One real trader, read from five kinds of sources: the ledger is the reference's every time."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.bundles.bundle import read_bundle
from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.sources.checkpoint_file import write_checkpoint
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.disk import write_disk
from ptn_backtest.sources.locate import open_source
from ptn_backtest.sources.records import OrderRecord, PositionRecord


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "golden" / "real_trader"


@pytest.fixture(scope="module")
def records(folder: Path) -> list[PositionRecord]:
    scenario = json.loads((folder / "scenario.json").read_text())
    return [
        PositionRecord(
            fields={name: value for name, value in position.items() if name != "orders"},
            orders=[OrderRecord(order, "scenario.json") for order in position["orders"]],
        )
        for position in scenario["positions"]
    ]


def ledgers_of(location: str, folder: Path) -> dict[str, PerfLedger]:
    """The trader's ledgers, from a source as a user would name it."""
    conversion = convert(open_source(location).read(), strict=True)
    bundle = read_bundle(folder)
    end_ms = bundle.settings.end_ms
    manager = BacktestManager(
        PositionManager(conversion.positions),
        bundle.candles,
        end_ms,
        end_ms,
        missing_candles="hold",
    )
    manager.run()
    (mine,) = manager.get_perf_ledgers().values()
    return mine


def assert_is_the_references(ledgers: dict[str, PerfLedger], folder: Path) -> None:
    (expected,) = json.loads((folder / "expected.json").read_text())["ledgers"].values()
    assert list(ledgers) == list(expected)
    for name, ledger in ledgers.items():
        checkpoints = ledger.to_dict()["cps"]
        assert len(checkpoints) == len(expected[name]["cps"])
        for mine, theirs in zip(checkpoints, expected[name]["cps"], strict=True):
            assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)
            counts = [field for field, value in theirs.items() if isinstance(value, int)]
            assert [mine[field] for field in counts] == [theirs[field] for field in counts]


def test_from_sqlite_postgresql_and_mariadb(
    records: Iterable[PositionRecord], folder: Path, database_url: str
) -> None:
    write_records(database_url, records)
    assert_is_the_references(ledgers_of(database_url, folder), folder)


def test_from_a_validators_folder(
    records: Iterable[PositionRecord], folder: Path, tmp_path: Path
) -> None:
    write_disk(tmp_path / "validation", records, account_sizes={}, eliminations=[])
    assert_is_the_references(ledgers_of(str(tmp_path / "validation"), folder), folder)


@pytest.mark.parametrize("name", ["checkpoint.json", "checkpoint.json.gz"])
def test_from_a_checkpoint(
    records: Iterable[PositionRecord], folder: Path, tmp_path: Path, name: str
) -> None:
    write_checkpoint(tmp_path / name, records, account_sizes={}, eliminations=[])
    assert_is_the_references(ledgers_of(str(tmp_path / name), folder), folder)

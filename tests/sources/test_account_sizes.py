import json
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.sources.account_sizes import missing_account_sizes
from ptn_backtest.sources.bundled import BundledPositionSource
from ptn_backtest.sources.checkpoint_file import write_checkpoint, write_list
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.disk import write_disk
from ptn_backtest.sources.locate import open_source

SIZES = {"somebody": [(1, 20_000.0)]}


def told(location: str, mapping: Path | None = None) -> tuple[str, ...]:
    source = open_source(location, mapping=mapping)
    return missing_account_sizes(source, source.read_account_sizes(), 5_000.0)


@pytest.mark.parametrize("sizes", [{}, SIZES])
def test_a_source_that_could_have_them(tmp_path: Path, sizes: Any) -> None:
    records = list(BundledPositionSource().read())
    write_records(f"sqlite:///{tmp_path / 'x.db'}", records, account_sizes=sizes)
    write_disk(tmp_path / "folder", records, account_sizes=sizes)
    write_checkpoint(tmp_path / "x.json", records, account_sizes=sizes)
    if not sizes:
        (tmp_path / "folder" / "miner_account_sizes.json").unlink()
    places = {
        "x.db": "none in the table account_sizes",
        "folder": f"none in {tmp_path / 'folder' / 'miner_account_sizes.json'}",
        "x.json": "none in miner_account_sizes of x.json",
    }
    for name, place in places.items():
        found = told(str(tmp_path / name))
        assert len(found) == (0 if sizes else 1)
        start = f"no account sizes: {place}; every account counts as 5,000 USD"
        assert all(each.startswith(start) for each in found)


def test_a_mapping_that_declares_them_absent(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    write_records(f"sqlite:///{database}", BundledPositionSource().read(), account_sizes=SIZES)
    mapping = tmp_path / "other.toml"
    mapping.write_text("[account_sizes]\nabsent = true")
    [warning] = told(str(database), mapping)
    assert warning.startswith("no account sizes: other.toml declares their table absent; every")


def test_a_source_that_has_no_place_for_them(tmp_path: Path) -> None:
    write_list(tmp_path / "list.json", BundledPositionSource().read())
    assert told(str(tmp_path / "list.json")) == ()
    assert told("test") == ()
    (tmp_path / "bare.json").write_text(json.dumps({"positions": []}))
    assert told(str(tmp_path / "bare.json")) == ()

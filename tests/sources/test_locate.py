import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.errors import BacktestError, ConfigError, SourceError, SourceUnavailable
from ptn_backtest.sources.bundled import BundledPositionSource
from ptn_backtest.sources.checkpoint_file import CheckpointPositionSource
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.disk import DiskPositionSource
from ptn_backtest.sources.locate import ACCEPTED_LOCATIONS, open_source
from ptn_backtest.sources.numeric import real_number, whole_number
from ptn_backtest.sources.passwords import hide_passwords
from ptn_backtest.sources.taoshi import TaoshiPositionOrderSource

POSITION = {"miner_hotkey": "a", "position_uuid": "p", "open_ms": 1, "orders": []}


@pytest.fixture
def database(tmp_path: Path) -> Any:
    path = tmp_path / "some file?x=1.data"
    write_records(f"sqlite:///{tmp_path / 'made.db'}", [])
    (tmp_path / "made.db").rename(path)
    return path


def test_words() -> None:
    assert isinstance(open_source("taoshi"), TaoshiPositionOrderSource)
    assert isinstance(open_source("test"), BundledPositionSource)


def test_the_database_of_the_environment(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", sqlite_url)
    write_records(sqlite_url, [])
    source = open_source("database")
    assert isinstance(source, DatabasePositionOrderSource)
    assert list(source.read()) == []
    # a mapping belongs to it as to any database
    (tmp_path / "map.toml").write_text("")
    open_source("database", mapping=tmp_path / "map.toml")
    # a SQLite file without a URL, as a run takes it too
    monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", sqlite_url.removeprefix("sqlite:///"))
    assert isinstance(open_source("database"), DatabasePositionOrderSource)
    (tmp_path / "database" / "miners").mkdir(parents=True)
    assert isinstance(open_source("./database"), DiskPositionSource)


@pytest.mark.parametrize("value", [None, ""])
def test_the_database_of_an_environment_without_one(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PTN_BACKTEST_DATABASE_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", value)
    with pytest.raises(ConfigError, match="PTN_BACKTEST_DATABASE_URL holds, which is not set"):
        open_source("database")


def test_a_url_is_a_database(sqlite_url: str) -> None:
    write_records(sqlite_url, [])
    assert isinstance(open_source(sqlite_url), DatabasePositionOrderSource)


def test_a_sqlite_file_is_known_by_its_content(database: Path) -> None:
    source = open_source(str(database))
    assert isinstance(source, DatabasePositionOrderSource)
    assert list(source.read()) == []


@pytest.mark.parametrize("name", ["x.json", "x.db", "x"])
@pytest.mark.parametrize("start", ["", " \n", "\ufeff"])
def test_json_is_known_by_its_content(tmp_path: Path, name: str, start: Any) -> None:
    path = tmp_path / name
    path.write_text(start + json.dumps([POSITION]), encoding="utf-8")
    source = open_source(str(path))
    assert isinstance(source, CheckpointPositionSource)
    assert len(list(source.read())) == 1


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(json.dumps([POSITION]).encode()))
    assert len(list(open_source(str(path)).read())) == 1


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "miners" / "a" / "positions").mkdir(parents=True)
    for path in (tmp_path, tmp_path / "miners"):
        assert isinstance(open_source(str(path)), DiskPositionSource)


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.json").write_text("[]")
    assert isinstance(open_source("~/x.json"), CheckpointPositionSource)


@pytest.mark.parametrize("data", [None, b"", b"a,b\n1,2\n", b"PAR1", b"SQLite format 2"])
def test_anything_else_is_refused_with_what_is_accepted(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "other"
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        open_source(str(path))
    assert ACCEPTED_LOCATIONS in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("location", ["absent.json", "", "nonsense", "a\x00b"])
def test_what_is_not_there_is_refused_with_what_is_accepted(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as caught:
        open_source(location)
    assert ACCEPTED_LOCATIONS in str(caught.value)


def test_an_absent_sqlite_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        list(open_source(f"sqlite:///{tmp_path / 'absent.db'}").read())
    assert list(tmp_path.iterdir()) == []


def test_a_mapping_is_for_databases(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text("")
    for location in ("taoshi", "test", str(tmp_path)):
        with pytest.raises(ConfigError, match="mapping"):
            open_source(location, mapping=tmp_path / "map.toml")


@pytest.mark.parametrize(
    "location",
    [
        "nosuch://user:s3cret@host/db",
        "postgresql://user:s3cret@localhost:1/db",
        "postgresql://user:s3c@s3cret@host:port/db",
        "user:s3cret@host://x",
        "/nowhere/mysql://user:s3cret@host/db",
        "mysql:/user:s3cret@host/db",
    ],
)
def test_no_error_shows_a_password(location: str) -> None:
    with pytest.raises(BacktestError) as caught:
        list(open_source(location).read())
    assert "s3cret" not in str(caught.value)


def test_no_password_is_shown_beside_a_mapping_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", "mysql:/user:s3cret@host/db")  # mistyped
    with pytest.raises(ConfigError, match="is not: leave it out") as caught:
        open_source("database", mapping=tmp_path / "map.toml")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://u:pw@h/d", "mysql://u:***@h/d"),
        ("at mysql+pymysql://u:p:w@h/d, or", "at mysql+pymysql://u:***@h/d, or"),
        ("x://u:p@w@h", "x://u:***@h"),
        ("x://:pw@h", "x://:***@h"),
        ("x://h/d?user=u&password=pw&a=b", "x://h/d?user=u&password=***&a=b"),
        ("http://h:80/path", "http://h:80/path"),
        ("x://u@h/d", "x://u@h/d"),
    ],
)
def test_passwords_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown


@pytest.mark.parametrize("value", [True, None, "", "x", "1_0", [], 2**53 + 1, 10**400])
def test_what_is_no_float(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        real_number(value)


@pytest.mark.parametrize("value", [True, None, "", "x", "1_0", [], 1.5, "1.5", float("nan"), "inf"])
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        whole_number(value)

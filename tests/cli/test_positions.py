import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ptn_backtest.cli.candles import candles
from ptn_backtest.cli.positions import positions
from ptn_backtest.errors import BacktestError, InvalidPosition, SourceError


def order(uuid: Any, at: Any, kind: Any = "LONG", **others: Any) -> Any:
    return {
        "order_uuid": uuid,
        "order_type": kind,
        "leverage": 0.1,
        "price": 100.0,
        "processed_ms": at,
        **others,
    }


def position(
    uuid: Any, hotkey: Any = "alice", opened: Any = 1_735_689_600_000, **others: Any
) -> Any:
    return {
        "miner_hotkey": hotkey,
        "position_uuid": uuid,
        "trade_pair": ["BTCUSD", "BTC/USD", 0.003, 0.01, 0.5],
        "open_ms": opened,
        "is_closed_position": True,
        "close_ms": opened + 5,
        "orders": [order(f"{uuid}1", opened), order(f"{uuid}2", opened + 5, "FLAT")],
        **others,
    }


SOUND = [position("p"), position("q", "bob", 1_738_368_000_000)]
BAD = position("r", orders=[order("r1", 1_735_689_600_000, price=-1.0)])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in a folder with sound.json and mixed.json: (exit code, stdout)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sound.json").write_text(json.dumps(SOUND))
    (tmp_path / "mixed.json").write_text(json.dumps([*SOUND, BAD]))

    def invoke(*arguments: Any, code: int = 0) -> Any:
        result = CliRunner().invoke(positions, arguments, prog_name="positions")
        if isinstance(result.exception, BacktestError):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.stdout

    return invoke


def test_help_teaches(run: Any) -> None:
    shown = run("--help")
    assert "taoshi            the private package" in shown
    assert "database          the one whose URL is in PTN_BACKTEST_DATABASE_URL" in shown
    for command in ("import", "export", "check"):
        assert f"ptn-backtest positions {command}" in run(command, "--help")


def test_the_commands_import_cheaply() -> None:
    code = (
        "import sys, ptn_backtest.cli.positions;"
        "print([name for name in ('sqlalchemy', 'pyarrow', 'numpy', 'numba', 'rich')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_database_of_the_environment(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", "sqlite:///named.db")
    assert "into sqlite:///named.db" in run("import", "sound.json", "database")
    assert "can be replayed" in run("check", "database")
    monkeypatch.delenv("PTN_BACKTEST_DATABASE_URL")
    with pytest.raises(BacktestError, match="PTN_BACKTEST_DATABASE_URL"):
        run("import", "sound.json", "database")


def test_a_shell_completes_sources() -> None:
    for command, parameter in [
        (positions.commands["check"], "a"),
        (positions.commands["import"], "database_url"),
        (positions.commands["audit"], "source"),
        (candles.commands["pull"], "source"),
        (candles.commands["check"], "positions"),
    ]:
        (found,) = [each for each in command.params if each.name == parameter]
        items = found.shell_complete(click.Context(command), "da")
        assert [(item.type, item.value) for item in items] == [
            ("file", "da"),
            ("plain", "database"),
        ]


def test_import_and_check(run: Any) -> None:
    shown = run("import", "sound.json", "sqlite:///x.db")
    assert "positions                  2         0          0" in shown
    assert "orders                     4         0          0" in shown
    assert "all 2 positions are equal" in run("check", "sound.json", "x.db")
    with sqlite3.connect("x.db") as database:
        assert database.execute("select count(*) from orders").fetchone() == (4,)
    database.close()


def test_every_kind_of_database_gives_back_what_was_imported(run: Any, database_url: str) -> None:
    run("import", "test", database_url)
    assert "positions are equal" in run("check", "test", database_url)


def test_importing_twice_changes_nothing(run: Any) -> None:
    run("import", "sound.json", "sqlite:///x.db")
    shown = run("import", "sound.json", "sqlite:///x.db")
    assert "positions                  0         0          2" in shown


def test_import_of_what_cannot_be_replayed_says_so(run: Any) -> None:
    shown = run("import", "mixed.json", "sqlite:///x.db")
    assert "1 position of the source cannot be replayed" in shown
    assert "positions check sqlite:///x.db" in shown


def test_an_import_that_stores_nothing_exits_1(run: Any, tmp_path: Path) -> None:
    bad = [position(f"p{i}", is_closed_position="shut", trade_pair="NONE") for i in range(30)]
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    shown = run("import", "bad.json", "sqlite:///x.db", code=1)
    assert "none of the 30 positions could be stored" in shown
    assert re.search(r"is_closed_position +30\n", shown)
    assert "... and 10 more" in shown
    # what is wrong is to be seen in the source: the database is empty
    assert "see `ptn-backtest positions check bad.json`" in shown
    assert "check sqlite" not in shown
    document = json.loads(run("import", "bad.json", "sqlite:///x.db", "--json", code=1))
    assert document["positions_read"] == 30
    assert document["unstored"][0]["kind"] == "is_closed_position"


def test_an_import_of_an_empty_source_is_no_failure(run: Any, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]")
    run("import", "none.json", "sqlite:///x.db")


def test_a_strict_import_stores_nothing_of_a_bad_source(run: Any) -> None:
    with pytest.raises(InvalidPosition, match=r"price -1\.0"):
        run("import", "mixed.json", "sqlite:///x.db", "--strict")
    with sqlite3.connect("x.db") as database:
        assert database.execute("select count(*) from positions").fetchone() == (0,)
    database.close()


def test_import_as_json(run: Any) -> None:
    document = json.loads(run("import", "mixed.json", "sqlite:///x.db", "--json"))
    assert document["positions"]["inserted"] == 3
    assert document["rejections"][0]["reason"] == "invalid_price"


@pytest.mark.parametrize(
    ("kind", "path"),
    [("disk", "folder"), ("checkpoint", "c.json.gz"), ("checkpoint", "c.json"), ("list", "l.json")],
)
def test_what_is_exported_checks_equal(run: Any, kind: Any, path: Path) -> None:
    run("import", "sound.json", "sqlite:///x.db")
    assert "exported 2 positions with 4 orders" in run("export", "x.db", path, "--format", kind)
    assert "all 2 positions are equal" in run("check", path, "x.db")


def test_eliminations_and_account_sizes_travel_along(run: Any, tmp_path: Path) -> None:
    document = {
        "positions": {"alice": {"positions": [SOUND[0]]}},
        "eliminations": [
            {"hotkey": "bob", "elimination_initiated_time_ms": 7, "reason": "X", "dd": 10.5}
        ],
        "miner_account_sizes": {
            "bob": [{"account_size": 5.5, "account_size_theta": 1.0, "update_time_ms": 3}]
        },
    }
    (tmp_path / "c.json").write_text(json.dumps(document))
    run("import", "c.json", "sqlite:///x.db")
    run("export", "x.db", "folder", "--format", "disk")
    run("export", "folder", "again.json", "--format", "checkpoint")
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["eliminations"][0]["dd"] == 10.5
    assert again["miner_account_sizes"]["bob"][0]["account_size"] == 5.5
    assert again["miner_account_sizes"]["bob"][0]["update_time_ms"] == 3


def test_plagiarism_events_travel_along_and_bad_rows_are_listed(run: Any, tmp_path: Path) -> None:
    flagged = {"miner_hotkey": "bob", "time_ms": 1_757_000_000_000, "event": "flagged"}
    cleared = {"miner_hotkey": "bob", "time_ms": 1_757_000_000_500, "event": "cleared"}
    bad = {"miner_hotkey": "alice", "time_ms": 1_757_000_000_000, "event": "accused"}
    document = {
        "positions": {"alice": {"positions": [SOUND[0]]}},
        "plagiarism_events": [cleared, bad, flagged],
    }
    (tmp_path / "c.json").write_text(json.dumps(document))

    shown = run("import", "c.json", "sqlite:///x.db")
    assert "plagiarism events          2         0          0" in shown
    assert "left out, because they have no place there: 1" in shown
    assert "c.json plagiarism_events[1]: event 'accused' is neither flagged nor cleared" in shown
    shown = run("export", "c.json", "folder", "--format", "disk")
    assert "c.json plagiarism_events[1]: event 'accused'" in shown

    run("export", "x.db", "again", "--format", "disk")
    assert (tmp_path / "again" / "plagiarism_events.json").read_bytes() == (
        tmp_path / "folder" / "plagiarism_events.json"
    ).read_bytes()
    run("export", "again", "again.json", "--format", "checkpoint")
    assert json.loads((tmp_path / "again.json").read_text())["plagiarism_events"] == [
        flagged,
        cleared,
    ]


def test_the_bundled_positions_move_through_everything(run: Any) -> None:
    run("import", "test", "sqlite:///x.db")
    run("export", "x.db", "folder", "--format", "disk")
    run("export", "folder", "c.json.gz", "--format", "checkpoint")
    assert "positions are equal" in run("check", "c.json.gz", "test")


def test_check_one_source(run: Any) -> None:
    shown = run("check", "sound.json")
    assert "2 positions with 4 orders of 2 traders can be replayed" in shown
    assert "set aside" not in shown


def test_check_tells_what_is_odd(run: Any, tmp_path: Path) -> None:
    odd = [
        position("r", orders=[order("r1", 1_735_689_600_000)]),
        position("s", "Alice", 1_735_689_600_000),
    ]
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"positions": [*SOUND, *odd], "miner_account_sizes": {}}))
    shown = run("check", "odd.json")
    assert "note: 1 position is stored as closed, but its orders leave it open: r (net" in shown
    assert "note: 2 hotkeys differ from another only by case or blanks" in shown
    assert "note: no account sizes: none in miner_account_sizes of odd.json" in shown
    found = json.loads(run("check", "odd.json", "--json"))
    assert found["left_open"] == [
        {"miner_hotkey": "alice", "position_uuid": "r", "net_leverage": 0.1}
    ]
    assert found["similar_hotkeys"] == [["Alice", "alice"]]
    assert len(found["notes"]) == 3
    # positions that close after the end are no such case
    assert "stored as closed" not in run("check", "sound.json", "--end", "1735689600001")


def test_check_counts_by_reason_and_exits_1(run: Any) -> None:
    shown = run("check", "mixed.json", code=1)
    assert "set aside: 1" in shown
    assert "invalid_price                    1         1" in shown
    assert "mixed.json positions[2] order r1: position r order r1: price -1.0" in shown


def test_a_strict_check_stops(run: Any) -> None:
    with pytest.raises(InvalidPosition, match="r1"):
        run("check", "mixed.json", "--strict")


def test_check_one_source_as_json(run: Any) -> None:
    document = json.loads(run("check", "mixed.json", "--json", code=1))
    assert document["counts"]["positions"] == 2
    assert document["rejections_by_reason"] == {"invalid_price": 1}


def test_check_says_what_differs_and_exits_1(run: Any, tmp_path: Path) -> None:
    changed = [position("p", orders=[order("p1", 1_735_689_600_000, price=101.0)]), SOUND[1]]
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    shown = run("check", "sound.json", "changed.json", code=1)
    assert "1 equal, 1 differ, 0 only in a, 0 only in b" in shown
    assert "alice p: differs" in shown
    assert "  order p1: price: 100.0 | 101.0" in shown
    assert "  order p2: order: FLAT 0.1 100.0 1735689600005 | absent" in shown
    document = json.loads(run("check", "sound.json", "changed.json", "--json", code=1))
    assert document["equal"] is False
    assert document["fields"] == {"price": 1, "order": 1}


def test_long_lists_are_cut_and_say_so(run: Any, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]")
    assert "... and 1 more" in run("check", "sound.json", "none.json", "--limit", "1", code=1)
    assert "more" not in run("check", "sound.json", "none.json", "--limit", "0", code=1)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 2),
        (("--end", "2025-01-15"), 1),
        (("--end", "1736899200000"), 1),
        (("--start", "2025-01-15"), 2),
        (("--start", "2025-01-15", "--history", "range"), 1),
        (("--hotkey", "bob"), 1),
        (("--hotkey", "bob", "--hotkey", "alice"), 2),
        (("--hotkey", "carol"), 0),
    ],
)
def test_only_what_is_asked_for_is_moved(run: Any, options: Any, count: Any) -> None:
    document = json.loads(run("check", "sound.json", "--json", *options))
    assert document["counts"]["positions"] == count
    run("import", "sound.json", "sqlite:///x.db", *options)
    assert json.loads(run("check", "x.db", "--json"))["counts"]["positions"] == count


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "sound.json", "--start", "soon"), "'soon' is not a time"),
        (
            ("check", "sound.json", "--start", "2025-02-01", "--end", "2025-01-01"),
            "--end is before",
        ),
        (("check", "sound.json", "sound.json", "--strict"), "one source"),
        (("check", "sound.json", "--rtol", "1e-9"), "two sources"),
        (("export", "sound.json", "x"), "--format"),
    ],
)
def test_a_wrong_use_exits_2_and_says_why(run: Any, arguments: Any, said: str) -> None:
    del run
    result = CliRunner().invoke(positions, arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_price_sources_travel_where_they_are_asked_for(run: Any, tmp_path: Path) -> None:
    priced = position("p", orders=[order("p1", 1_735_689_600_000, price_sources=[{"close": 1.5}])])
    (tmp_path / "priced.json").write_text(json.dumps([priced]))
    for options, expected in (((), None), (("--price-sources",), [{"close": 1.5}])):
        run("import", "priced.json", "sqlite:///x.db", *options)
        run("export", "x.db", "out.json", "--format", "list", *options)
        (written,) = json.loads((tmp_path / "out.json").read_text())
        assert written["orders"][0].get("price_sources") == expected


def test_no_password_is_shown(run: Any) -> None:
    for arguments in (
        ("import", "sound.json", "postgresql://me:s3cret@localhost:1/db"),
        ("check", "nosuch://me:s3cret@host/db"),
        ("import", "sound.json", "mysql://me:s3cret@localhost:1/db"),
        ("check", "sound.json:s3cret@host"),
    ):
        with pytest.raises(SourceError) as caught:
            run(*arguments)
        assert "s3cret" not in str(caught.value)


def test_real_positions_move_from_file_to_database_to_folder(run: Any, shared: Path) -> None:
    for name in ("btc_trader_2025", "mixed_trader_2024"):
        path = str(shared / f"data/positions/{name}.json")
        run("import", path, f"sqlite:///{name}.db")
        run("export", f"{name}.db", name, "--format", "disk")
        assert "positions are equal" in run("check", path, f"{name}.db")
        assert "positions are equal" in run("check", name, path)

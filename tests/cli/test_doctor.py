"""`ptn-backtest doctor` on setups that are sound, and on each way in which one is not."""

import importlib.util
import json
import shutil
import socket
import sqlite3
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from click.testing import CliRunner, Result
from sqlalchemy.pool import NullPool

from ptn_backtest.backtest.checkup import (
    EXTRAS,
    InstallationFacts,
    PairCandles,
    SparkFacts,
    State,
    check_disk,
    check_extras,
    check_memory,
    check_minutes,
    check_seconds,
    check_spark,
    estimate_memory,
)
from ptn_backtest.cli.main import cli
from ptn_backtest.errors import ConfigError, SourceError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles
from ptn_backtest.sources.database.examining import mysql_write_rights
from ptn_backtest.sources.database.writing import write_records
from tests.conftest import cannot_run

SECRET = "hush-9"  # noqa: S105 - the one that must not be shown
ROOT = Path(__file__).parents[2]

Doctor = Callable[..., dict[str, Any]]


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["doctor", *arguments])
    assert SECRET not in result.output
    assert SECRET not in str(result.exception)
    return result


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run it with --json: {check: finding}, and what is next under "next"."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> dict[str, Any]:
        result = invoke(*arguments, "--json")
        assert result.exit_code == code, result.output
        document = json.loads(result.stdout)
        # nothing on standard output beside the one document, and every finding is whole
        assert all(each["says"] for each in document["checks"])
        found = {each["check"]: each for each in document["checks"]}
        return {**found, "next": document["next"], "ready": document["ready"]}

    return run


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "candles"
    bundled_candles(folder)
    return folder


def filled(url: str) -> str:
    source = BundledPositionSource()
    write_records(url, source.read(), account_sizes=source.read_account_sizes())
    return url


def database(url: str, candles: Path) -> tuple[str, ...]:
    return ("--use-database-positions", "--database-url", url, "--candles", str(candles))


def test_without_settings_the_installation_is_looked_at(doctor: Doctor) -> None:
    found = doctor()

    assert found["installation"]["figures"]["ptn-backtest"]
    assert "positions" not in found
    assert found["next"][0] == "ptn-backtest run --use-test-positions"
    # a URL with its password is for the environment, not for a command line
    assert "--database-url" not in found["next"][1]
    assert "PTN_BACKTEST_DATABASE_URL" in found["next"][1]


def test_a_sound_setup_on_every_server(doctor: Doctor, database_url: str, candles: Path) -> None:
    found = doctor(*database(filled(database_url), candles))

    assert found["ready"] is True
    assert found["schema"]["state"] == found["database"]["state"] == "ok"
    # what `positions import test` and the run of the README count
    figures = found["positions"]["figures"]
    assert (figures["traders"], figures["positions"], figures["orders"]) == (6, 19, 45)
    assert set(found["minute candles"]["figures"].values()) == {1.0}
    on_server = not database_url.startswith("sqlite")
    assert found["rights"]["state"] == ("note" if on_server else "ok")
    assert bool(found["rights"]["figures"]["may_write"]) is on_server


def test_what_it_says_fits_a_screen(sqlite_url: str, candles: Path) -> None:
    result = invoke(*database(filled(sqlite_url), candles))

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) <= 24
    assert "next:\n  ptn-backtest run with the same settings" in result.stdout
    assert "\x1b" not in result.stdout


def test_colours_can_be_switched_off() -> None:
    assert "\x1b[32m" in CliRunner().invoke(cli, ["doctor"], color=True).stdout
    plain = CliRunner(env={"NO_COLOR": "1"}).invoke(cli, ["doctor"], color=True).stdout
    assert "\x1b[3" not in plain


def test_a_user_who_may_only_read(doctor: Doctor, postgres_url: str, candles: Path) -> None:
    filled(postgres_url)
    url = sqlalchemy.make_url(postgres_url)
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    name = f"reader_{url.database}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE USER {name} PASSWORD '{SECRET}'")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    try:
        reader = url.set(username=name, password=SECRET).render_as_string(hide_password=False)
        assert doctor(*database(reader, candles))["rights"]["state"] == "ok"

        with engine.begin() as connection:
            connection.exec_driver_sql(f"GRANT DELETE ON orders TO {name}")
        assert doctor(*database(reader, candles))["rights"]["figures"] == {
            "may_write": ["DELETE on orders"]
        }
        with engine.begin() as connection:
            connection.exec_driver_sql(f"REVOKE ALL ON positions FROM {name}")
        found = doctor(*database(reader, candles), code=1)
        assert "permission denied" in found["positions"]["says"]

        with engine.begin() as connection:
            connection.exec_driver_sql(f"REVOKE ALL ON schema_version FROM {name}")
        found = doctor(*database(reader, candles), code=1)
        assert "permission denied for table schema_version" in found["schema"]["says"]
        [step] = found["next"]
        assert step.startswith("Grant the URL's user the right that is missing")
        assert "docs/connect.md" in step

        with engine.begin() as connection:
            connection.exec_driver_sql("REVOKE ALL ON SCHEMA public FROM public")
        found = doctor(*database(reader, candles), code=1)
        assert "the user may see its schema (docs/connect.md)" in found["next"][0]
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {name}")
            connection.exec_driver_sql(f"DROP USER {name}")


def test_odd_positions_are_noted(doctor: Doctor, sqlite_url: str, candles: Path) -> None:
    filled(sqlite_url)
    with sqlite3.connect(sqlalchemy.make_url(sqlite_url).database or "") as connection:
        connection.execute("DELETE FROM account_sizes")
        [(closed, last)] = connection.execute(
            "SELECT position_uuid, order_uuid FROM positions JOIN orders USING (position_uuid) "
            "WHERE is_closed_position AND order_type = 'FLAT' ORDER BY open_ms LIMIT 1"
        )
        connection.execute("DELETE FROM orders WHERE order_uuid = ?", (last,))
    connection.close()
    found = doctor(*database(sqlite_url, candles))["positions"]
    assert found["state"] == "note"
    _, left_open, no_sizes = found["says"].splitlines()
    assert left_open.startswith(
        f"1 position is stored as closed, but its orders leave it open: {closed} (net leverage"
    )
    assert no_sizes.startswith("no account sizes: none in the table account_sizes; every account")


def test_a_wrong_password(doctor: Doctor, mariadb_url: str, candles: Path) -> None:
    url = sqlalchemy.make_url(mariadb_url).set(username="nobody", password=SECRET)
    found = doctor(*database(url.render_as_string(hide_password=False), candles), code=1)

    assert found["database"]["state"] == "to do"
    assert "Check user and password" in found["next"][0]
    assert found["schema"]["state"] == found["positions"]["state"] == "skipped"


def test_a_user_that_postgres_does_not_know(
    doctor: Doctor, postgres_url: str, candles: Path
) -> None:
    url = sqlalchemy.make_url(postgres_url).set(username="nobody", password=SECRET)
    found = doctor(*database(url.render_as_string(hide_password=False), candles), code=1)

    assert found["database"]["state"] == "to do"
    assert "Check user and password" in found["next"][0]


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_host_that_does_not_answer(doctor: Doctor, kind: str, candles: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"{kind}://reader:{SECRET}@127.0.0.1:{port}/ptn"
    found = doctor(*database(url, candles), code=1)

    assert f"{kind}://reader:***@127.0.0.1:{port}/ptn" in found["database"]["says"]
    assert "Check host and port" in found["next"][0]


def test_a_url_that_cannot_be_read_is_an_error(candles: Path) -> None:
    result = invoke(*database(f"oracle://me:{SECRET}@host/x", candles))

    assert isinstance(result.exception, SourceError)


def test_a_schema_that_is_not_ours(doctor: Doctor, postgres_url: str, candles: Path) -> None:
    engine = sqlalchemy.create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE positions (position_uuid TEXT, hotkey TEXT)")
        connection.exec_driver_sql("CREATE TABLE order_rows (order_uuid TEXT)")
    found = doctor(*database(postgres_url, candles), code=1)

    assert found["database"]["state"] == "ok"
    assert "miner_hotkey" in found["schema"]["says"]
    assert "order_rows" in found["schema"]["says"]
    assert found["next"] == ["write a mapping: docs/mapping.md"]
    assert found["positions"]["state"] == "skipped"


def test_a_mapping_is_what_the_schema_is_held_to(
    doctor: Doctor, tmp_path: Path, sqlite_url: str, candles: Path
) -> None:
    filled(sqlite_url)
    file = sqlalchemy.make_url(sqlite_url).database
    with sqlite3.connect(str(file)) as connection:
        connection.execute("ALTER TABLE orders RENAME TO order_rows")
    (tmp_path / "wrong.toml").write_text('[orders]\ntable = "order_row"\n')
    (tmp_path / "right.toml").write_text('[orders]\ntable = "order_rows"\n')
    options = (*database(sqlite_url, candles), "--database-mapping")

    assert "did you mean" in doctor(*options, "wrong.toml", code=1)["schema"]["says"]
    assert doctor(*options, "right.toml")["ready"] is True


def test_an_empty_database(doctor: Doctor, postgres_url: str, candles: Path) -> None:
    found = doctor(*database(postgres_url, candles), code=1)

    assert "positions import" in found["next"][0]


def test_missing_candles(
    doctor: Doctor,
    tmp_path: Path,
    sqlite_url: str,
    candles: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = tmp_path / "candles"
    shutil.copytree(candles, store)
    shutil.rmtree(store / "second")
    shutil.rmtree(store / "minute" / "BTCUSD")
    options = database(filled(sqlite_url), store)
    found = doctor(*options, code=1)

    assert found["minute candles"]["figures"]["BTCUSD"] == 0.0
    assert found["minute candles"]["figures"]["ETHUSD"] == 1.0
    assert found["next"] == [f"ptn-backtest candles pull {store} --for database --provider massive"]
    assert found["second candles"]["state"] == "note"
    # what the command that it names needs comes first
    with monkeypatch.context() as without:
        find = importlib.util.find_spec
        without.setattr(
            importlib.util, "find_spec", lambda name: None if name == "massive" else find(name)
        )
        lacking = doctor(*options, code=1)
    assert lacking["next"] == ["pip install 'ptn-backtest[providers]'", *found["next"]]
    # a run of the same setup refuses for the same reason
    assert CliRunner().invoke(cli, ["run", *options]).exception is not None
    assert doctor(*options, "--missing-candles", "hold")["minute candles"]["state"] == "note"


def test_no_store(doctor: Doctor, tmp_path: Path, sqlite_url: str) -> None:
    options = ("--use-database-positions", "--database-url", filled(sqlite_url))

    assert "candles pull candles" in doctor(*options, code=1)["next"][0]
    found = doctor(*options, "--candles", str(tmp_path / "none"), code=1)
    assert "no candle store" in found["candles"]["says"]


def test_positions_that_are_set_aside_and_none_at_all(
    doctor: Doctor, sqlite_url: str, candles: Path
) -> None:
    filled(sqlite_url)
    with sqlite3.connect(str(sqlalchemy.make_url(sqlite_url).database)) as connection:
        connection.execute("UPDATE orders SET price = -1 WHERE rowid = 1")
    options = database(sqlite_url, candles)

    found = doctor(*options)["positions"]
    assert (found["state"], found["figures"]["rejected"]) == ("note", {"invalid_price": 1})
    assert doctor(*options, "--strict", code=1)["positions"]["state"] == "to do"
    assert (
        "none of the traders"
        in doctor(*options, "--hotkeys", "5Nobody", code=1)["positions"]["says"]
    )


def test_settings_that_contradict_each_other(doctor: Doctor) -> None:
    found = doctor("--use-test-positions", "--use-database-positions", code=1)

    assert "contradict each other" in found["settings"]["says"]


def test_settings_that_cannot_be_read() -> None:
    assert isinstance(invoke("--interval-ms", "soon").exception, ConfigError)


def test_a_rulebook_that_does_not_load(doctor: Doctor) -> None:
    found = doctor("--use-test-positions", "--rulebook", "2031-01", code=1)

    assert found["rulebook"]["state"] == "to do"


def test_the_extras_are_those_of_the_package() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = declared["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"results", "dev"}
    brought_by = packages_distributions()
    for extra, modules in EXTRAS.items():
        names = " ".join(extras[extra]).lower().replace("-", "_")
        for module in modules:
            [distribution] = set(brought_by[module])
            assert distribution.lower().replace("-", "_") in names, f"{extra} brings no {module}"


def test_extras_that_are_needed_and_not_there() -> None:
    facts = InstallationFacts("3.11.0", {}, {"mysql": ["pymysql"], "excel": ["xlsxwriter"]})

    assert check_extras(facts, []).state is State.OK
    assert check_extras(facts, []).says.endswith("not needed here: mysql, excel")
    pulls = check_extras(InstallationFacts("3.11.0", {}, {"providers": ["ccxt"]}), []).says
    assert "not needed" not in pulls
    assert pulls.endswith("providers is not installed, which `candles pull` needs")
    found = check_extras(facts, ["mysql"])
    assert (found.state, found.next_step) == (State.TO_DO, "pip install 'ptn-backtest[mysql]'")


def test_shares_of_candles() -> None:
    pair = PairCandles("BTCUSD", 1_000, 250, 50, 400, 100, "BTCUSD minute ...")
    found = check_minutes([pair], "store s", hold=False, pull="pull it")
    assert (found.state, found.next_step) == (State.TO_DO, "pull it")
    assert found.figures == {"BTCUSD": 0.75}

    known = PairCandles("BTCUSD", 1_000, 0, 50, 400, 0)
    found = check_minutes([known], "store s", hold=False, pull="pull it")
    assert found.state is State.OK
    assert "50" in found.says
    assert check_seconds([known], "pull it").state is State.NOTE
    assert check_seconds([pair], "pull it").figures == {"BTCUSD": 0.25}


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (SparkFacts(pyspark=False, java=21, remote=""), State.TO_DO),
        (SparkFacts(pyspark=True, java=None, remote=""), State.TO_DO),
        (SparkFacts(pyspark=True, java=11, remote=""), State.TO_DO),
        (SparkFacts(pyspark=True, java=17, remote=""), State.OK),
        (SparkFacts(pyspark=True, java=None, remote="sc://host"), State.OK),
    ],
)
def test_spark(facts: SparkFacts, state: State) -> None:
    assert check_spark(facts).state is state


def test_the_java_of_this_machine_is_understood(doctor: Doctor) -> None:
    if shutil.which("java") is None:
        cannot_run("no Java to test with")
    found = doctor("--use-test-positions", "--parallel-mode", "PYSPARK")

    assert found["Spark"]["figures"]["java"] >= 17


def test_disk_and_memory() -> None:
    assert check_disk(10, 20, Path("runs")).state is State.TO_DO
    assert check_disk(20, 10, Path("runs")).state is State.OK
    assert check_memory(10, 20).state is State.TO_DO
    assert check_memory(None, 20).state is State.OK
    pair = PairCandles("BTCUSD", 1_000_000, 0, 0, 0, 0)
    assert estimate_memory(10, [pair, pair]) > estimate_memory(10, [pair]) > estimate_memory(0, [])


@pytest.mark.parametrize(
    ("grant", "rights"),
    [
        ("GRANT USAGE ON *.* TO `r`@`%`", ()),
        ("GRANT SELECT ON `ptn`.* TO `r`@`%`", ()),
        ("GRANT SELECT, INSERT ON `ptn`.`orders` TO `r`@`%`", ("INSERT on ptn.orders",)),
        ("GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION", ("ALL PRIVILEGES on *.*",)),
        ("GRANT INSERT ON `other`.* TO `r`@`%`", ()),
        (r"GRANT UPDATE ON `ptn\_x`.* TO `r`@`%`", ()),
    ],
)
def test_what_mysql_grants(grant: str, rights: tuple[str, ...]) -> None:
    assert mysql_write_rights([grant], "ptn") == rights


def test_quotes_are_looked_for_where_a_run_takes_them(
    doctor: Doctor, sqlite_url: str, candles: Path
) -> None:
    filled(sqlite_url)
    assert "quotes" not in doctor(*database(sqlite_url, candles))
    found = doctor(*database(sqlite_url, candles), "--fetch-slippage-data")["quotes"]
    # the synthetic candles have bid and ask around every order
    assert (found["state"], found["figures"]["without_quote"]) == ("ok", {})

    folder = candles.parent / "bare"
    bare = CandleStore.create(folder)
    made = CandleStore(candles)
    for pair in made.pairs():
        for timespan in Timespan:
            table = made.read_table(pair, timespan)
            bare.write(pair, timespan, table.drop_columns(["bid", "ask"]))
    found = doctor(*database(sqlite_url, folder), "--fetch-slippage-data")["quotes"]
    assert found["state"] == "note"
    assert found["figures"]["without_quote"] == {"EURUSD": 10, "GBPUSD": 5}
    assert "ptn-backtest candles pull-quotes" in found["next_step"]
    assert "no bid and ask for 15 orders of EURUSD, GBPUSD" in found["says"]

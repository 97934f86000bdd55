"""SQL over a run: what it answers, what it refuses, and in which words."""

from pathlib import Path

import pyarrow as pa
import pytest

from ptn_backtest import Run, load_run
from ptn_backtest.errors import QueryError
from ptn_backtest.results.catalogue import catalogue
from ptn_backtest.results.query import QueryLimits, select


@pytest.fixture(scope="session")
def run(real_run: Path) -> Run:
    return load_run(real_run)


def test_every_table_is_there_and_whole(run: Run) -> None:
    names = [str(name) for name in run.select("SHOW TABLES")["name"].to_pylist()]
    assert sorted(names) == sorted(catalogue())
    for name in names:
        (count,) = run.select(f"SELECT count(*) AS n FROM {name}")["n"].to_pylist()
        assert count == len(run.table(name))


def test_a_query_over_several_tables(run: Run) -> None:
    found = run.sql(
        "SELECT trade_pair_id, count(*) AS n, sum(o.slippage_change) AS slippage "
        "FROM orders o JOIN positions p USING (position_uuid, trade_pair_id) "
        "WHERE p.is_closed_position GROUP BY ALL ORDER BY n DESC, 1"
    )
    orders, positions = run.orders(), run.positions()
    closed = positions[positions.is_closed_position].position_uuid
    mine = orders[orders.position_uuid.isin(closed)]
    expected = mine.groupby("trade_pair_id").slippage_change.agg(["size", "sum"])
    assert dict(zip(found.trade_pair_id, found.n, strict=True)) == expected["size"].to_dict()
    assert found.slippage.sum() == pytest.approx(expected["sum"].sum())


def test_sums_of_integers_are_integers(run: Run) -> None:
    table = run.select(
        "SELECT sum(n_updates) AS n, sum(n_updates) * 1e18::HUGEINT AS m FROM checkpoints"
    )
    assert table.schema.field("n").type == pa.int64()
    assert table.schema.field("m").type == pa.float64()
    total = sum(
        cps["n_updates"].sum()
        for cps in (
            ledger.cps
            for hotkey in run.hotkeys
            for ledger in (
                run.perf_ledger(hotkey, name) for name in ("portfolio", *run.pairs(hotkey))
            )
        )
    )
    assert table["n"].to_pylist() == [total]


def test_figures_are_json(run: Run) -> None:
    rows = run.select(
        "SELECT (figures->>'limit_percent')::DOUBLE AS percent FROM events WHERE kind = 'ELIMINATED'"
    )
    assert rows["percent"].to_pylist() == [10.0, 10.0]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM '{parquet}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM sniff_csv('{file}')",
        "FROM query('FROM read_text(''{file}'')')",
        "COPY events TO '{folder}/new.csv'",
        "EXPORT DATABASE '{folder}/new'",
        "ATTACH '{folder}/new.db'",
        "EXPLAIN ANALYZE COPY events TO '{folder}/new.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "CREATE TABLE mine AS SELECT 1",
        "DROP VIEW events",
        "CALL pragma_version()",
        "SELECT * FROM run",  # a variable of the test
        "SELECT * FROM os",
    ],
)
def test_nothing_but_the_run_is_read_and_nothing_is_written(
    run: Run, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("password\nhunter2\n")
    places = {"file": secret, "folder": tmp_path, "parquet": run.path / "events.parquet"}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError) as refused:
        run.select(query.format(**places))
    assert "hunter2" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [secret]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT last_updat FROM checkpoints",
            r"did you mean last_update_ms \(checkpoints, attribution\)",
        ),
        ("SELECT c.gains FROM checkpoints c", r'"gains"; did you mean gain \(checkpoints\) or'),
        ("SELECT xyzzy FROM checkpoints", r"--tables lists all columns"),
        ("SELECT * FROM checkpoint", r"checkpoint does not exist; did you mean checkpoints\?"),
        ("SELECT * FROM trades", r"did you mean orders\?"),
        ("SELECT * FROM xyzzy", r"the tables are ledgers, checkpoints"),
        ("SELEC 1", r'syntax error at or near "SELEC"\n  LINE 1: SELEC 1\n +\^'),
        ("SELECT 1; SELECT 2", "has 2 statements: give one SELECT"),
        ("  ", "has 0 statements"),
        ("DELETE FROM events", "DELETE is refused: a run is only read"),
        ("SELECT miner_hotkey::INT FROM events", "Could not convert string"),
        ("SELECT $1", "cannot be answered"),
    ],
)
def test_errors_say_what_is_near(run: Run, query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        run.select(query)


def test_numbers_that_are_not_finite_are_compared_as_sql_does() -> None:
    table = pa.table({"x": [1.0, float("nan"), float("inf"), None]})
    answer = select("SELECT count(*) FILTER (x > 5) AS n, count(x) AS m FROM t", {"t": table})
    assert answer.to_pylist() == [{"n": 2, "m": 3}]  # NaN is above all numbers


def test_an_answer_within_limits(run: Run) -> None:
    whole = run.select("SELECT * FROM checkpoints ORDER BY ALL")
    some = run.select("SELECT * FROM checkpoints ORDER BY ALL", QueryLimits(rows=7))
    assert some.equals(whole.slice(0, 7))
    assert len(run.select("SELECT * FROM checkpoints", QueryLimits(rows=10**9))) == len(whole)
    assert len(run.select("SELECT * FROM range(1000000000000)", QueryLimits(rows=5))) == 5
    assert run.select("SELECT 1 AS n WHERE false", QueryLimits(rows=5)).column_names == ["n"]


def test_a_query_that_takes_too_much_is_stopped(run: Run) -> None:
    endless = "SELECT count(*) FROM range(100000000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3"
    with pytest.raises(QueryError, match=r"took more than 0.2 s and was stopped"):
        run.select(endless, QueryLimits(seconds=0.2))
    large = "SELECT list(range) FROM range(50000000)"
    with pytest.raises(QueryError, match=r"(?i)memory"):
        run.select(large, QueryLimits(memory_mb=50))
    assert run.select("SELECT 1 AS n", QueryLimits(seconds=5))["n"].to_pylist() == [1]

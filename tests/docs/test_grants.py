"""The GRANT statements of docs/connect.md make a user who may read, and may not write."""

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from ptn_backtest.sources.bundled import BundledPositionSource
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.examining import Stage, examine_database
from ptn_backtest.sources.database.writing import write_records
from tests.docs.pages import ROOT, blocks


def statements(kind: str) -> list[str]:
    for block in blocks((ROOT / "docs" / "connect.md").read_text()):
        if block.language == "sql" and block.text.startswith(f"-- {kind}\n"):
            text = block.text.partition("\n")[2]
            return [line.strip() for line in text.split(";") if line.strip()]
    raise AssertionError(f"no statements for {kind}")


@pytest.mark.parametrize(("kind", "server"), [("PostgreSQL", "postgres"), ("MySQL", "mariadb")])
def test_a_reader(kind: str, server: str, request: pytest.FixtureRequest) -> None:
    given = request.getfixturevalue(f"{server}_url")
    write_records(given, BundledPositionSource().read())
    url = sqlalchemy.make_url(given)
    assert url.database is not None
    name = f"reader_{url.database[-12:]}"
    engine = sqlalchemy.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements(kind):
            text = statement.replace("reader", name).replace("ptn", url.database)
            connection.exec_driver_sql(text.replace("%", "%%") if server == "mariadb" else text)
        try:
            reader = url.set(username=name, password="choose one")  # noqa: S106 - as documented
            text = reader.render_as_string(hide_password=False)
            found = examine_database(text)
            assert (found.stage, found.may_write, found.fault) == (Stage.DONE, (), "")
            assert len(list(DatabasePositionOrderSource(text).read())) == 19
        finally:
            if server == "postgres":
                connection.exec_driver_sql(f"DROP OWNED BY {name}")
                connection.exec_driver_sql(f"DROP USER {name}")
            else:
                connection.exec_driver_sql(f"DROP USER '{name}'@'%%'")

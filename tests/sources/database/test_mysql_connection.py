"""Connections to MySQL are as PyMySQL's own, but read certificates only to check them."""

import ssl
from typing import Any

import pytest
import sqlalchemy

from ptn_backtest.sources.database.connect import open_engine, parse_url

pymysql = pytest.importorskip("pymysql")


def context(kind: Any, options: dict[str, Any]) -> ssl.SSLContext:
    made: ssl.SSLContext = kind(defer_connect=True)._create_ssl_ctx(options)
    return made


def test_unasked_tls_is_that_of_pymysql() -> None:
    from ptn_backtest.sources.database.mysql_connection import (  # noqa: PLC0415 - optional
        MySQLConnection,
    )

    ours, theirs = (context(kind, {}) for kind in (MySQLConnection, pymysql.Connection))
    for name in ("protocol", "options", "verify_mode", "check_hostname", "minimum_version"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("read_only", [True, False])
def test_no_certificates_are_read(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch, *, read_only: bool
) -> None:
    def read(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", read)
    with open_engine(parse_url(mariadb_url), read_only=read_only).connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1


def test_a_certificate_that_is_asked_for_is_read(mariadb_url: str) -> None:
    url = parse_url(f"{mariadb_url}?ssl_ca=no_such_file.pem")
    with pytest.raises(FileNotFoundError), open_engine(url, read_only=True).connect():
        pass

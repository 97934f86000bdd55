"""`serve` as a user starts and ends it."""

import gc
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from ptn_backtest.cli.main import cli
from ptn_backtest.errors import ConfigError, SourceUnavailable
from ptn_backtest.results.run_folder import write_run
from tests.results.made_networks import network_run


@contextmanager
def started(*options: object, env: dict[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """The address that the server printed, and all that it printed (once it has ended)."""
    command = [sys.executable, "-m", "ptn_backtest.cli.main", "serve", *map(str, options)]
    printed: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as server:
        assert server.stdout is not None
        try:
            printed.append(server.stdout.readline())
            found = re.search(r"http://\S+", printed[0])
            assert found, printed
            yield found[0], printed
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0
            printed += server.stdout.readlines()
        finally:
            server.kill()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_run(tmp_path / "runs" / "made", network_run())
    return tmp_path / "runs"


def test_on_this_machine_without_a_token(runs: Path) -> None:
    with started(runs, "--port", 0) as (address, printed):
        assert address.startswith("http://127.0.0.1:")
        assert "token" not in address
        page = urllib.request.urlopen(address).read().decode()  # noqa: S310 - our own address
        assert "/run/made" in page
    assert "Ctrl-C ends the server" in "".join(printed)


def test_one_run_alone(runs: Path) -> None:
    with started(runs / "made", "--port", 0) as (address, _):
        page = urllib.request.urlopen(f"{address}run/made").read().decode()  # noqa: S310
        assert "Leaderboard" in page


def test_elsewhere_with_a_token(runs: Path) -> None:
    with started(runs, "--port", 0, "--host", "0.0.0.0") as (address, printed):  # noqa: S104
        bare, _, token = address.partition("?token=")
        assert len(token) >= 30
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(bare)  # noqa: S310
    assert "".join(printed).count(token) == 1


def test_what_cannot_be_served(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(*options: object) -> BaseException | None:
        return CliRunner().invoke(cli, ["serve", *map(str, options)]).exception

    missing = failed(tmp_path / "nothing")
    assert isinstance(missing, ConfigError)
    assert "Give the folder that runs are written to" in str(missing)
    assert isinstance(failed(runs, "--host", "256.0.0.1"), ConfigError)
    monkeypatch.setitem(sys.modules, "starlette", None)
    without = failed(runs)
    assert isinstance(without, SourceUnavailable)
    assert "pip install 'ptn-backtest[web]'" in str(without)


def test_a_port_in_use(runs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(cli, ["serve", str(runs), "--port", str(port)])
    assert isinstance(done.exception, ConfigError)
    assert f"cannot listen on 127.0.0.1, port {port}" in str(done.exception)
    assert "Give another --port (0 takes a free one)" in str(done.exception)
    gc.collect()  # a socket that nobody closed would warn now

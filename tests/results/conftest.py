"""A run folder as a user's run leaves it: the test positions, all rules on."""

from pathlib import Path

import pytest

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.results.run_folder import write_run


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six traders over a month, two of them eliminated."""
    config = BacktestConfig(
        use_test_positions=True, run_challenge=True, run_elimination=True, run_scoring=True
    )
    return write_run(tmp_path_factory.mktemp("runs") / "real", run_backtest(config))

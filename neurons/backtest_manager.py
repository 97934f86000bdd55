"""Replay positions with the flags below: `python neurons/backtest_manager.py`.

Every flag is a setting of `ptn-backtest run`, which has more of them (`ptn-backtest run --help`);
`docs/configuration.md` explains each one.
"""

from ptn_backtest import ParallelizationMode
from ptn_backtest.cli.run import run_flags

# ============= CONFIGURATION FLAGS =============
use_test_positions = True  # Use the bundled synthetic test positions
use_database_positions = False  # Use positions from a database
run_challenge = False  # Run challenge period logic
run_elimination = False  # Run elimination logic
use_slippage = False  # Apply slippage: True always, False never, None by the network's date
build_portfolio_ledgers_only = True  # Whether to build only the portfolio ledgers or per trade pair
parallel_mode = ParallelizationMode.SERIAL  # 1 for pyspark, 2 for multiprocessing

# Where positions and candles are; None for database_url asks the package taoshi.ts.ptn
database_url: str | None = None  # "postgresql://reader@localhost/ptn"; better in the environment
database_mapping: str | None = None  # Names of its tables, where they are not ours: docs/mapping.md
candles: str | None = None  # Folder of a candle store; the test positions bring their own
missing_candles = "error"  # "hold" keeps the last value where a candle is missing

# Time range for the database query
start_time_ms: int | str | None = None  # 1735689600000
end_time_ms: int | str | None = None  # 1736035200000
test_single_hotkey: str | None = None  # Specific miner or None for all

if __name__ == "__main__":
    run_flags(
        use_test_positions=use_test_positions,
        use_database_positions=use_database_positions,
        database_url=database_url,
        database_mapping=database_mapping,
        candles=candles,
        missing_candles=missing_candles,
        start_time_ms=start_time_ms,
        end_time_ms=end_time_ms,
        test_single_hotkey=test_single_hotkey,
        run_challenge=run_challenge,
        run_elimination=run_elimination,
        use_slippage=use_slippage,
        build_portfolio_ledgers_only=build_portfolio_ledgers_only,
        parallel_mode=parallel_mode,
    )

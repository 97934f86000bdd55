"""From a parallel mode to what carries it out."""

from ptn_backtest.backtest.execution.contract import Execution, ParallelizationMode, Serial
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.prices.candles import CandleSource


def check_mode(mode: ParallelizationMode) -> None:
    """Refuse a mode that this machine is not prepared for, before anything is loaded.

    Raises:
        ExecutionError: the message says what to install.
    """
    if mode is ParallelizationMode.PYSPARK:
        from ptn_backtest.backtest.execution.spark import (  # noqa: PLC0415 - an extra
            require_spark,
        )

        require_spark()


def open_execution(
    mode: ParallelizationMode,
    candles: CandleSource,
    traders: Traders,
) -> Execution:
    """What carries a mode out; to be closed.

    Args:
        mode: the mode.
        candles: where the prices of the replay come from.
        traders: whose ledgers will be built.

    Raises:
        ExecutionError: the mode cannot be used here.
    """
    if mode is ParallelizationMode.MULTIPROCESSING:
        from ptn_backtest.backtest.execution.processes import (  # noqa: PLC0415 - on demand
            Processes,
        )

        return Processes(traders)
    if mode is ParallelizationMode.PYSPARK:
        from ptn_backtest.backtest.execution.spark import Spark  # noqa: PLC0415 - an extra

        return Spark(candles, traders)
    return Serial()

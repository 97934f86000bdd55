"""How traders are worked on: one after the other, in processes, or on a Spark cluster.

    contract    what every mode promises, and SERIAL
    processes   MULTIPROCESSING, with pool, worker and arena under it
    spark       PYSPARK, with spark_tasks on the executors

Every mode gives the same bytes; `docs/parallel.md` says when to use which.
"""

from ptn_backtest.backtest.execution.contract import Execution, ParallelizationMode
from ptn_backtest.backtest.execution.opening import check_mode, open_execution

__all__ = ["Execution", "ParallelizationMode", "check_mode", "open_execution"]

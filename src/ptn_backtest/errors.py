"""Every error that this package raises on purpose.

    BacktestError
    ├── ConfigError            a setting is missing, malformed or contradicts another
    ├── SourceError            positions cannot be read (or written) at all
    │   ├── SourceUnavailable  a driver, package, file or server is not there
    │   └── SchemaError        the database's tables or columns are not as expected
    ├── InvalidPosition        one position cannot be replayed (it is set aside, or stops a strict run)
    ├── UnknownTradePair       an id that is not in the table of trade pairs
    ├── CandleError            candles are malformed
    │   ├── MissingCandles     candles that a run needs are not in the store
    │   └── ProviderError      a provider of candles refuses, or does not answer sensibly
    ├── SlippageError          an order's slippage has no rule
    ├── LedgerError            a ledger cannot be continued from the given state
    ├── ExecutionError         workers died, or a cluster cannot be used
    ├── BundleError            a replay bundle is malformed
    └── QueryError             a query on a run's tables cannot be answered

Each message says what was wrong, where, and what to do.
"""

from collections.abc import Sequence


class BacktestError(Exception):
    """Base of all errors below; a command prints it without a traceback."""


class ExecutionError(BacktestError):
    """Workers died, or a cluster cannot be used; what was done by then is kept."""


class ConfigError(BacktestError):
    """A setting is missing, malformed, or contradicts another one."""


class SourceError(BacktestError):
    """Positions cannot be read from, or written to, a source."""


class SourceUnavailable(SourceError):  # noqa: N818 - reads as what it is
    """A driver, package, file or server that a source needs is not there."""


class SchemaError(SourceError):
    """A database's tables or columns are not what the schema or mapping says."""


class InvalidPosition(BacktestError):  # noqa: N818
    """One position cannot be replayed."""


class UnknownTradePair(BacktestError):  # noqa: N818
    """A trade pair id that is not in the table of trade pairs."""


class CandleError(BacktestError):
    """Candles are malformed, or a candle store cannot be read."""


class MissingCandles(CandleError):  # noqa: N818
    """Candles that a run needs are not in the store."""


class ProviderError(CandleError):
    """A provider of candles refuses a request, or does not answer sensibly; never shows a key."""


class SlippageError(BacktestError):
    """The rules give no slippage for an order."""


class LedgerError(BacktestError):
    """A ledger cannot be built, or continued from the given state."""


class BundleError(BacktestError):
    """A replay bundle is malformed or incomplete."""


class QueryError(BacktestError):
    """A query on a run's tables is malformed, names what is not there, or is refused."""


def some_of(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list as a message tells them, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")

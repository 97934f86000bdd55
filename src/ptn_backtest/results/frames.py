"""Arrow tables as pandas or polars frames; both packages are extras."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.errors import ConfigError, SourceUnavailable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["FrameKind", "frame", "indexed", "require", "time_index"]

FrameKind: TypeAlias = Literal["pandas", "polars"]


def require(package: str, extra: str, what: str) -> Any:  # noqa: ANN401 - a module
    """An optional package.

    Raises:
        SourceUnavailable: it is not installed; the message says what installs it.
    """
    import importlib  # noqa: PLC0415 - only here

    try:
        return importlib.import_module(package)
    except ImportError:
        raise SourceUnavailable(
            f"{what} needs {package}: pip install 'ptn-backtest[{extra}]'"
        ) from None


def frame(table: pa.Table, as_: FrameKind) -> "pd.DataFrame | pl.DataFrame":
    """A table as a frame, with the columns of the table.

    Raises:
        ConfigError: `as_` is neither.
        SourceUnavailable: the package is not installed.
    """
    if as_ == "pandas":
        require("pandas", "pandas", "a pandas frame")
        return table.to_pandas()
    if as_ == "polars":
        polars: Any = require("polars", "polars", "a polars frame")
        return polars.from_arrow(table)
    raise ConfigError(f"as_ is {as_!r}: give 'pandas' or 'polars'")


def time_index(times: NDArray[Any], name: str) -> "pd.DatetimeIndex":
    """A UTC index in nanoseconds, which every library of the field takes."""
    pandas = require("pandas", "pandas", "a pandas series")
    return pandas.DatetimeIndex(times.astype("datetime64[ns]"), name=name).tz_localize("UTC")


def indexed(times_ms: NDArray[np.int64], table: pa.Table, as_: FrameKind) -> Any:  # noqa: ANN401
    """A table with times: as pandas' index, or as polars' first column; both named "time"."""
    if as_ == "polars":
        times = pa.array(times_ms).cast(pa.timestamp("ms", "UTC"))
        return frame(table.add_column(0, "time", times), as_)
    made: Any = frame(table, as_)
    return made.set_axis(time_index(times_ms.astype("datetime64[ms]"), "time"), axis=0)

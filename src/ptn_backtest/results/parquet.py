"""Parquet files of a run folder: exact schemas, equal bytes for equal tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from ptn_backtest.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow.dataset as ds

FORMAT_VERSION = 3
"""Version of the whole run folder; it rises with every change of a file's columns or keys."""

Column: TypeAlias = tuple[str, pa.DataType]


def table_schema(columns: Iterable[Column], nullable: Iterable[Column] = ()) -> pa.Schema:
    """A schema of columns that are never null, then of those that may be."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in columns]
    fields += [pa.field(name, kind, nullable=True) for name, kind in nullable]
    return pa.schema(fields, metadata={"ptn_backtest.format_version": str(FORMAT_VERSION)})


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table; equal tables give equal bytes.

    Floats hardly repeat: a dictionary of them makes files larger and writing slower.
    """
    repeating = [f.name for f in table.schema if not pa.types.is_floating(f.type)]
    pq.write_table(table, path, compression="zstd", use_dictionary=repeating)  # type: ignore[arg-type]


def read_table(path: Path, schema: pa.Schema, where: "ds.Expression | None" = None) -> pa.Table:
    """Read a table that has exactly these columns.

    Args:
        path: the file.
        schema: its columns.
        where: only rows for which this holds; None for all.

    Raises:
        ConfigError: it cannot be read, or has other columns.
    """
    try:
        table = pq.read_table(
            path, partitioning=None, filters=where
        )  # "a=b" in a path is not a column
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(path, error) from None
    _require(table.schema, schema, path)
    return table


def open_table(path: Path, schema: pa.Schema) -> "ds.Dataset":
    """A table that has exactly these columns, of which nothing but the footer is read yet.

    Raises:
        ConfigError: as `read_table`.
    """
    import pyarrow.dataset as ds  # noqa: PLC0415 - it imports pandas, where that is installed

    try:
        found = ds.dataset(path, format="parquet")
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(path, error) from None
    _require(found.schema, schema, path)
    return found


def _unreadable(path: Path, error: Exception) -> ConfigError:
    # Arrow says the path twice, or nothing else where there is no file
    reason = "there is no such file" if not path.exists() else str(error).partition("\n")[0]
    return ConfigError(
        f"{path} cannot be read: {reason.rstrip('.')}. Repeat the run, or restore the file"
    )


def _require(found: pa.Schema, schema: pa.Schema, path: Path) -> None:
    if found.equals(schema):
        return
    missing = sorted(set(schema.names) - set(found.names))
    raise ConfigError(
        f"{path} has other columns than format version {FORMAT_VERSION}"
        + (f": {', '.join(missing)} missing" if missing else " (types or order differ)")
        + ". Repeat the run"
    )

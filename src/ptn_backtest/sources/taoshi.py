"""Positions through the network's private package `taoshi.ts.ptn`, where it is installed."""

import importlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from ptn_backtest.errors import SourceError, SourceUnavailable
from ptn_backtest.sources import shapes
from ptn_backtest.sources.passwords import hide_passwords
from ptn_backtest.sources.plagiarism import PlagiarismEvents
from ptn_backtest.sources.records import ALL, EliminationRecord, PositionQuery, PositionRecord
from ptn_backtest.sources.selection import select

log = logging.getLogger(__name__)

_ENVIRONMENT = {"TAOSHI_TS_DEPLOYMENT": "DEVELOPMENT", "TAOSHI_TS_PLATFORM": "LOCAL"}

_NOT_INSTALLED = (
    "the package {package} is not installed: install taoshi-ts-ptn (it is private; the network's "
    "developers give access) into this environment, or read the database directly by giving its "
    "URL, such as mysql://user:password@host/taoshi-ts-ptn, with a mapping file for its "
    "table and column names"
)


class TaoshiPositionOrderSource:
    """The production database through `taoshi.ts.ptn.DatabasePositionOrderSource`.

    The environment variables TAOSHI_TS_DEPLOYMENT and TAOSHI_TS_PLATFORM are set to DEVELOPMENT
    and LOCAL where they are unset, before the package is imported.
    """

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def describe(self) -> str:
        """The source in words."""
        return "taoshi.ts.ptn"

    def read(self, query: PositionQuery = ALL) -> Iterator[PositionRecord]:
        """Positions by hotkey, open time and uuid.

        The package is asked for everything up to the query's end; the query's start is applied
        here, because positions opened before it may be open in the range.

        Raises:
            SourceUnavailable: the package is not installed, or cannot be imported.
            SourceError: its database cannot be read, or it answers in an unknown shape.
        """
        package = _import("taoshi.ts.ptn.wiring", "taoshi.ts.ptn")
        if query.hotkeys == ():  # the package takes an empty list for everyone
            return iter(())
        started = time.perf_counter()
        try:
            answer = package.DatabasePositionOrderSource().get_positions_with_orders(
                start_ms=0,
                end_ms=time.time_ns() // 1_000_000 if query.end_ms is None else query.end_ms,
                miner_hotkeys=list(query.hotkeys or ()),
            )
            raws = list(_traders(answer))
        except SourceError:
            raise
        except Exception as error:
            raise _failed("positions", error) from error
        log.info(
            "taoshi.ts.ptn gave %d positions in %.3f s", len(raws), time.perf_counter() - started
        )
        records = (
            shapes.position_record(
                raw,
                origin=f"taoshi.ts.ptn position {shapes.value_of(raw, 'position_uuid', '?')}",
                hotkey=hotkey,
                price_sources=query.price_sources,
            )
            for hotkey, raw in raws
        )
        return select(records, query)

    def read_account_sizes(self, query: PositionQuery = ALL) -> shapes.AccountSizes:
        """Always empty: the package has no known call for account sizes (logged as a warning)."""
        del query
        log.warning("taoshi.ts.ptn gives no account sizes: see docs/positions.md")
        return {}

    def read_eliminations(self, query: PositionQuery = ALL) -> list[EliminationRecord]:
        """Every recorded elimination, through `taoshi.ts.ptnhs.eliminationsdatabase`.

        Raises:
            SourceUnavailable: the package is not installed, or cannot be imported.
            SourceError: its database cannot be read.
        """
        from sqlalchemy.orm import Session  # noqa: PLC0415 - slow, and needed here only

        _import("taoshi.ts.ptn")
        database = _import("taoshi.ts.ptnhs.eliminationsdatabase")
        model = _import("taoshi.ts.model").EliminationModel
        try:
            with Session(database.EliminationsDatabase().ptn_db_editor) as session:
                rows = session.query(model).all()
                return shapes.eliminations(rows, "taoshi.ts.ptnhs", query)
        except Exception as error:
            raise _failed("eliminations", error) from error

    def read_plagiarism_events(self, query: PositionQuery = ALL) -> PlagiarismEvents:
        """Always none: the package has no known call for them (logged)."""
        del query
        log.info("taoshi.ts.ptn gives no plagiarism events: set plagiarism_events to a file")
        return PlagiarismEvents()


def _import(*names: str) -> ModuleType:
    """Import the modules in order; the last one."""
    for name, value in _ENVIRONMENT.items():
        if not os.environ.get(name):
            os.environ[name] = value
    try:
        return [importlib.import_module(name) for name in names][-1]
    except ModuleNotFoundError as error:
        if error.name in _with_parents(names):
            raise SourceUnavailable(_NOT_INSTALLED.format(package=error.name)) from error
        raise _broken(names[-1], error) from error
    except Exception as error:  # a package may fail in any way while it is imported
        raise _broken(names[-1], error) from error


def _with_parents(names: Iterable[str]) -> set[str]:
    """The modules and the packages that they are in."""
    return {name.rsplit(".", depth)[0] for name in names for depth in range(name.count(".") + 1)}


def _broken(name: str, error: Exception) -> SourceUnavailable:
    return SourceUnavailable(
        f"{name} is installed, but importing it failed: {type(error).__name__}: "
        f"{hide_passwords(str(error))}; install what it needs, or check its configuration"
    )


def _failed(what: str, error: Exception) -> SourceError:
    return SourceError(
        f"taoshi.ts.ptn could not read {what}: {type(error).__name__}: "
        f"{hide_passwords(str(error))}; check the database's address and credentials "
        "in the package's configuration"
    )


def _traders(answer: object) -> Iterator[tuple[str | None, Any]]:
    """Both shapes that the package has answered in: {hotkey: [positions]}, and a flat list."""
    if isinstance(answer, Mapping):
        for hotkey, positions in answer.items():
            yield from ((hotkey, position) for position in positions)
    elif isinstance(answer, Iterable) and not isinstance(answer, str | bytes):
        yield from ((None, position) for position in answer)
    else:
        raise SourceError(
            f"taoshi.ts.ptn answered with {type(answer).__name__}, expected a dict of positions "
            "by hotkey or a list of positions"
        )

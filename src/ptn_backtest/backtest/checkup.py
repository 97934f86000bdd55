"""Is a setup ready for a run? Each check is a function of facts; `checkup_facts` finds those.

A check says what is the case and, where there is something to do, what to do next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from ptn_backtest.clock import format_date
from ptn_backtest.positions.quotes import QuoteReport
from ptn_backtest.sources.database.examining import DatabaseFacts, Stage
from ptn_backtest.trade_pairs import TradePair

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("psycopg",),
    "mysql": ("pymysql", "cryptography"),
    "bulk": ("adbc_driver_postgresql", "adbc_driver_sqlite", "connectorx"),
    "reports": ("matplotlib",),
    "equities": ("exchange_calendars",),
    "spark": ("pyspark",),
    "remote": ("upath",),
    "providers": ("massive", "ccxt", "requests", "tenacity"),
    "query": ("duckdb",),
    "excel": ("xlsxwriter",),
    "pandas": ("pandas",),
    "polars": ("polars",),
    "tearsheet": ("quantstats",),
    "web": ("starlette", "uvicorn"),
}
"""{extra: what it lets be imported}; a test compares it with pyproject.toml."""

OLDEST_JAVA = 17
_SHOWN_PAIRS = 6

# what a run needs, measured with `python -m benchmarks.network small network` (docs/performance.md)
_BASE_BYTES = 600_000_000
_BYTES_A_CANDLE = 16
_BYTES_AN_ORDER = 1_100
_WRITTEN_BYTES_AN_ORDER = 700
_WRITTEN_BYTES = 2_000_000


class State(StrEnum):
    """What a check came to."""

    OK = "ok"
    NOTE = "note"
    TO_DO = "to do"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what was looked at, in a word or two.
        state: NOTE does not stand in the way of a run, TO_DO does, or may.
        says: what is the case.
        next_step: what to do; "" where there is nothing.
        figures: the same as numbers, JSON-ready.
    """

    check: str
    state: State
    says: str
    next_step: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstallationFacts:
    """What is installed: versions by package, and of each extra the modules that are missing."""

    python: str
    versions: Mapping[str, str]
    missing: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class PositionFacts:
    """What the source holds of the traders and times asked for.

    Attributes:
        source: in words, without credentials.
        counts: traders, positions and orders that can be replayed.
        first_ms: time of the first order; None without positions.
        last_ms: time of the last one.
        rejected: {reason: positions that are set aside}.
        fault: why they cannot be read; "" where they can.
        notes: sentences on what is odd about those that can be replayed.
    """

    source: str
    counts: Mapping[str, int] = field(default_factory=dict)
    first_ms: int | None = None
    last_ms: int | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    fault: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PairCandles:
    """Candles of a pair that a run asks for, and those that are there.

    Attributes:
        trade_pair_id: the pair.
        minutes: minute candles asked for, while a position and the market are open.
        minutes_missing: of these, not there and not known to be missing at their provider.
        minutes_known: of these, not there, and their provider has none.
        seconds: second candles asked for, around orders and updates.
        seconds_there: of these, there.
        first_missing: the first stretch of missing minutes in words; "" without one.
    """

    trade_pair_id: str
    minutes: int
    minutes_missing: int
    minutes_known: int
    seconds: int
    seconds_there: int
    first_missing: str = ""


@dataclass(frozen=True, slots=True)
class SparkFacts:
    """What PYSPARK would find: pyspark, the major version of Java (None without), a server's URL."""

    pyspark: bool
    java: int | None
    remote: str


def check_python(facts: InstallationFacts) -> Finding:
    """Versions, for a bug report; whatever runs this is recent enough."""
    told = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    figures = {"python": facts.python, **facts.versions}
    return Finding("installation", State.OK, f"Python {facts.python}, {told}", figures=figures)


def check_extras(facts: InstallationFacts, needed: Iterable[str]) -> Finding:
    """Whether the extras that these settings need are there."""
    there = [name for name in EXTRAS if not facts.missing.get(name)]
    absent = [name for name in EXTRAS if facts.missing.get(name)]
    lacking = [name for name in needed if name in absent]
    figures = {"installed": there, "not_installed": absent, "needed": list(needed)}
    told = f"installed: {', '.join(there) or 'none'}"
    if lacking:
        modules = ", ".join(module for name in lacking for module in facts.missing[name])
        says = f"these settings need {', '.join(lacking)} ({modules} cannot be imported); {told}"
        step = f"pip install 'ptn-backtest[{','.join(lacking)}]'"
        return Finding("extras", State.TO_DO, says, step, figures)
    others = [name for name in absent if name != "providers"]
    if others:
        told += f"; not installed, and not needed here: {', '.join(others)}"
    if "providers" in absent:  # what a missing candle would need
        told += "; providers is not installed, which `candles pull` needs"
    return Finding("extras", State.OK, told, figures=figures)


def check_connection(facts: DatabaseFacts) -> Finding:
    """Whether the database lets the user in."""
    figures = {"url": facts.where, "server": facts.server}
    if facts.stage is Stage.CONNECT:
        return Finding("database", State.TO_DO, *_fault(facts.fault), figures)
    return Finding(
        "database", State.OK, f"{facts.where} answers, version {facts.server}", figures=figures
    )


def check_rights(facts: DatabaseFacts) -> Finding:
    """Reading is enough; a user who may write is one more thing that can go wrong."""
    figures = {"may_write": list(facts.may_write)}
    if facts.stage is Stage.CONNECT:
        return Finding("rights", State.SKIPPED, "not known without a connection")
    if facts.may_write:
        return Finding(
            "rights",
            State.NOTE,
            f"the user may also write ({'; '.join(facts.may_write)}); nothing here does",
            "a user with SELECT only is safer: docs/connect.md has the GRANT statements",
            figures,
        )
    how = "the file is opened read-only" if facts.kind == "sqlite" else "the user may only read"
    return Finding("rights", State.OK, how, figures=figures)


def check_schema(facts: DatabaseFacts, mapping: Path | None) -> Finding:
    """Whether the tables and columns are those of our schema, or of the mapping."""
    what = f"mapping {mapping}" if mapping else "schema version 1"
    if facts.stage is Stage.CONNECT:
        return Finding("schema", State.SKIPPED, "not known without a connection")
    if facts.stage is Stage.SCHEMA:
        fault, advice = _fault(facts.fault)
        step = f"correct {mapping}" if mapping else "write a mapping: docs/mapping.md"
        if advice.startswith("Grant"):
            step = f"{advice} The statements are in docs/connect.md"
        elif "which the user may not use" in fault:
            step = "grant USAGE, so that the user may see its schema (docs/connect.md)"
        elif "the database is empty" in fault:
            step = (
                "check the database's name and that the user may see its schema (docs/connect.md), or "
                "`ptn-backtest positions import` into it"
            )
        return Finding("schema", State.TO_DO, fault, step)
    return Finding("schema", State.OK, f"all tables and columns of {what} are there")


def check_positions(facts: PositionFacts, *, strict: bool) -> Finding:
    """How many there are, and when; none is something to do."""
    if facts.fault:
        return Finding("positions", State.TO_DO, *_fault(facts.fault))
    n_rejected = sum(facts.rejected.values())
    aside = ", ".join(f"{reason} {count}" for reason, count in facts.rejected.items())
    figures = {
        "source": facts.source,
        **facts.counts,
        "first_ms": facts.first_ms,
        "last_ms": facts.last_ms,
        "rejected": dict(facts.rejected),
    }
    step = "`ptn-backtest positions check` with the same source lists them" if aside else ""
    if facts.first_ms is None or facts.last_ms is None:
        says = f"{facts.source} has none of the traders and times asked for"
        if aside:
            says += f" that can be replayed ({n_rejected} set aside: {aside})"
        step = step or "check hotkeys, start_time_ms and end_time_ms"
        return Finding("positions", State.TO_DO, says, step, figures)
    says = (
        f"{_n(facts.counts['positions'], 'position')} with {_n(facts.counts['orders'], 'order')} "
        f"of {_n(facts.counts['traders'], 'trader')}, "
        f"{format_date(facts.first_ms)} to {format_date(facts.last_ms)}"
    )
    if aside:
        says += f"; set aside {_n(n_rejected, 'position')}: {aside}"
    says = "\n".join((says, *facts.notes))
    state = State.NOTE if aside or facts.notes else State.OK
    return Finding("positions", State.TO_DO if aside and strict else state, says, step, figures)


def check_minutes(pairs: Sequence[PairCandles], store: str, *, hold: bool, pull: str) -> Finding:
    """Whether a run has its minute candles.

    Args:
        pairs: a row per pair that is traded.
        store: the store in words.
        hold: whether the run lets values stay where a candle is missing.
        pull: the command that brings candles.
    """
    figures = {each.trade_pair_id: _share(each.minutes, each.minutes_missing) for each in pairs}
    lacking = [each for each in pairs if each.minutes_missing]
    known = sum(each.minutes_known for each in pairs)
    wanted = sum(each.minutes for each in pairs)
    if not lacking:
        says = f"all {wanted:,} of {_n(len(pairs), 'pair')} in {store}"
        if known:
            says += f", but {known:,} that their provider does not have: values are held there"
        return Finding("minute candles", State.OK, says, figures=figures)
    lacking.sort(key=lambda each: -each.minutes_missing)
    shown = "; ".join(
        f"{each.trade_pair_id} {figures[each.trade_pair_id]:.2%} there"
        for each in lacking[:_SHOWN_PAIRS]
    )
    more = f"; and {len(lacking) - _SHOWN_PAIRS} more pairs" if len(lacking) > _SHOWN_PAIRS else ""
    says = (
        f"{sum(each.minutes_missing for each in lacking):,} of {wanted:,} missing in {store}: "
        f"{shown}{more}; the first: {lacking[0].first_missing}"
    )
    if hold:
        says += "; missing_candles = hold lets values stay"
        return Finding("minute candles", State.NOTE, says, pull, figures)
    return Finding("minute candles", State.TO_DO, says, pull, figures)


def check_seconds(pairs: Sequence[PairCandles], pull: str) -> Finding:
    """How many of the seconds around orders and updates are there; a run does without them too."""
    figures = {
        each.trade_pair_id: _share(each.seconds, each.seconds - each.seconds_there)
        for each in pairs
    }
    wanted, there = sum(each.seconds for each in pairs), sum(each.seconds_there for each in pairs)
    without = [each.trade_pair_id for each in pairs if each.seconds and not each.seconds_there]
    share = (
        f"{_share(wanted, wanted - there):.1%} of {wanted:,} around orders and updates are there"
    )
    if not without:
        return Finding("second candles", State.OK, share, figures=figures)
    names = ", ".join(without[:_SHOWN_PAIRS]) + (" ..." if len(without) > _SHOWN_PAIRS else "")
    says = f"{share}, none of {names}: between whole minutes values hold"
    return Finding("second candles", State.NOTE, says, pull, figures)


def check_quotes(report: QuoteReport, pull: str) -> Finding:
    """Whether the store has bid and ask for orders whose slippage may ask for them."""
    lacking = {
        pair: report.recorded.get(pair, 0) + report.missing.get(pair, 0)
        for pair in sorted({*report.recorded, *report.missing})
        if not TradePair.from_trade_pair_id(pair).is_crypto
    }
    figures = {"without_quote": lacking, "orders": report.n_orders, "with_quote": report.n_filled}
    if not lacking:
        says = "bid and ask of every order that may need them are there"
        return Finding("quotes", State.OK, says, figures=figures)
    names = ", ".join(list(lacking)[:_SHOWN_PAIRS]) + (
        " ..." if len(lacking) > _SHOWN_PAIRS else ""
    )
    says = f"no bid and ask for {_n(sum(lacking.values()), 'order')} of {names}: they keep the recorded"
    return Finding("quotes", State.NOTE, says, pull, figures)


def check_spark(facts: SparkFacts) -> Finding:
    """Whether PYSPARK can be had."""
    figures = {"pyspark": facts.pyspark, "java": facts.java, "remote": facts.remote}
    if not facts.pyspark:
        step = "pip install 'ptn-backtest[spark]'"
        return Finding("Spark", State.TO_DO, "pyspark is not installed", step, figures)
    if facts.remote:
        return Finding("Spark", State.OK, f"the server {facts.remote} is used", figures=figures)
    if facts.java is None or facts.java < OLDEST_JAVA:
        says = "there is no Java" if facts.java is None else f"Java {facts.java} is too old"
        step = "install Java 17 or later, or set SPARK_REMOTE=sc://host:15002"
        return Finding("Spark", State.TO_DO, says, step, figures)
    return Finding("Spark", State.OK, f"pyspark is there, Java {facts.java} too", figures=figures)


def check_disk(free_bytes: int, needed_bytes: int, output: Path) -> Finding:
    """Whether the run folder fits; with states a run writes about twice what it keeps."""
    figures = {"free_bytes": free_bytes, "estimate_bytes": needed_bytes}
    says = f"{_size(free_bytes)} free for {output}, a run needs about {_size(needed_bytes)}"
    if free_bytes < needed_bytes:
        return Finding("disk", State.TO_DO, says, "free some, or choose another output", figures)
    return Finding("disk", State.OK, says, figures=figures)


def check_memory(available_bytes: int | None, needed_bytes: int) -> Finding:
    """Whether the run fits into memory; `available_bytes` is None where the system does not tell."""
    figures = {"available_bytes": available_bytes, "estimate_bytes": needed_bytes}
    if available_bytes is None:
        says = f"a run needs about {_size(needed_bytes)}; what is free is not known here"
        return Finding("memory", State.OK, says, figures=figures)
    says = f"{_size(available_bytes)} free, a run needs about {_size(needed_bytes)}"
    if available_bytes < needed_bytes:
        step = "free some, or run fewer traders or a shorter time (hotkeys, end_time_ms)"
        return Finding("memory", State.TO_DO, says, step, figures)
    return Finding("memory", State.OK, says, figures=figures)


def estimate_memory(n_orders: int, pairs: Sequence[PairCandles]) -> int:
    """Bytes that a run in one process takes at its peak, roughly."""
    n_candles = sum(each.minutes + each.seconds_there for each in pairs)
    return _BASE_BYTES + _BYTES_A_CANDLE * n_candles + _BYTES_AN_ORDER * n_orders


def estimate_disk(n_orders: int) -> int:
    """Bytes that a run writes, states included, roughly."""
    return _WRITTEN_BYTES + 2 * _WRITTEN_BYTES_AN_ORDER * n_orders


def _fault(message: str) -> tuple[str, str]:
    """A message of ours as what is the case, and its advice (the last sentence) as the next step."""
    head, _, rest = message.partition("\n")
    says, separator, advice = head.rpartition(". ")
    if not separator or rest:
        return message, ""
    return f"{says}.", advice


def _share(wanted: int, missing: int) -> float:
    return 1.0 if not wanted else (wanted - missing) / wanted


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.0f} MB"  # noqa: PLR2004

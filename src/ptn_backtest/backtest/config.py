"""The settings of a run: one frozen value from a TOML file, the environment and options."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.backtest.legs import LEG_UPDATES
from ptn_backtest.backtest.setting_values import parse_setting
from ptn_backtest.clock import DAY_MS, format_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.checkpoint import WINDOW_MS
from ptn_backtest.positions.what_if import WhatIf
from ptn_backtest.prices.providers.conventions import URL_VARIABLES
from ptn_backtest.rulebook import DEFAULT_NAME, SHIPPED, Rulebook, load_rulebook, with_rules
from ptn_backtest.sources.passwords import hide_passwords

ENVIRONMENT_PREFIX = "PTN_BACKTEST_"

_URL_VARIABLE = f"{ENVIRONMENT_PREFIX}DATABASE_URL"

_OF_PROVIDERS = frozenset(URL_VARIABLES.values())
"""Variables with the prefix that are no settings of a run, but of `candles pull`."""

_TAKEN_AS_TEXT = (
    *("database_mapping", "positions_path", "plagiarism_events", "candles", "output"),
    *("start_time_ms", "end_time_ms", "parallel_mode"),
)
"""Settings that Python code gives as texts too: paths, times, a mode."""

_OUTSIDE = ("output", "run_name", "overwrite", "plots", "parallel_mode", "state_interval")
"""Settings that change no figure."""


@dataclass(frozen=True, slots=True)
class BacktestConfig:
    """Every setting of a run, by the names of the user's document.

    Attributes:
        use_test_positions: replay the bundled synthetic test positions on their candles.
        use_database_positions: load positions from `database_url`, or, without one, through the
            package `taoshi.ts.ptn`.
        database_url: SQLite, PostgreSQL or MySQL/MariaDB, as SQLAlchemy writes it.
        database_mapping: TOML file that maps an existing schema to ours.
        positions_path: validators' folder, checkpoint or list on disk.
        plagiarism_events: file of recorded plagiarism events; without it, the position source's.
        candles: the candle store: its folder, or a URL that fsspec reads.
        start_time_ms: first update time; the first order's time where it is not given.
        end_time_ms: last update time; the end of the candles where it is not given.
        interval_ms: time between updates.
        history: "full" also loads positions closed before the start, which the ledger needs.
        test_single_hotkey: only this trader.
        hotkeys: only these traders; empty for all.
        run_challenge: challenge period rules.
        run_elimination: elimination rules.
        run_scoring: score all traders at every evaluation.
        rulebook: name of a shipped rulebook, or a TOML file.
        rules: single rules that are other than there, "eliminations.drawdown_limit=25".
        use_slippage: True always, False never, None by the network's date.
        recalculate_slippage: compute the slippage of every order anew, in place of the stored one.
        fetch_slippage_data: first take the bid and ask of every order from the candles.
        capital: USD that leverage 1 stands for, for slippage.
        drop_pairs: what if: no positions on these trade pairs.
        leverage_cap: what if: orders reduced so that no position holds more leverage.
        delay_orders_ms: what if: traders' orders come later by this, at the price of then.
        apply_order_rules: what if: orders reduced and refused as the rulebook's network would.
        what_if_hotkeys: only these traders' orders change in a what-if; empty for all.
        build_portfolio_ledgers_only: no ledgers by trade pair.
        parallel_mode: SERIAL, PYSPARK or MULTIPROCESSING.
        target_ledger_window_ms: time that a ledger's checkpoints may cover.
        missing_candles: "error" refuses a run that lacks candles, "hold" lets values stay.
        split_positions: split recorded positions that hold several trades in a row.
        strict: stop at the first position that would be set aside.
        output: folder that run folders are written to.
        run_name: name of the run folder; by default made of the settings, so that the same run
            has the same name.
        overwrite: replace a run folder of that name.
        plots: also write PNG plots.
        state_interval: updates after which what is done is stored, so that the run can be continued;
            0 stores nothing.

    Paths, times and the mode may be given as texts ("2025-09-01").

    Raises:
        ConfigError: such a text cannot be read.
    """

    use_test_positions: bool = False
    use_database_positions: bool = False
    database_url: str | None = None
    database_mapping: Path | None = None
    positions_path: Path | None = None
    plagiarism_events: Path | None = None
    candles: Path | str | None = None
    start_time_ms: int | None = None
    end_time_ms: int | None = None
    interval_ms: int = DAY_MS
    history: Literal["full", "range"] = "full"
    test_single_hotkey: str | None = None
    hotkeys: tuple[str, ...] = ()
    run_challenge: bool = False
    run_elimination: bool = False
    run_scoring: bool = False
    rulebook: str = DEFAULT_NAME
    rules: tuple[str, ...] = ()
    use_slippage: bool | None = None
    recalculate_slippage: bool = False
    fetch_slippage_data: bool = False
    capital: float = 100_000.0
    drop_pairs: tuple[str, ...] = ()
    leverage_cap: float | None = None
    delay_orders_ms: int = 0
    apply_order_rules: bool = False
    what_if_hotkeys: tuple[str, ...] = ()
    build_portfolio_ledgers_only: bool = False
    parallel_mode: ParallelizationMode = ParallelizationMode.SERIAL
    target_ledger_window_ms: int = WINDOW_MS
    missing_candles: Literal["error", "hold"] = "error"
    split_positions: bool = False
    strict: bool = False
    output: Path = Path("runs")
    run_name: str | None = None
    overwrite: bool = False
    plots: bool = False
    state_interval: int = LEG_UPDATES

    def __post_init__(self) -> None:
        for name in _TAKEN_AS_TEXT:
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, parse_setting(name, given, name))

    def __repr__(self) -> str:
        """What is other than the defaults, without passwords."""
        given = {f.name: (getattr(self, f.name), f.default) for f in fields(self)}
        other = {name: value for name, (value, default) in given.items() if value != default}
        shown = {
            name: hide_passwords(value) if isinstance(value, str) else value
            for name, value in other.items()
        }
        return f"BacktestConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def wanted_hotkeys(self) -> tuple[str, ...] | None:
        """The traders asked for, None for all."""
        single = (self.test_single_hotkey,) if self.test_single_hotkey else ()
        return (*single, *self.hotkeys) or None

    @property
    def what_if(self) -> WhatIf:
        """What a run changes about the traders' orders; false where nothing."""
        return WhatIf(
            drop_pairs=self.drop_pairs,
            leverage_cap=self.leverage_cap,
            delay_orders_ms=self.delay_orders_ms,
            apply_order_rules=self.apply_order_rules,
            hotkeys=self.what_if_hotkeys,
        )

    def load_rulebook(self) -> Rulebook:
        """The rulebook of the run.

        Raises:
            ConfigError: no such rulebook or rule, or a mistake in it.
        """
        return with_rules(load_rulebook(self.rulebook), self.rules)

    def recorded(self) -> dict[str, Any]:
        """JSON-ready, for run.json: without credentials, and without what changes no figure."""
        return {name: value for name, value in self.stored().items() if name not in _OUTSIDE}

    def stored(self) -> dict[str, Any]:
        """All settings, JSON-ready and without credentials; `load_config` takes them as options."""
        settings = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        if self.database_url:
            settings["database_url"] = hide_passwords(self.database_url)
        return settings


def load_config(
    file: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> BacktestConfig:
    """Read and check the settings; options beat the environment, which beats the file.

    Args:
        file: TOML, as `read_config` takes it.
        environment: by default that of this process.
        options: by setting name, such as {"run_name": "first"}.

    Raises:
        ConfigError: as `read_config`, or settings that contradict each other.
    """
    config = read_config(
        Path(file) if file else None,
        os.environ if environment is None else environment,
        options or {},
    )
    check_config(config)
    return config


def read_config(
    file: Path | None, environment: Mapping[str, str], options: Mapping[str, Any]
) -> BacktestConfig:
    """Read the settings, each for itself.

    Args:
        file: TOML; relative paths in it are relative to its folder.
        environment: variables `PTN_BACKTEST_<SETTING>`; others, and providers' addresses, are
            ignored.
        options: by setting name; those not given are absent.

    Raises:
        ConfigError: an unknown name, or a malformed value.
    """
    values: dict[str, Any] = {}
    for name, value in (_read_toml(file) if file else {}).items():
        where = f"{file}: {name}"
        parsed = parse_setting(name, value, where)
        if name == "rulebook" and parsed not in SHIPPED and file:
            parsed = os.path.normpath(file.parent / parsed)
        if isinstance(parsed, Path) and file:
            parsed = Path(os.path.normpath(file.parent / parsed))
        values[name] = parsed
    for variable, text in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in _OF_PROVIDERS:
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            values[name] = parse_setting(name, text, f"environment variable {variable}")
    for name, value in options.items():
        values[name] = parse_setting(name, value, f"option --{name.replace('_', '-')}")
    config = BacktestConfig(**values)
    # a URL in the environment is a secret that is kept there, not the choice of a source
    if _URL_VARIABLE in environment and "database_url" not in options and _has_other_source(config):
        config = replace(config, database_url=None)
    return config


def _has_other_source(config: BacktestConfig) -> bool:
    other = config.use_test_positions or config.positions_path is not None
    return other and not config.use_database_positions


def check_config(config: BacktestConfig) -> None:
    """Refuse settings that contradict each other, before anything is loaded.

    Raises:
        ConfigError: the message names both settings.
    """
    chosen = [
        name
        for name, on in (
            ("use_test_positions", config.use_test_positions),
            ("use_database_positions", config.use_database_positions),
            ("positions_path", config.positions_path is not None),
        )
        if on
    ]
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} contradict each other: choose one source")
    if not chosen:
        raise ConfigError(
            "no source of positions: set use_test_positions, use_database_positions "
            "(with database_url) or positions_path"
        )
    if config.database_url and not config.use_database_positions:
        raise ConfigError(
            f"database_url is given, but {chosen[0]} chooses another source: "
            "set use_database_positions instead, or leave database_url out"
        )
    if config.candles is None and not config.use_test_positions:
        raise ConfigError(
            "no candles: set candles to the folder of a candle store "
            "(ptn-backtest candles import makes one)"
        )
    if config.what_if_hotkeys and not config.what_if:
        raise ConfigError(
            "what_if_hotkeys is given, but nothing that would change for them: set drop_pairs, "
            "leverage_cap, delay_orders_ms or apply_order_rules, or leave what_if_hotkeys out"
        )
    if config.interval_ms <= 0:
        raise ConfigError(f"interval_ms = {config.interval_ms} is not above 0")
    start, end = config.start_time_ms, config.end_time_ms
    if start is not None and end is not None and start > end:
        raise ConfigError(
            f"start_time_ms = {start} ({format_time(start)}) is later than end_time_ms = {end} "
            f"({format_time(end)}): have they changed places?"
        )
    if config.run_name is not None and not _is_plain_name(config.run_name):
        raise ConfigError(
            f"run_name = {config.run_name!r} is no name of a folder: leave out slashes, and dots at its "
            "start, and say with output where run folders go"
        )


def _is_plain_name(name: str) -> bool:
    """Whether a run folder of this name lies in the output folder itself, and is seen there."""
    return bool(name.strip()) and not name.startswith(".") and not set(name) & set("/\\\0")


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{file}: not a TOML file: {error}. It has lines such as use_test_positions = true; see "
            "examples/demo.toml and docs/configuration.md"
        ) from None


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Path):
        return value.as_posix()
    return list(value) if isinstance(value, tuple) else value

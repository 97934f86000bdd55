"""Runs that are under way: where their states are, and how to go on with them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ptn_backtest.backtest.config import ENVIRONMENT_PREFIX, BacktestConfig, load_config
from ptn_backtest.backtest.legs import LegStore, cut_into_legs
from ptn_backtest.clock import format_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.results.run_folder import RUN_FILE, restore_run
from ptn_backtest.results.states import STATES, StateFolder
from ptn_backtest.sources.passwords import hide_passwords

_DATABASE_URL = f"{ENVIRONMENT_PREFIX}DATABASE_URL"


def unfinished_folder(config: BacktestConfig) -> Path:
    """Where the states of a run are until it is finished: a folder in the output folder."""
    what = json.dumps(config.recorded(), sort_keys=True)
    name = config.run_name or hashlib.sha256(what.encode()).hexdigest()[:8]
    return config.output / f"unfinished-{name}"


def begin_states(config: BacktestConfig, folder: Path) -> Callable[[Sequence[int]], LegStore]:
    """A function that makes the states of a new run for its update times.

    Raises:
        ConfigError: there are states of such a run already.
    """
    if (folder / STATES).exists() and not config.overwrite:
        raise ConfigError(
            f"{folder} holds a run with these settings that was interrupted, or is still under way: "
            f"go on with it ('ptn-backtest continue {folder}'), or begin anew (--overwrite)"
        )
    settings = {"config": config.stored(), "rulebook": config.load_rulebook().to_dict()}

    def begin(times_ms: Sequence[int]) -> LegStore:
        legs = cut_into_legs(times_ms, config.state_interval)
        return StateFolder.begin(folder, settings, legs)

    return begin


@contextmanager
def going_on(folder: Path) -> Iterator[None]:
    """Tell, where a run ends before it is finished, how to go on with it."""
    try:
        yield
    except BaseException:
        if (folder / STATES).exists() and StateFolder(folder).n_done():
            click.echo(f"go on with: ptn-backtest continue {folder}", err=True)
        raise


def open_states(folder: Path) -> StateFolder:
    """The states of a run folder.

    Raises:
        ConfigError: it is none, or has none.
    """
    restore_run(folder)
    if not (folder / STATES).is_dir():
        what = "a run without stored states" if is_finished(folder) else "no run folder"
        raise ConfigError(
            f"{folder} is {what}, so it cannot be continued: repeat the run "
            "(state_interval above 0 stores states)"
        )
    return StateFolder(folder)


def settings_of(
    states: StateFolder,
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    finished: bool,
) -> BacktestConfig:
    """The settings of a run that is continued.

    Args:
        states: of the run.
        options: settings that are others now, by name.
        environment: the variable of the database URL counts; it may have a password.
        finished: whether the run came to its end; otherwise that end is the default.

    Raises:
        ConfigError: the end is before that of the run, a password is needed, or the rulebook is no
            longer what it was.
    """
    values = {name: value for name, value in states.settings["config"].items() if value is not None}
    planned_ms = states.legs()[-1][-1]
    values["end_time_ms"] = None if finished else planned_ms
    values |= options
    url = values.get("database_url", "")
    if "database_url" not in options and hide_passwords(environment.get(_DATABASE_URL, "")) == url:
        values["database_url"] = environment.get(_DATABASE_URL) or None
    elif "***" in url:
        raise ConfigError(
            f"the password of {url} is not stored: give the whole URL in {_DATABASE_URL} "
            "or with --database-url"
        )
    config = load_config(None, {}, values)
    if config.end_time_ms is not None and config.end_time_ms < planned_ms:
        raise ConfigError(
            f"the run goes to {format_time(planned_ms)} already, which is later than "
            f"{format_time(config.end_time_ms)}: a shorter one is a new run"
        )
    if config.load_rulebook().to_dict() != states.settings["rulebook"]:
        raise ConfigError(
            f"rulebook {config.rulebook} is not what it was when the run began: restore it, or "
            "begin a new run"
        )
    return config


def continued_states(
    states: StateFolder, config: BacktestConfig
) -> Callable[[Sequence[int]], LegStore]:
    """A function that plans the legs from where the run was planned to, to a new end."""
    planned = [t_ms for leg in states.legs() for t_ms in leg]

    def extend(times_ms: Sequence[int]) -> LegStore:
        end_ms = times_ms[-1]
        if end_ms > planned[-1]:
            grid = range(planned[0], end_ms, config.interval_ms)
            further = [*(t_ms for t_ms in grid if t_ms > planned[-1]), end_ms]
            states.extend(cut_into_legs(further, config.state_interval))
        return states

    return extend


def is_finished(folder: Path) -> bool:
    """Whether a run folder was written to its end, at least once."""
    return (folder / RUN_FILE).is_file()

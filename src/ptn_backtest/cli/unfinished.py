"""Runs that are under way: where their states are, and how to go on with them."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import click

from ptn_backtest.backtest.config import ENVIRONMENT_PREFIX, BacktestConfig, load_config
from ptn_backtest.backtest.legs import LegStore, cut_into_legs
from ptn_backtest.clock import format_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.results.run_folder import RUN_FILE, restore_run
from ptn_backtest.results.states import STATES, StateFolder
from ptn_backtest.sources.passwords import hide_passwords

_DATABASE_URL = f"{ENVIRONMENT_PREFIX}DATABASE_URL"
_LOCK = ".lock"


def unfinished_folder(config: BacktestConfig) -> Path:
    """Where the states of a run are until it is finished: a folder in the output folder."""
    what = json.dumps(config.recorded(), sort_keys=True)
    name = config.run_name or hashlib.sha256(what.encode()).hexdigest()[:8]
    return config.output / f"unfinished-{name}"


def begin_states(config: BacktestConfig, folder: Path) -> Callable[[Sequence[int]], LegStore]:
    """A function that makes the states of a new run for its update times.

    Raises:
        ConfigError: legs of such a run are done already.
    """
    settings = {"config": config.stored(), "rulebook": config.load_rulebook().to_dict()}
    if (folder / STATES).exists() and not config.overwrite:
        _refuse_what_is_done(folder, settings, config.recorded().keys())

    def begin(times_ms: Sequence[int]) -> LegStore:
        legs = cut_into_legs(times_ms, config.state_interval)
        return StateFolder.begin(folder, settings, legs)

    return begin


def _refuse_what_is_done(folder: Path, settings: Mapping[str, Any], names: Collection[str]) -> None:
    try:
        states = StateFolder(folder)
    except ConfigError:
        raise ConfigError(
            f"{folder} holds a run that this version of ptn-backtest cannot go on with: begin anew "
            "(--overwrite), or name this run otherwise (--run-name)"
        ) from None
    if not states.n_done():
        return  # nothing is lost
    now, before = json.loads(json.dumps(settings)), states.settings
    others = [name for name in names if now["config"][name] != before["config"].get(name)]
    if now["rulebook"] != before["rulebook"] and "rulebook" not in others:
        others.append("rulebook")
    go_on = f"go on with it ('ptn-backtest continue {folder}')"
    if others:
        raise ConfigError(
            f"{folder} holds a run that was interrupted, with other settings ({', '.join(others)}): "
            f"{go_on}, name this run otherwise (--run-name), or begin anew (--overwrite)"
        )
    raise ConfigError(
        f"{folder} holds a run with these settings that was interrupted: {go_on}, or begin anew "
        "(--overwrite)"
    )


@contextmanager
def kept_to_oneself(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder of a run that is under way; it is made if need be.

    A process that ends in any way holds nothing any more. A folder in which nothing is done when this
    one ends is removed.

    Raises:
        ConfigError: another process is writing the run.
    """
    with _locked(folder):
        try:
            yield
        finally:
            if folder.exists() and not (folder / STATES).exists():
                shutil.rmtree(folder)


def _locked(folder: Path) -> TextIO:
    """The folder's lock, which is held until it is closed."""
    path = folder / _LOCK
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # a run that ends takes its folder away, maybe just now: then the lock is nobody's
        with suppress(FileNotFoundError):
            lock = path.open("w", encoding="utf-8")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                    return lock
            except BlockingIOError:
                lock.close()
                raise ConfigError(
                    f"another process is writing {folder}: wait until it is done, or name this run "
                    "otherwise (--run-name)"
                ) from None
            lock.close()


@contextmanager
def going_on(folder: Path, *, new: bool = False) -> Iterator[None]:
    """Tell, where a run ends before it is finished, how to go on with it.

    Of a `new` one of which nothing is done, nothing is left.
    """
    try:
        yield
    except BaseException:
        if (folder / STATES).exists() and StateFolder(folder).n_done():
            click.echo(f"go on with: ptn-backtest continue {folder}", err=True)
        elif new:
            shutil.rmtree(folder, ignore_errors=True)
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

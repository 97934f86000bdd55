"""A run's traders by name, also by names cut short."""

import difflib
import re
from collections.abc import Iterable

from ptn_backtest.errors import ConfigError, some_of
from ptn_backtest.results.run_folder import StoredRun

_CUT = re.compile(r"…|\.{3}")


def hotkeys_of(run: StoredRun) -> list[str]:
    """Everybody a run knows of, sorted: by ledgers, positions, events or as failed."""
    return sorted(
        {
            *run.ledgers,
            *run.positions["miner_hotkey"].unique().to_pylist(),
            *(event.miner_hotkey for event in run.events),
            *run.info["failed_traders"],
        }
    )


def find_hotkey(text: str, hotkeys: Iterable[str], where: str) -> str:
    """The one hotkey that is meant.

    Args:
        text: the hotkey, its beginning, or as reports print it: beginning…end (or ... for …).
        hotkeys: those that there are.
        where: what holds them, for the message.

    Raises:
        ConfigError: none, or several; the message names the nearest, or all that it may mean.
    """
    known = sorted(set(hotkeys))
    if text in known:
        return text
    begin, *rest = _CUT.split(text, maxsplit=1)
    end = rest[0] if rest else ""
    found = [one for one in known if text and one.startswith(begin) and one.endswith(end)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{text!r} may mean {some_of(found)}: give more of the hotkey")
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.4)
    near += [one for one in known if text.lower() in one.lower() and one not in near][:3]
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"it has {some_of(known)}" if known else "it has no traders"
    raise ConfigError(f"no trader {text!r} in {where}: {hint}")

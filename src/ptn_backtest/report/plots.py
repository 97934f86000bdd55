"""Plots as PNG files, through matplotlib (the extra `reports`)."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.errors import ConfigError, SourceUnavailable
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report import wording
from ptn_backtest.results.statistics import equity_curve

DPI = 150


def write_plots(folder: Path, result: RunResult, hotkeys: Sequence[str]) -> list[Path]:
    """Draw return and drawdown of each trader into `plots/<hotkey>.png` of a folder.

    Args:
        folder: an existing folder, such as the run's.
        result: what to draw.
        hotkeys: which traders.

    Returns:
        Paths of the pictures, in the order of `hotkeys`.

    Raises:
        SourceUnavailable: matplotlib is not installed.
        ConfigError: a hotkey has no portfolio ledger in this run.
    """
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - optional, and slow to import
    except ImportError:
        raise SourceUnavailable(
            "plots need matplotlib: pip install 'ptn-backtest[reports]' (report.html does not)"
        ) from None
    unknown = [hotkey for hotkey in hotkeys if PORTFOLIO not in result.ledgers.get(hotkey, {})]
    if unknown:
        raise ConfigError(
            f"no ledger to plot for {', '.join(map(repr, unknown))}: "
            f"the run has {wording.count(len(result.ledgers), 'trader')}, listed in its report"
        )
    (folder / "plots").mkdir(exist_ok=True)
    return [
        _write_plot(folder / "plots" / f"{_file_name(hotkey)}.png", result, hotkey)
        for hotkey in hotkeys
    ]


def _write_plot(path: Path, result: RunResult, hotkey: str) -> Path:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional; no pyplot, so no global state
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

    curve = equity_curve(result.ledgers[hotkey][PORTFOLIO])
    times = [datetime.fromtimestamp(int(time) / 1000, tz=UTC) for time in curve.time_ms]
    figure = Figure(figsize=(9, 5), dpi=DPI, layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(2.4, 1))
    above.plot(times, curve.value - 1, color="#1d4f91", linewidth=1.4)
    above.axhline(0, color="#56616d", linewidth=0.8)
    above.set_ylabel("Return")
    below.plot(times, curve.drawdown, color="#a3262c", linewidth=1)
    below.fill_between(times, curve.drawdown, 0, color="#a3262c", alpha=0.15, linewidth=0)
    below.set_ylabel("Drawdown")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dfe2e5")
        axes.set_axisbelow(True)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
    below.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    below.xaxis.set_major_formatter(formatter)
    # a hotkey is text, not a formula, and a font need not have all its letters
    title = hotkey if hotkey.isascii() and hotkey.isprintable() else ascii(hotkey)
    above.set_title(title, loc="left", parse_math=False)
    if result.synthetic:
        figure.suptitle(
            f"{wording.SYNTHETIC}. {wording.SYNTHETIC_NOTICE}",
            color="#a3262c",
            weight="bold",
            fontsize=9,
        )
    figure.savefig(path, metadata={"Software": None})
    return path


def _file_name(hotkey: str) -> str:
    """The hotkey where it is a safe name, else a safe part of it with a digest of the whole."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", hotkey)[:80]
    if safe and safe == hotkey:
        return safe
    return f"{safe}-{hashlib.sha256(hotkey.encode()).hexdigest()[:8]}"

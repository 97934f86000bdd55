"""Plots as PNG or SVG files, through matplotlib (the extra `reports`)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.errors import ConfigError, SourceUnavailable
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.report import wording
from ptn_backtest.report.rule_wording import BUCKETS, limit_percent, rules_ran
from ptn_backtest.results.bucket_history import Stay, bucket_stays
from ptn_backtest.results.run_folder import StoredRun
from ptn_backtest.results.statistics import equity_curve
from ptn_backtest.rules.bucket import Bucket

DPI = 150
SUFFIXES = (".png", ".svg")
_SHADES = {
    Bucket.MAINCOMP: "#2e7d4f",
    Bucket.PROBATION: "#b7791f",
    Bucket.CHALLENGE: "#1d4f91",
    Bucket.PLAGIARISM: "#8a2be2",
}
_RED = "#a3262c"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one picture shows.

    Attributes:
        title: above it.
        ledger: whose return and drawdown are drawn.
        synthetic: whether it says so.
        limit: drawdown at which a trader leaves (fraction), where rules were on.
        stays: the trader's buckets, in time order.
        left_ms: when the trader was eliminated or liquidated.
    """

    title: str
    ledger: PerfLedger
    synthetic: bool = False
    limit: float | None = None
    stays: Sequence[Stay] = ()
    left_ms: int | None = None


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
    _require_matplotlib()
    unknown = [hotkey for hotkey in hotkeys if PORTFOLIO not in result.ledgers.get(hotkey, {})]
    if unknown:
        raise ConfigError(
            f"no ledger to plot for {', '.join(map(repr, unknown))}: "
            f"the run has {wording.count(len(result.ledgers), 'trader')}, listed in its report"
        )
    (folder / "plots").mkdir(exist_ok=True)
    stays = bucket_stays(result.events)
    limit = limit_percent(result.settings) if rules_ran(result) else None
    gone = {one.miner_hotkey: one.time_ms for one in result.eliminations}
    lost = {one.miner_hotkey: one.elimination_ms for one in result.liquidations}
    return [
        _write(
            folder / "plots" / f"{_file_name(hotkey)}.png",
            Drawing(
                hotkey,
                result.ledgers[hotkey][PORTFOLIO],
                result.synthetic,
                None if limit is None else limit / 100,
                stays.get(hotkey, ()),
                gone.get(hotkey, lost.get(hotkey)),
            ),
        )
        for hotkey in hotkeys
    ]


def write_plot(path: Path, run: StoredRun, hotkey: str, pair: str = PORTFOLIO) -> Path:
    """Draw return and drawdown of one trader of a run folder.

    Where rules were on: the drawdown limit of the portfolio, the trader's buckets as shading, and
    when it left.

    Args:
        path: a .png or .svg file; one that is there is replaced.
        run: the run.
        hotkey: the trader.
        pair: a trade pair id, or "portfolio".

    Raises:
        SourceUnavailable: matplotlib is not installed.
        ConfigError: another ending, no such ledger, or the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path} ends in neither {' nor '.join(SUFFIXES)}: name such a file")
    own = run.ledgers.get(hotkey, {})
    if pair not in own or not len(own[pair].cps):
        there = f"it has {', '.join(own)}" if own else "it has none"
        raise ConfigError(f"no ledger {pair!r} of {hotkey} to plot: {there}")
    _require_matplotlib()
    ran = any(run.info["settings"].get(switch) for switch in ("run_challenge", "run_elimination"))
    limit = limit_percent(run.info["settings"]) if ran and pair == PORTFOLIO else None
    gone = {one.miner_hotkey: one.time_ms for one in run.eliminations}
    lost = {one.miner_hotkey: one.elimination_ms for one in run.liquidations}
    drawing = Drawing(
        hotkey if pair == PORTFOLIO else f"{hotkey}  {pair}",
        own[pair],
        bool(run.info["synthetic"]),
        None if limit is None else limit / 100,
        bucket_stays(run.events).get(hotkey, ()),
        gone.get(hotkey, lost.get(hotkey)),
    )
    try:
        return _write(path, drawing)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _require_matplotlib() -> None:
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - optional, and slow to import
    except ImportError:
        raise SourceUnavailable(
            "plots need matplotlib: pip install 'ptn-backtest[reports]' (report.html does not)"
        ) from None


def _write(path: Path, drawing: Drawing) -> Path:
    from matplotlib import rc_context  # noqa: PLC0415 - optional
    from matplotlib.figure import Figure  # noqa: PLC0415 - no pyplot, so no global state

    figure = Figure(figsize=(9, 5), dpi=DPI, layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(2.4, 1))
    times = _draw_curves(above, below, drawing)
    _draw_rules(above, below, drawing, times)
    _dress(above, below)
    # a hotkey is text, not a formula, and a font need not have all its letters
    title = drawing.title
    title = title if title.isascii() and title.isprintable() else ascii(title)
    above.set_title(title, loc="left", parse_math=False)
    if drawing.synthetic:
        figure.suptitle(
            f"{wording.SYNTHETIC}. {wording.SYNTHETIC_NOTICE}",
            color=_RED,
            weight="bold",
            fontsize=9,
        )
    # equal runs give equal bytes: neither a date nor random names in the file
    svg = path.suffix.lower() == ".svg"
    with rc_context({"svg.hashsalt": "ptn-backtest"}):
        figure.savefig(path, metadata={"Date": None} if svg else {"Software": None})
    return path


def _draw_curves(above: Any, below: Any, drawing: Drawing) -> list[datetime]:  # noqa: ANN401
    curve = equity_curve(drawing.ledger)
    times = [_moment(int(time_ms)) for time_ms in curve.time_ms]
    above.plot(times, curve.value - 1, color="#1d4f91", linewidth=1.4)
    above.axhline(0, color="#56616d", linewidth=0.8)
    above.set_ylabel("Return")
    below.plot(times, curve.drawdown, color=_RED, linewidth=1)
    below.fill_between(times, curve.drawdown, 0, color=_RED, alpha=0.15, linewidth=0)
    below.set_ylabel("Drawdown")
    return times


def _draw_rules(above: Any, below: Any, drawing: Drawing, times: Sequence[datetime]) -> None:  # noqa: ANN401
    if drawing.limit is not None:
        below.axhline(-drawing.limit, color=_RED, linewidth=1, linestyle="--", label="limit")
        below.legend(loc="lower left", fontsize=8, frameon=False)
    first, last = times[0], times[-1]
    ends = [*(_moment(stay.from_ms) for stay in drawing.stays[1:]), last]
    named: set[Bucket] = set()
    for stay, end in zip(
        drawing.stays, ends, strict=False
    ):  # without a stay there is one end too many
        begin, end = max(_moment(stay.from_ms), first), min(end, last)  # noqa: PLW2901
        if stay.bucket is None or end <= begin:
            continue
        label = None if stay.bucket in named else BUCKETS[stay.bucket]
        named.add(stay.bucket)
        above.axvspan(begin, end, color=_SHADES[stay.bucket], alpha=0.09, linewidth=0, label=label)
    if drawing.left_ms is not None:
        for axes, label in ((above, "out"), (below, None)):
            axes.axvline(
                _moment(drawing.left_ms), color=_RED, linewidth=1.2, linestyle=":", label=label
            )
    if drawing.left_ms is not None or named:
        above.legend(loc="best", fontsize=8, frameon=False)


def _dress(above: Any, below: Any) -> None:  # noqa: ANN401 - matplotlib's axes
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - optional
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dfe2e5")
        axes.set_axisbelow(True)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    below.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    below.xaxis.set_major_formatter(formatter)


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC)


def _file_name(hotkey: str) -> str:
    """The hotkey where it is a safe name, else a safe part of it with a digest of the whole."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", hotkey)[:80]
    if safe and safe == hotkey:
        return safe
    return f"{safe}-{hashlib.sha256(hotkey.encode()).hexdigest()[:8]}"

"""Where one trader of a run stands at some time, and how far each limit is away.

Built from what a run folder holds, so ledgers tell up to their last checkpoint at the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO, Checkpoints, PerfLedger
from ptn_backtest.ledger.daily import daily_returns
from ptn_backtest.results.rule_tables import WITH_COMPETITION
from ptn_backtest.results.run_folder import StoredRun
from ptn_backtest.rulebook import Rulebook, rulebook_from
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.challenge import UNDER_INSPECTION, period_end_ms
from ptn_backtest.rules.events import Event, EventKind, Figures
from ptn_backtest.rules.metrics import drawdown_percent, lowest_mdd
from ptn_backtest.rules.standing import Standing

MOVES = (
    EventKind.ENTERED,
    EventKind.PROMOTED,
    EventKind.DEMOTED,
    EventKind.PLAGIARISM_FLAGGED,
    EventKind.PLAGIARISM_CLEARED,
    EventKind.FAILED,
    EventKind.ELIMINATED,
)
"""Events that change where a trader stands."""


@dataclass(frozen=True, slots=True)
class RankFigures:
    """Where a trader stands in its best class.

    Attributes:
        time_ms: evaluation of these scores.
        scored_with: those who compete for ranks, or everybody.
        asset_class: the class.
        rank: 1 for the best; equal scores share one.
        score: class score.
        threshold: smallest score that is in the main competition; a score of 0 never is.
        scored_traders: how many were scored together.
        ranks: how many the class has.
        class_days: full days of the trader's own in the class; the rules rank it without one too.
    """

    time_ms: int
    scored_with: str
    asset_class: str
    rank: int
    score: float
    threshold: float
    scored_traders: int
    ranks: int
    class_days: int

    @property
    def is_in(self) -> bool:
        """Whether the class counts the trader among its best."""
        return self.score > 0 and self.score >= self.threshold

    @property
    def figures(self) -> Figures:
        """By the names of an event's figures."""
        return {
            "asset_class": self.asset_class,
            "rank": self.rank,
            "score": self.score,
            "threshold_score": self.threshold,
            "scored_traders": self.scored_traders,
        }


@dataclass(frozen=True, slots=True)
class Situation:
    """One trader at a time.

    Attributes:
        time_ms: the time asked for.
        ledger_ms: last record that these figures know.
        bucket: where it stands; None where it has left, or no rules were run.
        since_ms: from when its time there counts.
        period_end_ms: until when it may be promoted, in CHALLENGE and PROBATION.
        days_left: days from the time to this end; below 0 once it is over.
        value: portfolio value, 1.0 = unchanged.
        peak: running peak, at least 1.
        drawdown_percent: fall below the peak now.
        worst_drawdown_percent: deepest fall in the ledger's window, which the network judges.
        limit_percent: drawdown that eliminates.
        points_to_limit: limit - drawdown now, percentage points; at most 0 once it is reached.
        fall_to_limit_percent: how much the value may fall from now until the limit.
        usd_to_limit: the same, of the account.
        account_size: USD, 4 digits, as the newest PnL says; without one that of the newest position,
            or the smallest that counts.
        full_days: full days of the portfolio's ledger.
        full_days_needed: that promotion asks for.
        has_closed_position: whether a position that counts was closed.
        position_seconds_needed: length from which on one counts.
        rank: of the newest evaluation that scored it, None where none did.
    """

    time_ms: int
    ledger_ms: int
    bucket: Bucket | None
    since_ms: int | None
    period_end_ms: int | None
    days_left: float | None
    value: float
    peak: float
    drawdown_percent: float
    worst_drawdown_percent: float
    limit_percent: float
    points_to_limit: float
    fall_to_limit_percent: float
    usd_to_limit: float
    account_size: float
    full_days: int
    full_days_needed: int
    has_closed_position: bool
    position_seconds_needed: int
    rank: RankFigures | None


def rulebook_of(run: StoredRun, name: str = "run.json") -> Rulebook:
    """The rules that a run was made under, which it records whole.

    Raises:
        ConfigError: they cannot be read.
    """
    return rulebook_from(run.info["settings"]["rulebook"], name)


def moves_of(run: StoredRun, hotkey: str) -> tuple[Event, ...]:
    """What changed where a trader stands, in the order of the evaluations.

    A promotion or demotion carries the rank that `rank_of` picks, where scores are recorded.
    """
    mine = (event for event in run.events if event.miner_hotkey == hotkey and event.kind in MOVES)
    return tuple(map(partial(_with_best_rank, run), mine))


def positions_of(run: StoredRun, hotkey: str) -> list[dict[str, Any]]:
    """Rows of positions.parquet of one trader."""
    rows: list[dict[str, Any]] = run.positions.filter(
        pc.equal(run.positions["miner_hotkey"], pa.scalar(hotkey))
    ).to_pylist()
    return rows


def situation_of(run: StoredRun, hotkey: str, t_ms: int, rulebook: Rulebook) -> Situation | None:
    """A trader's situation; None where it has no ledger by then.

    Args:
        run: the run.
        hotkey: whose.
        t_ms: when; after the end of the run the same as at the end.
        rulebook: that of the run.
    """
    portfolio = ledger_until(run.ledgers.get(hotkey, {}).get(PORTFOLIO), t_ms)
    if portfolio is None:
        return None
    standing = _standing_at(run, hotkey, t_ms)
    under_inspection = standing is not None and standing.bucket in UNDER_INSPECTION
    ends_ms = period_end_ms(standing, rulebook) if standing and under_inspection else None
    positions = [row for row in positions_of(run, hotkey) if row["open_ms"] <= t_ms]
    value, peak = float(portfolio.cps["prev_portfolio_ret"][-1]), portfolio.max_return
    limit = rulebook.eliminations.drawdown_limit
    lowest = peak * (1 - limit / 100)
    size = _account_size(portfolio.cps, positions, rulebook)
    return Situation(
        time_ms=t_ms,
        ledger_ms=portfolio.last_update_ms,
        bucket=standing.bucket if standing else None,
        since_ms=standing.since_ms if standing else None,
        period_end_ms=ends_ms,
        days_left=None if ends_ms is None else (ends_ms - t_ms) / DAY_MS,
        value=value,
        peak=peak,
        drawdown_percent=drawdown_percent(value / peak),
        worst_drawdown_percent=drawdown_percent(lowest_mdd(portfolio)),
        limit_percent=limit,
        points_to_limit=limit - drawdown_percent(value / peak),
        fall_to_limit_percent=100 * (1 - lowest / value),
        usd_to_limit=(1 - lowest / value) * size,
        account_size=size,
        full_days=len(daily_returns(portfolio)[0]),
        full_days_needed=rulebook.challenge.full_days,
        has_closed_position=_has_closed(positions, t_ms, rulebook.challenge.position_ms),
        position_seconds_needed=rulebook.challenge.position_seconds,
        rank=rank_of(run.scores, hotkey, t_ms, rulebook.challenge.ranks),
    )


def ledger_until(ledger: PerfLedger | None, t_ms: int) -> PerfLedger | None:
    """A ledger with the checkpoints that end by a time, None where there are none."""
    if ledger is None:
        return None
    known = ledger.cps[ledger.cps["last_update_ms"] <= t_ms]
    if not len(known):
        return None
    # older checkpoints may have left the window, so the whole ledger's own peak counts at its end
    whole = len(known) == len(ledger.cps)
    peak = ledger.max_return if whole else float(np.max([1.0, *known["mpv"]]))
    return PerfLedger(
        ledger.initialization_time_ms,
        peak,
        known,
        ledger.last_known_prices,
        ledger.target_cp_duration_ms,
        ledger.target_ledger_window_ms,
    )


def rank_of(scores: pa.Table, hotkey: str, t_ms: int, ranks: int) -> RankFigures | None:
    """The trader's best class at the newest evaluation by a time.

    One that counts it among its best comes first, then one in which it scores at all, then one that it
    trades, then the best rank: in a class where nobody scores, everybody ranks first. Scores of those
    who compete come before those of everybody.

    Args:
        scores: of a run.
        hotkey: whose.
        t_ms: the time.
        ranks: how many a class has.
    """
    mine = scores.filter(
        pc.and_(
            pc.equal(scores["miner_hotkey"], pa.scalar(hotkey)),
            pc.less_equal(scores["time_ms"], pa.scalar(t_ms)),
        )
    )
    if not mine.num_rows:
        return None
    time_ms = pc.max(mine["time_ms"]).as_py()
    # an evaluation may score the trader twice: among those who compete, and among everybody
    names: list[Any] = mine.filter(pc.equal(mine["time_ms"], pa.scalar(time_ms)))[
        "scored_with"
    ].to_pylist()
    scored_with = WITH_COMPETITION if WITH_COMPETITION in names else names[0]
    together = scores.filter(
        pc.and_(
            pc.equal(scores["time_ms"], pa.scalar(time_ms)),
            pc.equal(scores["scored_with"], pa.scalar(scored_with)),
        )
    ).select(["miner_hotkey", "asset_class", "score", "n_days"])
    classes: dict[str, dict[str, float]] = {}
    days: dict[str, int] = {}
    for row in together.to_pylist():
        classes.setdefault(row["asset_class"], {})[row["miner_hotkey"]] = row["score"]
        if row["miner_hotkey"] == hotkey:
            days[row["asset_class"]] = row["n_days"]
    best: RankFigures | None = None
    for name, scored in classes.items():
        if hotkey not in scored:
            continue
        ordered = sorted(scored.values(), reverse=True)
        threshold = ordered[ranks - 1] if len(ordered) >= ranks else 0.0
        one = RankFigures(
            time_ms=time_ms,
            scored_with=scored_with,
            asset_class=name,
            rank=ordered.index(scored[hotkey]) + 1,
            score=scored[hotkey],
            threshold=threshold,
            scored_traders=len(scored),
            ranks=ranks,
            class_days=days[name],
        )
        if best is None or _merit(one) > _merit(best):
            best = one
    return best


def _merit(one: RankFigures) -> tuple[bool, bool, bool, int]:
    return one.is_in, one.score > 0, one.class_days > 0, -one.rank


def _with_best_rank(run: StoredRun, event: Event) -> Event:
    """A demotion's recorded class may be one in which nobody scores: there everybody ranks first."""
    ranked = event.kind in (EventKind.PROMOTED, EventKind.DEMOTED)
    if not ranked or event.figures.get("score") != 0:
        return event
    ranks = run.info["settings"]["rulebook"]["challenge"]["ranks"]
    rank = rank_of(run.scores, event.miner_hotkey, event.time_ms, ranks)
    if rank is None or rank.time_ms != event.time_ms or rank.scored_with != WITH_COMPETITION:
        return event
    return replace(event, figures=rank.figures)


def _standing_at(run: StoredRun, hotkey: str, t_ms: int) -> Standing | None:
    if t_ms >= run.info["end_ms"]:
        return run.standings.get(hotkey)
    standing: Standing | None = None
    for event in moves_of(run, hotkey):
        if event.time_ms > t_ms:
            break
        if event.to_bucket is None:
            return None
        standing = _moved(standing, event)
    return standing


def _moved(before: Standing | None, event: Event) -> Standing | None:
    """Where an event puts a trader."""
    if event.to_bucket is None:
        return None
    if before and event.kind is EventKind.PLAGIARISM_CLEARED and before.previous:
        return Standing(*before.previous)
    if before and event.kind is EventKind.FAILED:
        return before
    since_ms = event.figures.get("first_order_ms", event.time_ms)
    previous = (before.bucket, before.since_ms) if before else None
    flagged = event.kind is EventKind.PLAGIARISM_FLAGGED
    return Standing(event.to_bucket, int(since_ms or 0), previous if flagged else None)


def _account_size(
    cps: Checkpoints, positions: Sequence[Mapping[str, Any]], rulebook: Rulebook
) -> float:
    """Account size in force, which a run folder holds in its PnL only: PnL = change x size.

    A ledger sums up log changes, gains and losses apart: the difference of the two is that of the
    changes but for their cubes, so the quotient is good to 4 digits and more.
    """
    moved = cps[(cps["gain"] - cps["loss"]) > 0]
    if len(moved):
        newest = moved[-1]
        pnl = float(newest["pnl_gain"] - newest["pnl_loss"])
        if pnl > 0:
            return float(f"{pnl / float(newest['gain'] - newest['loss']):.4g}")
    newest_position = max(positions, key=lambda row: row["open_ms"], default=None)
    recorded = float(newest_position["account_size"]) if newest_position else 0.0
    return max(recorded, rulebook.accounts.smallest_usd)


def _has_closed(positions: Sequence[Mapping[str, Any]], t_ms: int, shortest_ms: int) -> bool:
    return any(
        row["close_ms"] is not None
        and row["close_ms"] <= t_ms
        and row["close_ms"] - row["open_ms"] >= shortest_ms
        for row in positions
    )

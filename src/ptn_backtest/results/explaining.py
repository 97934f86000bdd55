"""The facts of one trader's story in a run; `report.explanation` puts them into sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.results.compared_fates import has_rules
from ptn_backtest.results.drawdown_parts import DrawdownParts, breach_parts, deepest_parts
from ptn_backtest.results.hotkeys import hotkeys_of
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.run_folder import StoredRun
from ptn_backtest.results.situation import (
    Situation,
    moves_of,
    positions_of,
    rulebook_of,
    situation_of,
)
from ptn_backtest.results.statistics import LedgerSummary, summarize_ledger
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.challenge import UNDER_INSPECTION
from ptn_backtest.rules.events import Elimination, Event, EventKind

DOCUMENT_VERSION = 1
"""Of the JSON document; it rises with every change of a key."""


@dataclass(frozen=True, slots=True)
class ClosedAtEnd:
    """A position that an elimination closed.

    Attributes:
        position_uuid: the position.
        trade_pair_id: its pair.
        price: at which it was closed; None where there was none.
        candle_ms: start of the candle of this price.
        timespan: length of that candle, "second" or "minute".
        return_at_close: its value with fees, 1.0 = unchanged.
    """

    position_uuid: str
    trade_pair_id: str
    price: float | None
    candle_ms: int | None
    timespan: str | None
    return_at_close: float


@dataclass(frozen=True, slots=True)
class End:
    """How a trader left.

    Attributes:
        time_ms: as the network stamps it.
        noticed_ms: the evaluation that noticed it.
        reason: why.
        bucket: where it stood.
        drawdown_percent: as recorded; -1 for time and plagiarism, 0 for a liquidation.
        breach: the exact moment and what was held, where it is known.
        noticed_after_ms: from the breach to the evaluation.
        evaluations_passed: evaluations from the breach on that did not eliminate.
        first_closed_ms: when the first position that counts was closed, where that was after the
            breach: until then a drawdown eliminates nobody in CHALLENGE and PROBATION.
        demoted_ms: when it was demoted in between: an evaluation looks at those in PROBATION before it
            demotes, and at those in MAINCOMP after it.
        closed: positions that were closed then.
        slashed_theta: collateral taken, None where it is unknown.
        slashed_fraction: the fraction taken.
    """

    time_ms: int
    noticed_ms: int
    reason: str
    bucket: str | None
    drawdown_percent: float
    breach: Breach | None
    noticed_after_ms: int | None
    evaluations_passed: int
    first_closed_ms: int | None
    demoted_ms: int | None
    closed: tuple[ClosedAtEnd, ...]
    slashed_theta: float | None
    slashed_fraction: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One trader's story.

    Attributes:
        run: how the run was given, such as its folder.
        synthetic: whether its data are made up.
        miner_hotkey: whose.
        start_ms: first update of the run.
        end_ms: last update.
        with_rules: whether the run applied challenge or elimination rules.
        rulebook: name of the rules.
        n_positions: positions.
        n_open: of these open at the end.
        n_orders: orders of all of them.
        moves: what changed where it stands, in order.
        portfolio: its portfolio ledger in figures; None without one.
        drawdown: what its fall was made of: to the breach, or the deepest; None if it never fell.
        end: how it left, None if it did not.
        situation: where it stands at the end and how far limits are; None once it has left.
        failure: message of a trader that was set aside as a whole, "" otherwise.
    """

    run: str
    synthetic: bool
    miner_hotkey: str
    start_ms: int
    end_ms: int
    with_rules: bool
    rulebook: str
    n_positions: int
    n_open: int
    n_orders: int
    moves: tuple[Event, ...]
    portfolio: LedgerSummary | None
    drawdown: DrawdownParts | None
    end: End | None
    situation: Situation | None
    failure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys are those of `docs/compare.md`."""
        document: dict[str, Any] = json_ready(
            {
                "document": "ptn-backtest explanation",
                "document_version": DOCUMENT_VERSION,
                **asdict(self),
            },
            sort_keys=False,
        )
        return document


def explain(run: StoredRun, hotkey: str, name: str = "run") -> Explanation:
    """Gather the facts of a trader's story.

    Args:
        run: the run.
        hotkey: whose, in full (`hotkeys.find_hotkey` finds it).
        name: how to name the run.

    Raises:
        ConfigError: the run does not know the trader, or its rulebook cannot be read.
    """
    if hotkey not in hotkeys_of(run):
        raise ConfigError(f"no trader {hotkey!r} in {name}")
    rulebook = rulebook_of(run, name)
    ledgers = run.ledgers.get(hotkey, {})
    positions = positions_of(run, hotkey)
    elimination = next((one for one in run.eliminations if one.miner_hotkey == hotkey), None)
    has_ledger = PORTFOLIO in ledgers and len(ledgers[PORTFOLIO].cps) > 0
    breach = elimination.breach if elimination else None
    drawdown: DrawdownParts | None = None
    if has_ledger:
        drawdown = breach_parts(ledgers, breach, positions) if breach else deepest_parts(ledgers)
    end_ms = run.info["end_ms"]
    return Explanation(
        run=name,
        synthetic=run.info["synthetic"],
        miner_hotkey=hotkey,
        start_ms=run.info["start_ms"],
        end_ms=end_ms,
        with_rules=has_rules(run),
        rulebook=rulebook.name,
        n_positions=len(positions),
        n_open=sum(not row["is_closed_position"] for row in positions),
        n_orders=sum(row["n_orders"] for row in positions),
        moves=moves_of(run, hotkey),
        portfolio=summarize_ledger(ledgers[PORTFOLIO]) if has_ledger else None,
        drawdown=drawdown,
        end=_end(run, elimination, positions, rulebook) if elimination else None,
        situation=None if elimination else situation_of(run, hotkey, end_ms, rulebook),
        failure=run.info["failed_traders"].get(hotkey, ""),
    )


def _end(
    run: StoredRun, end: Elimination, positions: Sequence[Mapping[str, Any]], rulebook: Rulebook
) -> End:
    slash = _slash(run, end)
    updates_ms = run.info["update_times_ms"]
    noticed_ms = next((t for t in updates_ms if t >= end.time_ms), end.time_ms)
    breach_ms = end.breach.time_ms if end.breach else noticed_ms
    closed_ms = _first_closed_ms(positions, rulebook.challenge.position_ms)
    awaited = (
        end.bucket in UNDER_INSPECTION
        and closed_ms is not None
        and breach_ms < closed_ms < noticed_ms
    )
    demoted = (
        event.time_ms
        for event in moves_of(run, end.miner_hotkey)
        if event.kind is EventKind.DEMOTED
    )
    return End(
        time_ms=end.time_ms,
        noticed_ms=noticed_ms,
        reason=end.reason.value,
        bucket=end.bucket.value if end.bucket else None,
        drawdown_percent=end.drawdown_percent,
        breach=end.breach,
        noticed_after_ms=noticed_ms - end.breach.time_ms if end.breach else None,
        evaluations_passed=sum(breach_ms <= t < noticed_ms for t in updates_ms),
        first_closed_ms=closed_ms if awaited else None,
        demoted_ms=next((t for t in demoted if breach_ms <= t < noticed_ms), None),
        closed=tuple(_closed(end, positions)),
        slashed_theta=slash.get("slashed_theta"),
        slashed_fraction=slash.get("fraction"),
    )


def _first_closed_ms(positions: Sequence[Mapping[str, Any]], shortest_ms: int) -> int | None:
    closed = (
        row["close_ms"]
        for row in positions
        if row["close_ms"] is not None and row["close_ms"] - row["open_ms"] >= shortest_ms
    )
    return min(closed, default=None)


def _slash(run: StoredRun, end: Elimination) -> Mapping[str, Any]:
    for event in run.events:
        if (
            event.kind is EventKind.COLLATERAL_SLASHED
            and event.miner_hotkey == end.miner_hotkey
            and event.time_ms == end.time_ms
        ):
            return event.figures
    return {}


def _closed(end: Elimination, positions: Sequence[Mapping[str, Any]]) -> list[ClosedAtEnd]:
    pairs = {row["position_uuid"]: row["trade_pair_id"] for row in positions}
    closed = []
    for uuid, value in end.returns.items():
        found = end.closing_prices.get(pairs.get(uuid, ""))
        closed.append(
            ClosedAtEnd(
                position_uuid=uuid,
                trade_pair_id=pairs.get(uuid, ""),
                price=found.price if found else None,
                candle_ms=found.candle_ms if found else None,
                timespan=found.timespan.value if found else None,
                return_at_close=value,
            )
        )
    return closed

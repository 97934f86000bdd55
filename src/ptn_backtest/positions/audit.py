"""Which rulebook explains the returns that a source has stored?

A stored return was computed by the code of its day. Each closed position is computed anew from its
orders under every rulebook; one that gives the stored figures explains them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ptn_backtest.positions.accounting import PositionState, replay
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import Rulebook

RTOL = 1e-9


class Cause(StrEnum):
    """Most likely reason why no rulebook gives the stored figures."""

    NEEDS_SPLITTING = "needs_splitting"
    MISSING_ORDER = "missing_order"
    EDITED_PRICE = "edited_price"
    OTHER_FEES = "other_fees"
    OTHER_ARITHMETIC = "other_arithmetic"


@dataclass(frozen=True, slots=True)
class PositionAudit:
    """One closed position with stored returns.

    Attributes:
        position: as it was recorded.
        explained_by: names of the rulebooks that give both stored returns.
        nearest: name of the rulebook whose return at close is nearest.
        current_return: by the nearest rulebook.
        return_at_close: by the nearest rulebook.
        cause: where none explains it.
    """

    position: Position
    explained_by: tuple[str, ...]
    nearest: str
    current_return: float
    return_at_close: float
    cause: Cause | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of a source's positions.

    Attributes:
        audited: closed positions with stored returns.
        open_positions: how many are open: their stored returns follow prices, not orders alone.
        without_returns: how many have no stored returns.
    """

    audited: tuple[PositionAudit, ...]
    open_positions: int
    without_returns: int

    @property
    def unexplained(self) -> list[PositionAudit]:
        """Those that no rulebook explains."""
        return [each for each in self.audited if not each.explained_by]

    def by_rulebook(self) -> dict[str, int]:
        """How many positions each rulebook explains; one may be explained by several."""
        return dict(Counter(name for each in self.audited for name in each.explained_by))


def audit_positions(
    positions: Iterable[Position], rulebooks: Sequence[Rulebook], rtol: float = RTOL
) -> Audit:
    """Recompute every closed position under every rulebook.

    Args:
        positions: with what their source stored in `stored`.
        rulebooks: at least one.
        rtol: relative tolerance of `current_return` and `return_at_close`.
    """
    audited = []
    open_positions = without_returns = 0
    for position in positions:
        if not position.stored.get("is_closed_position", position.stored.get("close_ms")):
            open_positions += 1
        elif _stored(position, "current_return") is None or (
            _stored(position, "return_at_close") is None
        ):
            without_returns += 1
        else:
            audited.append(_audit(position, rulebooks, rtol))
    return Audit(tuple(audited), open_positions, without_returns)


def _audit(position: Position, rulebooks: Sequence[Rulebook], rtol: float) -> PositionAudit:
    states = {rulebook.name: replay(position, rulebook) for rulebook in rulebooks}
    stored = _stored(position, "return_at_close") or 0.0
    nearest = min(states, key=lambda name: abs(states[name].return_at_close - stored))
    explained = tuple(
        name
        for name, state in states.items()
        if _agrees(position, state, "current_return", rtol)
        and _agrees(position, state, "return_at_close", rtol)
    )
    return PositionAudit(
        position=position,
        explained_by=explained,
        nearest=nearest,
        current_return=states[nearest].current_return,
        return_at_close=states[nearest].return_at_close,
        cause=None if explained else _cause(position, list(states.values()), rtol),
    )


def _cause(position: Position, states: Sequence[PositionState], rtol: float) -> Cause:
    """The first of these that fits: each tells of a fault that hides the ones after it."""
    closed_ms, stored_ms = states[0].close_ms, position.stored.get("close_ms")
    if closed_ms is None:
        return Cause.MISSING_ORDER
    if isinstance(stored_ms, int) and closed_ms != stored_ms:
        return Cause.NEEDS_SPLITTING if closed_ms < stored_ms else Cause.MISSING_ORDER
    if any(_agrees(position, state, "current_return", rtol) for state in states):
        return Cause.OTHER_FEES
    return Cause.EDITED_PRICE if position.orders[-1].price > 0 else Cause.OTHER_ARITHMETIC


def _stored(position: Position, name: str) -> float | None:
    value = position.stored.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _agrees(position: Position, state: PositionState, name: str, rtol: float) -> bool:
    stored = _stored(position, name)
    return stored is not None and math.isclose(getattr(state, name), stored, rel_tol=rtol)

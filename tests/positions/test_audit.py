"""Stored returns against every rulebook: real ones, and ones with known faults."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.positions.audit import Cause, audit_positions
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import SHIPPED, load_rulebook
from ptn_backtest.sources.locate import open_source

RULEBOOKS = [load_rulebook(name) for name in SHIPPED]


def stored(path: Path) -> list[Position]:
    return convert(open_source(str(path)).read()).positions


@pytest.mark.parametrize(
    ("file", "name", "closed", "still_open"),
    [("btc_trader_2025.json", "2025-07", 73, 1), ("mixed_trader_2024.json", "2024-05", 60, 3)],
)
def test_real_returns_are_explained_by_the_rulebook_of_their_day(
    shared: Path, file: str, name: str, closed: int, still_open: int
) -> None:
    found = audit_positions(stored(shared / "data" / "positions" / file), RULEBOOKS)
    assert found.by_rulebook()[name] == len(found.audited) == closed
    assert found.open_positions == still_open
    assert not found.unexplained


def test_rules_of_another_day_do_not_explain_them(shared: Path) -> None:
    positions = stored(shared / "data" / "positions" / "btc_trader_2025.json")
    found = audit_positions(positions, [load_rulebook("2025-11")])
    assert len(found.unexplained) == 73
    assert {each.cause for each in found.unexplained} == {Cause.OTHER_FEES}


def edit_price(position: dict[str, Any]) -> None:
    position["orders"][0]["price"] *= 1.001


def edit_closing_price(position: dict[str, Any]) -> None:
    position["orders"][-1]["price"] *= 1.001


def drop_last_order(position: dict[str, Any]) -> None:
    position["orders"].pop()


def edit_fee(position: dict[str, Any]) -> None:
    position["return_at_close"] *= 0.999


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (edit_price, Cause.EDITED_PRICE),
        (edit_closing_price, Cause.EDITED_PRICE),
        (drop_last_order, Cause.MISSING_ORDER),
        (edit_fee, Cause.OTHER_FEES),
    ],
)
def test_a_fault_is_told_by_its_likely_cause(
    shared: Path, tmp_path: Path, fault: Callable[[dict[str, Any]], None], cause: Cause
) -> None:
    real = json.loads((shared / "data" / "positions" / "btc_trader_2025.json").read_text())
    position = real["positions"][1]
    assert position["is_closed_position"]
    fault(position)
    file = tmp_path / "one.json"
    file.write_text(json.dumps([position]))
    (audited,) = audit_positions(stored(file), RULEBOOKS).audited
    assert audited.explained_by == ()
    assert audited.cause is cause


def test_a_position_of_two_trades_needs_splitting(shared: Path, tmp_path: Path) -> None:
    real = json.loads((shared / "data" / "positions" / "btc_trader_2025.json").read_text())
    first, second = real["positions"][1:3]
    both = {**second, "orders": first["orders"] + second["orders"], "open_ms": first["open_ms"]}
    file = tmp_path / "one.json"
    file.write_text(json.dumps([both]))
    (audited,) = audit_positions(stored(file), RULEBOOKS).audited
    assert audited.cause is Cause.NEEDS_SPLITTING

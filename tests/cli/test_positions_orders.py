"""`ptn-backtest positions check-orders` as a user runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ptn_backtest.cli.positions import positions
from ptn_backtest.errors import ConfigError

START = 1_762_000_000_000
"""2025-11-01, when bitcoin is bound to 0.5."""


def order(uuid: str, kind: str, leverage: float, at_ms: int) -> dict[str, Any]:
    return {
        "order_uuid": uuid,
        "order_type": kind,
        "leverage": leverage,
        "price": 100.0,
        "processed_ms": at_ms,
    }


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command where sound.json keeps the rules and bold.json does not."""
    monkeypatch.chdir(tmp_path)
    for name, leverage in (("sound", 0.5), ("bold", 0.75)):
        recorded = {
            "miner_hotkey": "alice",
            "position_uuid": "p",
            "trade_pair": ["BTCUSD"],
            "open_ms": START,
            "orders": [order("a", "LONG", leverage, START), order("b", "FLAT", 0, START + 5)],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps([recorded]))

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(positions, ["check-orders", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout

    return run


def test_orders_that_keep_the_rules(invoke: Any) -> None:
    code, shown = invoke("sound.json")
    assert code == 0
    assert "2 orders checked by the rules of 2025-11" in shown
    assert "taken all of them" in shown


def test_orders_that_break_them_are_listed(invoke: Any) -> None:
    code, shown = invoke("bold.json")
    assert code == 1
    assert "position_leverage" in shown
    assert "alice order a: LONG 0.75 on BTCUSD" in shown
    assert "reduced to 0.5" in shown


def test_as_json(invoke: Any) -> None:
    code, shown = invoke("bold.json", "--json")
    document = json.loads(shown)
    assert code == 1
    assert document["by_rule"] == {"position_leverage": 1}
    (finding,) = document["findings"]
    assert finding["recorded_leverage"] == 0.75
    assert finding["allowed_leverage"] == 0.5
    assert (document["orders"], document["rejected"]) == (2, 0)


def test_by_another_rulebook(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "2025-11"\n[leverage]\nblocked = ["BTCUSD"]\n')
    code, shown = invoke("sound.json", "--rulebook", "mine.toml", "--json")
    assert code == 1
    assert json.loads(shown)["by_rule"] == {"blocked_pair": 1, "no_position": 1}
    with pytest.raises(ConfigError, match="no rulebook"):
        invoke("sound.json", "--rulebook", "none.toml")


def test_only_one_trader(invoke: Any) -> None:
    code, shown = invoke("bold.json", "--hotkey", "bob")
    assert (code, "0 orders checked" in shown) == (0, True)

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ptn_backtest.cli.main import cli
from ptn_backtest.rulebook import SHIPPED


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_list_names_all_and_marks_the_default() -> None:
    result = invoke("rules", "list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(SHIPPED)
    assert "2025-11  since 2025-09-24  (default)" in result.output


def test_show_says_every_rule() -> None:
    assert "fees.crypto_spread_rate = 0.001" in invoke("rules", "show", "2025-11").output
    whole = json.loads(invoke("rules", "show", "2024-05", "--json").output)
    assert whole["carry"]["from"] == "never"


def test_diff_says_what_differs_and_exits_with_1() -> None:
    result = invoke("rules", "diff", "2024-07", "2024-05")
    assert result.exit_code == 1
    assert result.output == 'carry.from: "2024-07-13T04:08:27Z" -> "never"\n'
    same = invoke("rules", "diff", "2024-07", "2024-07")
    assert (same.exit_code, same.output) == (0, "no difference\n")


@pytest.mark.parametrize("as_json", [False, True])
def test_audit_tells_who_explains(shared: Path, as_json: bool) -> None:
    file = shared / "data" / "positions" / "btc_trader_2025.json"
    options = ("--json",) if as_json else ()
    result = invoke("positions", "audit", str(file), *options)
    assert result.exit_code == 0, result.output
    if as_json:
        assert json.loads(result.output)["explained_by"] == {"2025-07": 73}
    else:
        assert "2025-07  explains 73 of 73" in result.output
    one = invoke("positions", "audit", str(file), "--rulebook", "2025-11", *options)
    assert one.exit_code == 1
    assert "other_fees" in one.output

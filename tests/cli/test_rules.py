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
    assert len(whole["slippage"]["crypto_table"]) == 49


def test_show_tells_units_and_sums_tables_up() -> None:
    lines = invoke("rules", "show", "2025-11").output.splitlines()
    (limit,) = (line for line in lines if line.startswith("eliminations.drawdown_limit = 10.0 "))
    assert "# percent" in limit
    assert any(line.startswith("slippage.equities_table = 70 rows: AAPL") for line in lines)


def test_show_writes_a_file_that_loads(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(invoke("rules", "show", "2024-07", "--toml").output)
    assert invoke("rules", "diff", "2024-07", str(file)).output == "no difference\n"
    edited = file.read_text().replace("drawdown_limit = 10.0", "drawdown_limit = 12.5")
    file.write_text(edited)
    result = invoke("rules", "diff", "2024-07", str(file))
    assert (result.exit_code, result.output) == (1, "eliminations.drawdown_limit: 10.0 -> 12.5\n")
    assert invoke("rules", "show", "2024-07", "--toml", "--json").exit_code == 2


def test_diff_names_what_only_one_has(tmp_path: Path) -> None:
    file = tmp_path / "crypto.toml"
    file.write_text('[scoring.asset_classes]\nforex = "none"\n')
    assert "scoring.asset_classes.forex.emission: 0.5 -> none" in (
        invoke("rules", "diff", "2025-11", str(file)).output
    )
    as_json = json.loads(invoke("rules", "diff", "2025-11", str(file), "--json").output)
    assert as_json["scoring.asset_classes.forex.days_in_year"] == [252, None]


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

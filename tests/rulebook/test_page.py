"""`docs/rulebooks.md` names every rule, and its examples load."""

import re
import tomllib
from pathlib import Path

import pytest

from ptn_backtest.rulebook import DEFAULT_RULEBOOK, load_rulebook
from ptn_backtest.rulebook.describing import difference, flat

PAGE = (Path(__file__).parents[2] / "docs" / "rulebooks.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
# entries of tables whose keys are pairs, classes or metrics are told by their table
TABLES = ("multipliers", "crypto_before_v2", "metric_weights", "largest", "smallest")


def test_every_rule_is_on_the_page() -> None:
    words = set(re.findall(r"\w+", PAGE))
    for key, _ in flat(DEFAULT_RULEBOOK.to_dict()):
        table, _, name = key.rpartition(".")
        told = table.rpartition(".")[2] if table.endswith(TABLES) else name
        assert told in words, key


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_load_and_change_something(text: str, tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text(
        "trade_pair_id,side,usd_from,usd_to,slippage\nBTCUSD,long,0,1000000,0.001\n"
    )
    file = tmp_path / "example.toml"
    file.write_text(text)
    assert tomllib.loads(text)
    assert difference(load_rulebook("2025-11"), load_rulebook(file))

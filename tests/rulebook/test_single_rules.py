"""Single rules changed by a line of text."""

import pytest

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.errors import ConfigError
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, rulebook_from, with_rules


def test_a_rule_is_named_by_its_dotted_key() -> None:
    changed = with_rules(
        DEFAULT_RULEBOOK,
        ["eliminations.drawdown_limit=25", "fees.v4 = never", "challenge.ranks=3"],
    )
    assert changed.eliminations.drawdown_limit == 25.0
    assert changed.scoring.drawdown_limit == 25.0
    assert changed.fee_v4_ms == NEVER_MS
    assert changed.challenge.ranks == 3
    assert changed.challenge.full_days == DEFAULT_RULEBOOK.challenge.full_days
    assert changed.leverage == DEFAULT_RULEBOOK.leverage
    assert changed.name == (
        "2025-11 with eliminations.drawdown_limit=25, fees.v4 = never, challenge.ranks=3"
    )


def test_values_are_written_as_in_a_file() -> None:
    rules = [
        'challenge.grace_until="2025-12-24T00:00:00Z"',
        "fees.spread_until_slippage=true",
        'leverage.blocked=["TAOUSD"]',
    ]
    changed = with_rules(DEFAULT_RULEBOOK, rules)
    assert changed.challenge.grace_until_ms == 1_766_534_400_000
    assert changed.fees.spread_until_slippage
    assert changed.leverage.blocked == ("TAOUSD",)


def test_a_changed_rulebook_is_recorded_whole() -> None:
    changed = with_rules(DEFAULT_RULEBOOK, ["scoring.softmax_temperature=0.3"])
    assert rulebook_from(changed.to_dict(), "run.json") == changed
    assert with_rules(DEFAULT_RULEBOOK, []) is DEFAULT_RULEBOOK


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("eliminations.drawdown_limit", "key=value"),
        ("eliminations.drawdwon_limit=5", "did you mean drawdown_limit"),
        ("eliminations.drawdown_limit=high", "eliminations.drawdown_limit"),
        ("challenge.ranks=2.5", "challenge.ranks"),
        ("=5", "key=value"),
    ],
)
def test_a_mistake_is_named(rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_rules(DEFAULT_RULEBOOK, [rule])

"""What people see of a rulebook, and files written from one; random rulebooks come back whole."""

import json
import tomllib
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.rulebook import DEFAULT_RULEBOOK, SHIPPED, load_rulebook, rulebook_from
from ptn_backtest.rulebook.describing import difference, flat, notes, to_text, to_toml

FRACTIONS = st.floats(0, 1, allow_subnormal=False)
NUMBERS = st.floats(0, 1e9, allow_subnormal=False)
COUNTS = st.integers(1, 10_000)
TIMES = st.one_of(
    st.sampled_from(["always", "never"]),
    st.integers(0, 253_402_300_799_999),  # the end of the year 9999
    st.dates(date(1970, 1, 1)).map(date.isoformat),
)
BOUNDS = st.dictionaries(
    st.sampled_from(["crypto", "forex", "BTCUSD", "XAUUSD"]), st.one_of(NUMBERS, st.just("own"))
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1)
COLUMNS = ["trade_pair_id", "side", "usd_from", "usd_to", "slippage"]


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """What a user's file may say, any part of it left out."""
    sections: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "fees": {
            "v4": TIMES,
            "crypto_spread_rate": FRACTIONS,
            "spread_until_slippage": st.booleans(),
        },
        "carry": {
            "from": TIMES,
            "forex": st.fixed_dictionaries({"period_hours": COUNTS, "yearly_rate": FRACTIONS}),
        },
        "slippage": {
            "from": TIMES,
            "crypto_factor": NUMBERS,
            "crypto_before_v2": st.dictionaries(st.sampled_from(["TAOUSD", "BTCUSD"]), FRACTIONS),
            "crypto_table": FRACTIONS.map(lambda cell: [COLUMNS, ["BTCUSD", "long", 0, 5e5, cell]]),
        },
        "leverage": {
            "orders_per_position": COUNTS,
            "blocked": st.lists(st.sampled_from(["indices", "EURUSD"]), unique=True),
            # one time, so that no two of the new ones say the same then
            "changes": st.dictionaries(
                NAMES.filter(lambda name: name != "none"),
                st.fixed_dictionaries(
                    {"from": TIMES}, optional={"largest": BOUNDS, "portfolio_cap": COUNTS}
                ),
                max_size=1,
            ).map(
                lambda named: {f"x{name}": {**c, "from": "2019-01-01"} for name, c in named.items()}
            ),
        },
        "challenge": {"ranks": COUNTS, "grace_until": TIMES},
        "eliminations": {"drawdown_limit": st.floats(0, 100), "challenge_slash": FRACTIONS},
        "accounts": {"most_theta": NUMBERS},
        "scoring": {
            "insufficient": st.floats(-1e6, 1e6),
            "asset_classes": st.sampled_from([{}, {"forex": "none"}, {"forex": {"emission": 0.1}}]),
            "risk_profile": st.fixed_dictionaries({"midpoint": NUMBERS}),
        },
    }
    return draw(
        st.fixed_dictionaries(
            {"base": st.sampled_from(SHIPPED)},
            optional={
                name: st.fixed_dictionaries({}, optional=rules) for name, rules in sections.items()
            },
        )
    )


@settings(deadline=None)
@given(changes())
def test_any_rulebook_comes_back_from_its_record_and_from_its_file(said: dict[str, Any]) -> None:
    rulebook = rulebook_from(said, "mine")
    told = json.loads(json.dumps(rulebook.to_dict(), sort_keys=True))
    assert rulebook_from(told, "other") == rulebook
    written = rulebook_from(tomllib.loads(to_toml(rulebook)), "other")
    assert written == rulebook
    assert difference(written, rulebook) == {}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_text_names_every_rule(name: str) -> None:
    shown = list(to_text(load_rulebook(name)))
    keys = {line.partition(" = ")[0] for line in shown if line and not line.startswith("#")}
    assert keys == {key for key, _ in flat(load_rulebook(name).to_dict())} - {"base"}
    assert any(line.startswith("slippage.crypto_table = 48 rows: BTCUSD, ETHUSD") for line in shown)


def test_every_rule_is_explained_at_its_key_or_its_table() -> None:
    for key, _ in flat(DEFAULT_RULEBOOK.to_dict()):
        around = {key, key.rpartition(".")[0], key.rpartition(".")[0].rpartition(".")[0]}
        # an asset class of carry is explained at the first one, a change at the first one
        first = "carry.crypto" if key.startswith("carry.") else "leverage.changes.v1"
        assert (around | {first}) & set(notes()), key


def test_units_are_told() -> None:
    assert notes()["eliminations.drawdown_limit"].startswith("percent")
    assert notes()["accounts.smallest_usd"].startswith("USD")
    assert notes()["challenge.position_seconds"].startswith("seconds")


def test_a_difference_is_named_by_key_and_by_row() -> None:
    rows = DEFAULT_RULEBOOK.to_dict()["slippage"]["crypto_table"]
    assert rows[1][:4] == ["BTCUSD", "long", 0.0, 10_000.0]
    edited = [rows[0], [*rows[1][:4], 0.5], *rows[3:]]
    told = {
        "slippage": {"crypto_table": edited},
        "leverage": {"changes": {"mine": {"from": "2025-06-01", "portfolio_cap": 20}}},
        "eliminations": {"drawdown_limit": 15},
    }
    assert difference(DEFAULT_RULEBOOK, rulebook_from(told, "mine")) == {
        "eliminations.drawdown_limit": (10.0, 15.0),
        "leverage.changes.mine.from": (None, "2025-06-01T00:00:00Z"),
        "leverage.changes.mine.portfolio_cap": (None, 20.0),
        "slippage.crypto_table[BTCUSD long 0 10000].slippage": (2.2525308722996182e-06, 0.5),
        "slippage.crypto_table[BTCUSD long 10000 50000].slippage": (3.578742993003588e-05, None),
    }

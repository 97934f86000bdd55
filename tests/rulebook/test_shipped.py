"""The shipped rulebooks against the network's constants, typed by hand."""

import json
import pickle

import pytest

from ptn_backtest.rulebook import (
    DEFAULT_RULEBOOK,
    DEFAULT_SCORING,
    DEFAULT_SLIPPAGE_RULES,
    SHIPPED,
    AccountRules,
    ChallengeRules,
    EliminationRules,
    LeverageRules,
    MinimumDays,
    RiskProfileRules,
    ScoringRules,
    SlippageRules,
    load_rulebook,
    rulebook_from,
)

EXPECTED = {
    "fees.v4": "2024-04-15T16:31:20Z",
    "fees.crypto_spread_rate": 0.001,
    "carry.from": "2024-07-13T04:08:27Z",
    "carry.crypto.yearly_rate": 0.1095,
    "carry.crypto.phase_hours": 4,
    "carry.forex.yearly_rate": 0.03,
    "carry.equities.yearly_rate": 0.0525,
    "carry.indices.yearly_rate": 0.0525,
    "slippage.from": "2025-02-19T04:00:00Z",
    "slippage.v2": "2025-10-02T18:59:00Z",
    "slippage.equities_table_from": "2025-01-01T08:00:00Z",
    "slippage.free_size_usd": 1000,
    "slippage.largest": 0.03,
    "slippage.forex": 0.0002,
    "slippage.forex_rollover": 0.0005,
    "slippage.rollover_hour": 17,
    "slippage.crypto_before_v2.ETHUSD": 0.00002,
    "slippage.crypto_before_v2.ADAUSD": 0.0002,
    "slippage.crypto_factor": 3,
    "slippage.spread_weight": 0.433,
    "slippage.impact_weight": 0.335,
    "slippage.impact_days": 250,
    "slippage.tradable_part": 0.3,
    "slippage.quantity_capital_usd": 100_000,
    "slippage.lot_units": 100_000,
    "slippage.volatility_days": 30,
    "slippage.volume_days": 10,
    "slippage.year_days": 252,
    "challenge.challenge_days": 90,
    "challenge.probation_days": 60,
    "challenge.grace_until": "2025-10-02T00:00:00Z",
    "challenge.full_days": 61,
    "challenge.position_seconds": 60,
    "challenge.ranks": 25,
    "eliminations.drawdown_limit": 10,
    "eliminations.plagiarism_days": 14,
    "eliminations.closing_price_days": 7,
    "eliminations.drawdown_slash": 0.5,
    "eliminations.challenge_slash": 0.1,
    "accounts.usd_per_theta": 500,
    "accounts.most_theta": 1000,
    "accounts.smallest_usd": 5000,
    "scoring.return_days": {"floor": 0.15, "decay": 0.075},
    "scoring.pnl_days": {"floor": 0.045, "decay": 0.075},
    "scoring.minimum_days": {"least": 7, "most": 60, "rank": 20},
    "scoring.asset_classes": {
        "crypto": {"emission": 0.5, "days_in_year": 365},
        "forex": {"emission": 0.5, "days_in_year": 252},
    },
    "scoring.metric_weights": {
        **dict.fromkeys(("sharpe", "sortino", "omega", "calmar", "statistical_confidence"), 0.02),
        "pnl": 0.9,
    },
    "scoring.risk_free_rate": 0.0389,
    "scoring.ratio_floor": 0.01,
    "scoring.insufficient": -100,
    "scoring.min_variance": 1e-8,
    "scoring.min_account_size": 150_000,
    "scoring.small_account_penalty": 0.01,
    "scoring.softmax_temperature": 0.15,
    "scoring.softmax_epsilon": 1e-6,
    "scoring.risk_profile": {
        "window_days": 120,
        "min_duration_seconds": 60,
        "losing_adds": 3,
        "losing_raises": 2,
        "margin_use": 0.5,
        "leverage_ratio": 1.5,
        "unevenness": 0.185,
        "min_timed_orders": 3,
        "floor": 0.01,
        "sum_floor": 1e-6,
        "return_power": 100,
        "steepness": 4,
        "midpoint": 1.2,
        "max_exponent": 100,
    },
}


@pytest.mark.parametrize("key", EXPECTED)
def test_the_default_has_the_networks_value(key: str) -> None:
    found = DEFAULT_RULEBOOK.to_dict()
    for part in key.split("."):
        found = found[part]
    assert found == EXPECTED[key]


def test_the_defaults_of_the_classes_are_the_default_rulebook() -> None:
    assert DEFAULT_RULEBOOK.slippage == SlippageRules() == DEFAULT_SLIPPAGE_RULES
    assert DEFAULT_RULEBOOK.leverage == LeverageRules()
    assert DEFAULT_RULEBOOK.challenge == ChallengeRules()
    assert DEFAULT_RULEBOOK.eliminations == EliminationRules()
    assert DEFAULT_RULEBOOK.accounts == AccountRules()
    assert DEFAULT_RULEBOOK.scoring == ScoringRules() == DEFAULT_SCORING
    assert DEFAULT_SCORING.risk_profile == RiskProfileRules()
    assert DEFAULT_SCORING.minimum_days == MinimumDays()


def test_times_are_given_in_ms() -> None:
    assert DEFAULT_RULEBOOK.slippage.v2_ms == 1_759_431_540_000
    assert DEFAULT_RULEBOOK.slippage.equities_table_ms == 1_735_718_400_000
    assert DEFAULT_RULEBOOK.challenge.grace_until_ms == 1_759_363_200_000
    assert DEFAULT_RULEBOOK.challenge.challenge_ms == 90 * 86_400_000
    assert DEFAULT_SCORING.risk_profile.window_ms == 120 * 86_400_000
    assert DEFAULT_SCORING.risk_profile.min_duration_ms == 60_000


@pytest.mark.parametrize("name", SHIPPED)
def test_a_rulebook_comes_back_from_what_it_says_of_itself(name: str) -> None:
    rulebook = load_rulebook(name)
    told = json.loads(json.dumps(rulebook.to_dict(), sort_keys=True))
    assert rulebook_from(told, "copy") == rulebook
    assert pickle.loads(pickle.dumps(rulebook)) == rulebook  # noqa: S301
    assert hash(rulebook_from(told, "copy")) == hash(rulebook)


@pytest.mark.parametrize("name", SHIPPED)
def test_earlier_rulebooks_differ_in_fees_and_the_begin_of_carry_and_slippage(name: str) -> None:
    rulebook = load_rulebook(name)
    for section in ("leverage", "challenge", "eliminations", "accounts", "scoring"):
        assert getattr(rulebook, section) == getattr(DEFAULT_RULEBOOK, section)


def test_the_tables_are_in_the_record() -> None:
    slippage = DEFAULT_RULEBOOK.to_dict()["slippage"]
    assert len(slippage["crypto_table"]) == 49  # the names of the columns, and 48 rows
    assert len(slippage["equities_table"]) == 71
    assert slippage["crypto_table"][1] == ["BTCUSD", "long", 0.0, 10_000.0, 2.2525308722996182e-06]

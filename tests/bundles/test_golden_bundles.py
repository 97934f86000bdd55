"""The reference implementation's results, replayed: `bundle check` on every golden folder.

The folders lie beside the repository (`../shared/golden`); without them these tests skip and say so.
"""

import json
import shutil
from pathlib import Path

import pytest

from ptn_backtest.bundles.bundle import read_bundle
from ptn_backtest.bundles.checking import check_bundle
from ptn_backtest.bundles.exporting import export_bundle

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
NAMES = sorted(file.parent.name for file in GOLDEN.glob("*/scenario.json"))

REFUSED_FEES = "the expected results have an error in its place"
RULE_SECTIONS = ("buckets", "eliminations", "ledgers_last_seen", "scoring")

EXPORTED = (
    "daily_updates",
    "five_pairs",
    "flats_without_price",
    "forex_and_crypto_fee_v4",
    "liquidation",
    "quirk_29",
    "same_millisecond",
    "second_steps",
    "weekend_daily",
)


@pytest.mark.parametrize("name", NAMES or ["(no golden folders)"])
def test_the_reference_is_reproduced(shared: Path, name: str) -> None:
    folder = shared / "golden" / name
    check = check_bundle(folder)
    assert [str(difference) for difference in check.differences] == []
    assert check.agrees
    # fees that the reference could not ask for; nothing else is left out
    assert set(check.not_compared.values()) <= {REFUSED_FEES}
    compared = {section.section: section.n_values for section in check.sections}
    expected = json.loads((folder / "expected.json").read_text())
    for section in ("positions", "ledgers", *RULE_SECTIONS):
        assert (compared.get(section, 0) > 0) == bool(expected.get(section))


def test_every_golden_folder_is_here(shared: Path) -> None:
    assert shared
    assert len(NAMES) == 49
    expected = [json.loads((GOLDEN / name / "expected.json").read_text()) for name in NAMES]
    counts = [sum(bool(one.get(section)) for one in expected) for section in RULE_SECTIONS]
    # buckets wherever the rules' clock ran, the rest where somebody left or was scored
    assert counts == [11, 3, 3, 3]


@pytest.mark.parametrize("name", EXPORTED)
def test_an_export_with_fewer_candles_gives_the_same_ledgers(
    shared: Path, tmp_path: Path, name: str
) -> None:
    golden = read_bundle(shared / "golden" / name)
    exported = export_bundle(
        tmp_path / name,
        golden.positions,
        golden.candles,
        golden.settings,
        missing_candles="hold",
        expected=False,
    )
    shutil.copy(golden.folder / "expected.json", tmp_path / name)
    check = check_bundle(tmp_path / name)
    assert [str(difference) for difference in check.differences] == []
    assert check.agrees
    scenario = json.loads((tmp_path / name / "scenario.json").read_text())
    assert len(scenario["positions"]) == exported.n_positions

"""Recorded plagiarism events in a bundle: read back, applied, refused where malformed."""

from pathlib import Path

import pytest

from ptn_backtest.bundles.bundle import read_bundle, scenario_json
from ptn_backtest.bundles.replay import replay_bundle
from ptn_backtest.clock import HOUR_MS
from ptn_backtest.errors import BundleError
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from tests.bundles.made_bundles import ALICE, BOB, END_MS, START_MS, scenario, write_bundle

FLAGGED_MS = START_MS + 20 * HOUR_MS


def settings(events: object) -> dict[str, object]:
    times = [START_MS + 12 * HOUR_MS, END_MS]
    return {
        "mode": "backtest",
        "now_ms": None,
        "update_times_ms": times,
        "start_time_ms": times[0],
        "run_challenge": True,
        "run_elimination": True,
        "plagiarism_events": events,
    }


def test_a_flagged_trader_is_in_plagiarism_at_the_end(tmp_path: Path) -> None:
    events = [[ALICE, FLAGGED_MS, True]]
    folder = write_bundle(tmp_path / "flagged", scenario(**settings(events)))
    bundle = read_bundle(folder)
    assert bundle.settings.plagiarism_events == (PlagiarismEvent(ALICE, FLAGGED_MS, flagged=True),)
    written = scenario_json("again", bundle.settings, [])
    assert written["settings"]["plagiarism_events"] == events
    buckets = replay_bundle(bundle)["buckets"]
    assert buckets[ALICE] == ["PLAGIARISM", END_MS]
    assert buckets[BOB][0] == "CHALLENGE"


@pytest.mark.parametrize(
    "events",
    [[[ALICE, FLAGGED_MS]], [[ALICE, "soon", True]], [[ALICE, FLAGGED_MS, 1]], [["", 1, True]], 5],
)
def test_malformed_events_are_named(tmp_path: Path, events: object) -> None:
    folder = write_bundle(tmp_path / "malformed", scenario(**settings(events)))
    with pytest.raises(BundleError, match=r"plagiarism_events is no list of"):
        read_bundle(folder)

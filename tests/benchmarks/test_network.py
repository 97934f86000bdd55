"""The table and its ratios, from figures made by hand; and the golden ratio."""

from pathlib import Path

import pytest
from benchmarks.golden import golden_times
from benchmarks.network import Figures, _ratios, measure_growth, show_days, show_networks
from benchmarks.replay import PHASES


def figures(**changes: object) -> Figures:
    seconds = {**dict.fromkeys(PHASES, 1.0), "kernel": 4.0}
    found: Figures = {
        "rows": {"traders": 3, "positions": 20_000},
        "seconds": seconds,
        "cpu_seconds": {**seconds, "kernel": 2.0},
        "peak_bytes": 1_500_000_000,
        "ticks": 40_000_000,
        "valuations": 100_000_000,
        "pair_ticks": 60_000_000,
        "least_seconds": 0.5,
        "every_least_seconds": 1.6,
        "candles_read": 7,
        "eliminations": 2,
        "liquidations": 1,
        **changes,
    }
    return {**found, "ratios": _ratios(found, "seconds")}


def test_ratios() -> None:
    """Eleven phases of a second beside a kernel of four, 15 s in all, and 40 million ticks."""
    assert len(PHASES) == 12
    assert figures()["ratios"] == {
        "rest_to_kernel": 11 / 4,
        "kernel_to_least_work": 8.0,
        "kernel_to_least_work_of_every_ledger": 2.5,
        "kernel_million_valuations_per_second": 25.0,
        "kernel_ns_per_tick": pytest.approx(100.0),
        "total_ns_per_tick": pytest.approx(375.0),
    }
    assert _ratios(figures(), "cpu_seconds")["rest_to_kernel"] == 11 / 2


def test_growth_is_taken_per_tick() -> None:
    doubled = {phase: 2 * seconds for phase, seconds in figures()["seconds"].items()}
    year = figures(seconds=doubled, ticks=80_000_000, peak_bytes=1_800_000_000)
    growth = measure_growth({"network": figures(), "year": year}, "seconds")
    assert growth == {"ticks": 2.0, "time": 1.0, "kernel": 1.0, "memory": pytest.approx(0.6)}


def test_the_table_has_a_column_per_network(capsys: pytest.CaptureFixture[str]) -> None:
    show_networks({"small": figures(), "network": figures(ticks=2)})
    lines = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert lines["positions"] == ["positions", "20,000", "20,000"]
    assert lines["ticks"] == ["ticks", "40,000,000", "2"]
    assert lines["peak memory, MB"][-2:] == ["1,500", "1,500"]
    assert lines["kernel to least work"][-2:] == ["8.00", "8.00"]


def test_a_day_is_held_to_a_run_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    def seconds(kernel: float, report: float) -> dict[str, dict[str, float]]:
        each = {**dict.fromkeys(PHASES, 0.0), "kernel": kernel, "report": report}
        return {"seconds": each, "cpu_seconds": each}

    day = {"days": 120, "orders": 5_000, "state_bytes": 3_000_000}
    measured = {"states": seconds(0.25, 0), "day": seconds(0.5, 1.5), "full": seconds(8.5, 1.5)}
    show_days([{**day, **measured}], "seconds")
    lines = {line[:38].strip(): line[38:].split() for line in capsys.readouterr().out.splitlines()}
    assert lines["orders"] == ["5,000"]
    assert lines["all"] == ["2.00", "(2.00)"]
    assert lines["at once / day"] == ["5.0"]
    assert lines["without output"] == ["17.0"]
    assert lines["all, states only"] == ["0.25", "(0.25)"]
    assert lines["at once / states only"] == ["40.0"]
    assert lines["states, MB"] == ["3.0"]


def test_golden_folders_are_replayed(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(shared / "golden" / "one_position")
    (found,) = golden_times(tmp_path, repeats=1)
    assert found.name == "one"
    assert found.reference == pytest.approx(0.38, abs=0.005)  # as its expected.json says
    assert found.ratio == found.reference / found.ours > 1

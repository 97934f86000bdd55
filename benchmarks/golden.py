"""Ledgers of the golden folders: our seconds against those that the reference needed.

    python -m benchmarks.golden FOLDER

Each bundle in the folder (docs/bundles.md) whose expected.json has `reference_seconds` is replayed
several times, and the quickest counts: compiled code is loaded by then.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from ptn_backtest.bundles.bundle import Bundle, read_bundle
from ptn_backtest.bundles.replay import bundle_manager


@dataclass(frozen=True, slots=True)
class GoldenTimes:
    """Seconds for the ledgers of one bundle."""

    name: str
    ours: float
    reference: float

    @property
    def ratio(self) -> float:
        """How many times faster ours are."""
        return self.reference / self.ours


def golden_times(folder: Path, repeats: int) -> list[GoldenTimes]:
    """Measure every bundle of the folder that says what the reference needed."""
    found = []
    for expected in sorted(folder.glob("*/expected.json")):
        reference = json.loads(expected.read_text()).get("reference_seconds")
        if reference is not None:
            bundle = read_bundle(expected.parent)
            ours = min(ledger_seconds(bundle) for _ in range(repeats + 1))
            found.append(GoldenTimes(expected.parent.name, ours, float(reference)))
    return found


def ledger_seconds(bundle: Bundle) -> float:
    """Seconds of one replay for its ledgers, all updates included; candles are in memory."""
    manager = bundle_manager(bundle)
    manager.run()
    return manager.timings["ledgers"]


def main() -> None:
    """Print one line per bundle, and the totals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    times = golden_times(given.folder, given.repeats)
    if not times:
        raise SystemExit(f"{given.folder}: no bundle in it has reference_seconds")
    ours, reference = sum(each.ours for each in times), sum(each.reference for each in times)
    print(f"{'bundle':<30}{'reference':>12}{'ours':>12}{'ratio':>10}")
    for each in [*times, GoldenTimes("all", ours, reference)]:
        print(f"{each.name:<30}{each.reference:>11.2f}s{each.ours:>11.5f}s{each.ratio:>9,.0f}x")


if __name__ == "__main__":
    main()

"""How much faster processes build the ledgers of a network, side by side in one run.

    python -m benchmarks.parallel_modes network

Every building has a process of its own, as a run has: what one left in memory helps no other. All
ledgers are compared. Seconds are of the ledger phase, with workers that are ready. On a busy machine
the processor seconds tell more: this process and its busiest worker, one after the other, are the
longest that the phase takes on idle processors.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import measured
from benchmarks.workload import FOLDER, Workload, workload

MODES = ("SERIAL", "MULTIPROCESSING")


def in_turn(cost: Mapping[str, Any]) -> float:
    """Processor seconds of the process and of its busiest worker."""
    return float(cost["here"] + max(cost["workers"], default=0.0))


def compare(work: Workload, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """What each of some buildings took, by mode; the modes take turns.

    Raises:
        SystemExit: ledgers differ.
    """
    costs: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    for _ in range(repeats):
        for mode, mine in costs.items():
            cost = measured("building", work, mode=mode)
            mine.append(cost)
            if cost["ledgers"] != costs[MODES[0]][0]["ledgers"]:
                raise SystemExit(f"{mode}: other ledgers")
            workers = ", ".join(f"{seconds:.2f}" for seconds in cost["workers"])
            wall, here = cost["wall"], cost["here"]
            print(f"{mode:<16}{wall:>7.2f} s; processors {here:.2f} s here, [{workers}]")
    return costs


def main() -> None:
    """Print a line per building, and ratios of the quickest ones and of the middle ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("size", nargs="?", default="small")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    costs = compare(workload(given.size, folder=given.folder), given.repeats)

    def ratio(choose: Callable[[list[float]], float], of: Callable[[Any], float]) -> float:
        serial, processes = (choose([of(cost) for cost in costs[mode]]) for mode in MODES)
        return serial / processes

    for name, choose in (("best", min), ("median", median)):
        wall, used = ratio(choose, lambda cost: float(cost["wall"])), ratio(choose, in_turn)
        print(f"{name}: {wall:.2f} times faster by the clock, {used:.2f} by processors in turn")


if __name__ == "__main__":
    main()

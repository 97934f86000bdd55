"""A whole replay of a made-up network, measured: database to ledgers, rules, run folder, report.

    python -m benchmarks.network                   small and network, and the golden ratio
    python -m benchmarks.network network year --day --json figures.json

Each measurement has a process of its own; of several, the quickest counts, phase by phase.
`docs/performance.md` says what the figures mean.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.golden import golden_times
from benchmarks.measuring import measured
from benchmarks.replay import PHASES
from benchmarks.workload import FOLDER, SEED, SIZES, Workload, workload
from ptn_backtest.backtest.legs import cut_into_legs
from ptn_backtest.clock import DAY_MS
from ptn_backtest.results.run_folder import RUN_FILE, versions

HISTORIES = (30, 120, 360)
"""Days before the one that is measured alone, where the network has so many."""

DAYS = ("states", "day", "full")
"""What is measured of one more day: states alone, with all output, and a run at once."""

_REPLAYING = tuple(phase for phase in PHASES if phase not in ("gather", "write", "report"))
"""Phases of the replay itself: the output is that of the whole run, also after one more day."""

Figures = dict[str, Any]


def measure_network(work: Workload, repeats: int, clock: str) -> Figures:
    """The figures of one network.

    Args:
        work: the network.
        repeats: measurements of the replay, and of the least work.
        clock: "seconds" or "cpu_seconds": what the ratios are taken from.

    Returns:
        `rows` (counts of the database and store); `seconds` and `cpu_seconds` by phase; `ticks`,
        `valuations` (ticks x open positions), `least_seconds`: of portfolios; `pair_ticks`: of ledgers
        by pair; `every_least_seconds`: of both; `peak_bytes`; `ratios`.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = [measured("replay", work, folder=str(Path(folder) / "run")) for _ in range(repeats)]
        info = json.loads((Path(folder) / "run" / RUN_FILE).read_text())
        least = measured("least_work", work, ended_ms=_ended_ms(info), repeats=repeats)
    if any(run["counts"] != runs[0]["counts"] for run in runs):
        raise SystemExit(f"{work.name}: two runs of the same network differ")
    best = {
        kind: {phase: min(run[kind][phase] for run in runs) for phase in PHASES}
        for kind in ("seconds", "cpu_seconds")
    }
    figures = {
        "rows": work.counts,
        **best,
        "peak_bytes": min(run["peak_bytes"] for run in runs),  # one of them may have compiled
        "eliminations": runs[0]["eliminations"],
        "liquidations": runs[0]["liquidations"],
        "candles_read": runs[0]["counts"]["candles"],
        "ticks": least["ticks"],
        "valuations": least["valuations"],
        "pair_ticks": least["pair_ticks"],
        "least_seconds": least["least_seconds"],
        "every_least_seconds": least["every_least_seconds"],
        "warm_up_seconds": min(run["warm_up_seconds"] for run in runs),
    }
    return {**figures, "ratios": _ratios(figures, clock)}


def _ended_ms(info: Figures) -> dict[str, int]:
    """{hotkey: when its ledgers end}: at its liquidation, or with the leg in which it left."""
    legs = cut_into_legs(info["update_times_ms"])
    ended = {
        one["miner_hotkey"]: next(leg[-1] for leg in legs if leg[-1] >= one["time_ms"])
        for one in info["eliminations"]
    }
    return ended | {one["miner_hotkey"]: one["elimination_ms"] for one in info["liquidations"]}


def _ratios(figures: Figures, clock: str) -> dict[str, float]:
    seconds = figures[clock]
    kernel, total = seconds["kernel"], sum(seconds.values())
    return {
        "rest_to_kernel": (total - kernel) / kernel,
        "kernel_to_least_work": kernel / figures["least_seconds"],
        "kernel_to_least_work_of_every_ledger": kernel / figures["every_least_seconds"],
        "kernel_million_valuations_per_second": figures["valuations"] / kernel / 1e6,
        "kernel_ns_per_tick": kernel / figures["ticks"] * 1e9,
        "total_ns_per_tick": total / figures["ticks"] * 1e9,
    }


def measure_growth(networks: Mapping[str, Figures], clock: str) -> Figures:
    """What a tick of the year costs against a tick of the network size; 1 is in proportion."""
    year, network = networks["year"], networks["network"]
    ticks = year["ticks"] / network["ticks"]
    return {
        "ticks": ticks,
        "time": sum(year[clock].values()) / sum(network[clock].values()) / ticks,
        "kernel": year[clock]["kernel"] / network[clock]["kernel"] / ticks,
        "memory": year["peak_bytes"] / network["peak_bytes"] / ticks,
    }


def measure_days(work: Workload, repeats: int) -> list[Figures]:
    """One more day on histories of different lengths."""
    n_days = (work.end_ms - work.start_ms) // DAY_MS
    found = []
    for days in [days for days in HISTORIES if days < n_days] or [n_days - 2]:
        runs = [measured("another_day", work, n_days=days) for _ in range(repeats)]
        best = {
            which: {
                kind: {phase: min(run[which][kind][phase] for run in runs) for phase in PHASES}
                for kind in ("seconds", "cpu_seconds")
            }
            for which in DAYS
        }
        found.append({**runs[0], **best})
    return found


def show_networks(networks: Mapping[str, Figures]) -> None:
    """The table: a column per network."""

    def line(name: str, values: Sequence[str]) -> None:
        print(f"{name:<38}" + "".join(f"{value:>20}" for value in values))

    every = list(networks.values())
    line("", list(networks))
    for name in every[0]["rows"]:
        line(name.replace("_", " "), [f"{each['rows'][name]:,}" for each in every])
    for name in (
        "candles_read",
        "ticks",
        "pair_ticks",
        "valuations",
        "eliminations",
        "liquidations",
    ):
        line(name.replace("_", " "), [f"{each[name]:,}" for each in every])
    print("seconds (of the processor)")
    for phase in PHASES:
        line(f"  {phase}", [_seconds(each, phase) for each in every])
    line("  all", [_seconds(each, *PHASES) for each in every])
    line("  least work", [f"{each['least_seconds']:.3f}" for each in every])
    line("  least work, every ledger", [f"{each['every_least_seconds']:.3f}" for each in every])
    line("peak memory, MB", [f"{each['peak_bytes'] / 1e6:,.0f}" for each in every])
    for name in every[0]["ratios"]:
        line(name.replace("_", " "), [f"{each['ratios'][name]:,.2f}" for each in every])


def _seconds(figures: Figures, *phases: str) -> str:
    wall, cpu = (sum(figures[kind][p] for p in phases) for kind in ("seconds", "cpu_seconds"))
    return f"{wall:.2f} ({cpu:.2f})"


def show_days(days: Sequence[Figures], clock: str) -> None:
    """A column per history: seconds of one more day, and what it is of a run at once."""

    def line(name: str, values: Sequence[str]) -> None:
        print(f"{name:<38}" + "".join(f"{value:>20}" for value in values))

    print("\none more day")
    line("days before", [str(each["days"]) for each in days])
    line("orders", [f"{each['orders']:,}" for each in days])
    print("seconds (of the processor)")
    for phase in PHASES:
        line(f"  {phase}", [_seconds(each["day"], phase) for each in days])
    line("  all", [_seconds(each["day"], *PHASES) for each in days])
    line("  all, states only", [_seconds(each["states"], *PHASES) for each in days])
    line("  a run at once", [_seconds(each["full"], *PHASES) for each in days])
    line("states, MB", [f"{each['state_bytes'] / 1e6:.1f}" for each in days])
    for name, of_day, phases in (
        ("at once / day", "day", tuple(PHASES)),
        ("  without output", "day", _REPLAYING),
        ("at once / states only", "states", tuple(PHASES)),
    ):
        full, day = (
            [sum(each[which][clock][phase] for phase in phases) for each in days]
            for which in ("full", of_day)
        )
        line(name, [f"{f / d:.1f}" for f, d in zip(full, day, strict=True)])


def machine() -> Figures:
    """What the figures were measured on."""
    return {"cores": os.cpu_count(), "processor": platform.machine(), "versions": versions()}


def main() -> None:
    """Measure, print, and write JSON where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sizes", nargs="*", default=["small", "network"], help=", ".join(SIZES))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where networks are kept")
    parser.add_argument("--url", help="an empty database, in place of SQLite; for one size only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=["seconds", "cpu_seconds"], default="seconds")
    parser.add_argument("--day", action="store_true", help="also one more day on the last size")
    parser.add_argument("--golden", type=Path, help="folder of bundles with reference_seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    if given.url and len(given.sizes) > 1:
        parser.error("--url takes one network: name one size")
    figures: Figures = {"machine": machine(), "clock": given.clock, "networks": {}}
    made = {
        name: workload(name, seed=given.seed, folder=given.folder.resolve(), url=given.url)
        for name in given.sizes
    }
    for name, work in made.items():
        figures["networks"][name] = measure_network(work, given.repeats, given.clock)
    show_networks(figures["networks"])
    if {"network", "year"} <= made.keys():
        figures["growth"] = measure_growth(figures["networks"], given.clock)
        print("\nyear against network, per tick:", _listed(figures["growth"]))
    if given.day:
        figures["days"] = measure_days(made[given.sizes[-1]], given.repeats)
        show_days(figures["days"], given.clock)
    if given.golden:
        times = golden_times(given.golden, given.repeats)
        ours, reference = sum(each.ours for each in times), sum(each.reference for each in times)
        figures["golden"] = {"seconds": ours, "reference_seconds": reference}
        print(f"\ngolden folders: {reference:,.0f} s / {ours:.3f} s = {reference / ours:,.0f}x")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


if __name__ == "__main__":
    main()

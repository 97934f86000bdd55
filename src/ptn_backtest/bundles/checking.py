"""Whether a bundle's replay gives its expected.json."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptn_backtest.bundles.bundle import EXPECTED_FILE, read_bundle
from ptn_backtest.bundles.comparing import ABSENT, ATOL, RTOL, Comparison, Difference
from ptn_backtest.bundles.replay import SECTIONS, Results, replay_bundle
from ptn_backtest.errors import BundleError

_NOTES = ("reference_seconds", "made_by", "synthetic")
"""What expected.json may say about itself, beside results."""

_UNKNOWN = "no section that this version knows"
_UNTOLD = "a replay cannot tell the returns at this liquidation"
_NO_FEE = "the expected results have an error in its place"


@dataclass(frozen=True, slots=True)
class SectionCheck:
    """One section of expected.json against the replay.

    Attributes:
        section: its name.
        n_values: numbers, texts, flags and nulls that were compared.
        largest: the largest difference, None where everything is identical.
        differences: those beyond the tolerance.
    """

    section: str
    n_values: int
    largest: Difference | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class BundleCheck:
    """One bundle's replay against its expected.json.

    Attributes:
        folder: the bundle.
        name: its name.
        sections: what was compared.
        not_compared: {section or path: why} of what expected.json holds, but was not compared.
        seconds: how long the replay took.
        synthetic: True where positions or candles are made up for tests.
    """

    folder: Path
    name: str
    sections: tuple[SectionCheck, ...]
    not_compared: Mapping[str, str]
    seconds: float
    synthetic: bool = False

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and all of it is equal within the tolerance."""
        return self.n_values > 0 and not self.differences

    @property
    def n_values(self) -> int:
        """Values that were compared."""
        return sum(section.n_values for section in self.sections)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All differences beyond the tolerance."""
        return tuple(each for section in self.sections for each in section.differences)

    @property
    def largest(self) -> Difference | None:
        """The largest difference, of those beyond the tolerance if there are any."""
        found = [section.largest for section in self.sections if section.largest is not None]
        return max(found, key=lambda each: (each.beyond, each.relative), default=None)


def check_bundle(folder: Path | str, rtol: float = RTOL, atol: float = ATOL) -> BundleCheck:
    """Replay a bundle and compare the results with its expected.json.

    Integers, texts and structure must be equal; floats may differ by `rtol` of the larger
    magnitude, or by `atol`. Each carry fee is compared at the times that expected.json gives.

    Raises:
        BundleError: the bundle is malformed, or has no expected.json.
    """
    bundle = read_bundle(folder)
    if bundle.expected is None:
        raise BundleError(
            f"{bundle.folder} has no {EXPECTED_FILE} to compare with: 'ptn-backtest bundle run' "
            "replays it without"
        )
    expected, fee_times, not_compared = _comparable(bundle.folder / EXPECTED_FILE, bundle.expected)
    begun = time.perf_counter()
    results = replay_bundle(bundle, carry_fee_times=fee_times)
    seconds = time.perf_counter() - begun
    results["positions"] = _by_uuid(results["positions"])
    results, expected = _without_order(results), _without_order(expected)
    _leave_out_untold(results, expected, not_compared)
    return BundleCheck(
        folder=bundle.folder,
        name=bundle.name,
        sections=tuple(
            _check_section(name, results, expected, Comparison(rtol, atol))
            for name in dict.fromkeys((*expected, *results))
        ),
        not_compared=not_compared,
        seconds=seconds,
        synthetic=bundle.synthetic,
    )


def _check_section(
    name: str, results: Results, expected: Results, comparison: Comparison
) -> SectionCheck:
    comparison.compare(name, results.get(name, ABSENT), expected.get(name, ABSENT))
    return SectionCheck(
        name, comparison.n_values, comparison.largest, tuple(comparison.differences)
    )


def _comparable(
    file: Path, expected: Mapping[str, Any]
) -> tuple[Results, dict[str, list[int]], dict[str, str]]:
    """What to compare, positions by uuid; when to ask for their fees; what is left out, and why."""
    left_out = {name: _UNKNOWN for name in expected if name not in (*SECTIONS, *_NOTES)}
    chosen: Results = {name: expected[name] for name in SECTIONS if name in expected}
    fee_times: dict[str, list[int]] = {}
    try:
        positions = _by_uuid(expected["positions"])
        for uuid, position in positions.items():
            fees = position["carry_fee_at"]
            refused = [at for at, fee in fees.items() if "error" in fee]
            left_out |= {f"positions/{uuid}/carry_fee_at/{at}": _NO_FEE for at in refused}
            asked = {at: fee for at, fee in fees.items() if at not in refused}
            fee_times[uuid] = [int(at) for at in asked]
            positions[uuid] = {**position, "carry_fee_at": asked}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BundleError(
            f"{file}: positions is not a list of positions with a position_uuid and carry_fee_at "
            f"({error!r}); get an undamaged copy"
        ) from None
    chosen["positions"] = positions
    return chosen, fee_times, left_out


def _without_order(results: Results) -> Results:
    """Lists that are in no particular order as objects by hotkey: scores, weights, eliminations."""
    found = dict(results)
    try:
        if isinstance(found.get("eliminations"), list):
            found["eliminations"] = {each["hotkey"]: each for each in found["eliminations"]}
        if isinstance(found.get("scoring"), dict):
            raw = {
                category: {
                    **own,
                    "metrics": {
                        metric: {**one, "scores": dict(one["scores"])}
                        for metric, one in own["metrics"].items()
                    },
                }
                for category, own in found["scoring"]["raw"].items()
            }
            final = dict(found["scoring"]["final"])
            found["scoring"] = {**found["scoring"], "raw": raw, "final": final}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{EXPECTED_FILE}: eliminations or scoring are not in the format of docs/bundles.md "
            f"({error!r}); get an undamaged copy"
        ) from None
    return found


def _by_uuid(positions: object) -> dict[str, Results]:
    if not isinstance(positions, list):
        raise TypeError("no list")
    found = {position["position_uuid"]: position for position in positions}
    if len(found) != len(positions):
        raise ValueError("a position_uuid stands there twice")
    return found


def _leave_out_untold(results: Results, expected: Results, left_out: dict[str, str]) -> None:
    """Leave out the returns at a liquidation where a replay cannot tell them."""
    name = "perf_ledger_eliminations"
    wanted = expected.get(name)
    if not isinstance(wanted, list):
        return
    expected[name] = wanted = list(wanted)
    for i, event in enumerate(results.get(name, ())[: len(wanted)]):
        if "return_info" not in event and isinstance(wanted[i], dict):
            wanted[i] = {key: value for key, value in wanted[i].items() if key != "return_info"}
            left_out[f"{name}/{i}/return_info"] = _UNTOLD

"""The measurements measure what they say; times themselves are not judged here."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.building import digest_of
from benchmarks.measuring import measured
from benchmarks.parallel_modes import compare, in_turn
from benchmarks.replay import PHASES
from benchmarks.stopwatch import Stopwatch
from benchmarks.ticks import Work, least_seconds, ticks_of_step, work_of
from benchmarks.workload import Workload, workload

from ptn_backtest.backtest.execution.processes import usable_processors
from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.ledger.checkpoint import CHECKPOINT, PerfLedger
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.trade_pairs import TradePair


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return workload("16x12", folder=tmp_path_factory.mktemp("networks"))


@pytest.mark.parametrize(
    ("begin_ms", "end_ms", "ticks"),
    [
        (0, 1, 0),  # the tick at 1 ms would be the end itself
        (0, SECOND_MS, 1),
        (0, 10 * MINUTE_MS, 600),  # every second of a short step
        # 09:59:59.999 and the next millisecond: minutes to 11:58, then seconds
        (10 * HOUR_MS - 1, 12 * HOUR_MS, 119 + 60),
        # from 30 s past: seconds to the next minute, minutes, seconds of the last one
        (30 * SECOND_MS - 1, HOUR_MS, 30 + 58 + 60),
    ],
)
def test_ticks_of_a_step(begin_ms: int, end_ms: int, ticks: int) -> None:
    """By the rule: each minute, and each second in short steps and within a minute of the ends."""
    assert ticks_of_step(begin_ms, end_ms) == ticks


def test_work_counts_ticks_and_open_positions() -> None:
    work = Work(ticks=np.array([10, 20]), n_open=np.array([1, 3]))
    assert (work.n_ticks, work.n_valuations) == (30, 70)
    assert least_seconds(work, 1) > 0


class _Clock:
    """Stands for the module `time`, and is moved by hand; the processor is at work half of it."""

    now = 0.0

    @classmethod
    def perf_counter(cls) -> float:
        return cls.now

    @classmethod
    def process_time(cls) -> float:
        return cls.now / 2


class _Program:
    @staticmethod
    def inner(value: int) -> int:
        _Clock.now += 3.0
        return value + 1

    @staticmethod
    def steps() -> Iterator[int]:
        for step in range(2):
            _Clock.now += 10.0
            yield step


def test_a_stopwatch_gives_each_moment_to_the_innermost_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.stopwatch.time", _Clock)
    watch = Stopwatch()
    program = f"{__name__}:_Program"
    places = {f"{program}.inner": "inner", f"{program}.steps": "steps"}
    with watch.watching(places), watch.phase("outer"):
        _Clock.now += 100.0
        assert _Program.inner(3) == 4
        for _ in _Program.steps():
            _Clock.now += 1_000.0  # what the user of a generator does is not the generator's
    expected = {("outer",): 2_100.0, ("outer", "inner"): 3.0, ("outer", "steps"): 20.0}
    assert watch.seconds == expected
    assert watch.cpu_seconds == {path: seconds / 2 for path, seconds in expected.items()}
    _Program.inner(3)
    assert watch.seconds == expected  # it no longer stands in the function's place


def test_a_stopwatch_names_what_is_gone() -> None:
    with (
        pytest.raises(AttributeError, match="no_such_function"),
        Stopwatch().watching({"benchmarks.replay:no_such_function": "phase"}),
    ):
        pass


def test_two_measured_replays_give_the_same_run(made: Workload, tmp_path: Path) -> None:
    """All phases are found, in processes of their own, and every byte but the timings is equal."""
    first = measured("replay", made, warm=False, folder=str(tmp_path / "first"))
    again = measured("replay", made, warm=False, folder=str(tmp_path / "again"))
    assert first["seconds"].keys() == PHASES.keys()
    for phase in PHASES.keys() - {"change"}:
        assert first["seconds"][phase] > 0, phase
    assert first["counts"]["updates"] == 12 + 1
    assert first["counts"]["traders"] == made.counts["traders"]
    assert first["counts"]["rejected_positions"] == 0
    assert first["peak_bytes"] > 50e6
    assert first["counts"] == again["counts"]
    assert _contents(tmp_path / "first") == _contents(tmp_path / "again")


def test_least_work_is_of_the_same_ticks(made: Workload) -> None:
    found = measured("least_work", made, warm=False, ended_ms={}, repeats=1)
    days = (made.end_ms - made.start_ms) // DAY_MS
    most = made.counts["traders"] * days * 1_440 + made.counts["orders"] * 12 * 2 * 70
    # whatever is open is in one ledger by pair, where others of its pair may be open too
    assert 0 < found["ticks"] <= found["pair_ticks"] <= found["valuations"]
    assert found["ticks"] < most
    assert 0 < found["least_seconds"] < found["every_least_seconds"]


def test_ledgers_by_pair_have_the_ticks_of_their_own_positions() -> None:
    """By the second for 20 minutes; of 40 more 39 by the minute, and the last by the second."""
    opened_ms, joined_ms, closed_ms = (10 * HOUR_MS + n * MINUTE_MS for n in (0, 20, 60))
    timeline = build_timeline(
        [
            _held(1, "BTCUSD", opened_ms, closed_ms),
            _held(2, "BTCUSD", opened_ms, closed_ms),
            _held(3, "ETHUSD", joined_ms, closed_ms),
        ]
    )
    first, second = 1_200, 39 + 60
    both = work_of([timeline], [12 * HOUR_MS], {})
    by_pair = work_of([timeline], [12 * HOUR_MS], {}, by_pair=True)
    assert (both.n_ticks, by_pair.n_ticks) == (first + second, first + second + second)
    assert both.n_valuations == by_pair.n_valuations == 2 * first + 3 * second


def _held(number: int, pair: str, opened_ms: int, closed_ms: int) -> Position:
    name = f"{pair}-{number}"
    orders = (
        Order(f"{name}-open", OrderType.LONG, 0.1, 100.0, opened_ms),
        Order(f"{name}-close", OrderType.FLAT, -0.1, 100.0, closed_ms),
    )
    return Position("trader", name, TradePair.from_trade_pair_id(pair), opened_ms, orders)


def test_another_day_continues_exactly(made: Workload) -> None:
    """The measurement itself refuses a continued run that differs."""
    found = measured("another_day", made, warm=False, n_days=8)
    assert 0 < found["orders"] <= made.counts["orders"]
    assert found["state_bytes"] > 0
    for which in ("day", "full"):
        assert found[which]["seconds"].keys() == PHASES.keys()
    assert found["legs"] == [1, 1]  # the history was not done again


def _contents(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(each for each in folder.iterdir() if each.is_file()):
        data = path.read_bytes()
        if path.name == "run.json":
            info = json.loads(data)
            info.pop("timings")
            data = json.dumps(info).encode()
        found[path.name] = hashlib.sha256(data).hexdigest()
    return found


def test_parallel_modes_are_compared_by_all_of_their_ledgers(
    made: Workload, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = compare(made, repeats=1)
    [serial], [processes] = costs["SERIAL"], costs["MULTIPROCESSING"]
    assert serial["ledgers"] == processes["ledgers"]
    assert serial["workers"] == []
    assert len(processes["workers"]) == usable_processors()
    assert min(serial["here"], serial["wall"], processes["wall"]) > 0
    assert len(capsys.readouterr().out.splitlines()) == 2

    others = iter(("one", "one", "one", "another"))

    def found(*_: object, **__: object) -> dict[str, object]:
        return {"wall": 1.0, "here": 0.5, "workers": [0.25], "ledgers": next(others)}

    monkeypatch.setattr("benchmarks.parallel_modes.measured", found)
    with pytest.raises(SystemExit, match="MULTIPROCESSING: other ledgers"):
        compare(made, repeats=2)


def test_processors_in_turn_are_here_and_the_busiest_worker() -> None:
    assert in_turn({"here": 1.0, "workers": []}) == 1.0
    assert in_turn({"here": 1.0, "workers": [2.0, 3.0]}) == 4.0


def test_a_digest_of_ledgers_tells_every_value_and_whose_it_is() -> None:
    cps = np.zeros(2, CHECKPOINT)
    others = cps.copy()
    others["pnl_loss"][1] = 5e-324
    digests = {
        digest_of({hotkey: {name: PerfLedger(0, 1.0, each)}})
        for hotkey, name, each in (
            ("a", "portfolio", cps),
            ("a", "BTCUSD", cps),
            ("b", "portfolio", cps),
            ("a", "portfolio", others),
            ("a", "portfolio", cps[:1]),
        )
    }
    assert len(digests) == 5

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.checkpoint import CHECKPOINT, PORTFOLIO, Checkpoints, PerfLedger
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.results.run_folder import read_run, write_run
from ptn_backtest.results.tables import Ledgers, read_ledgers
from tests.results.made_runs import golden_run, made_run

FILES = [
    "attribution",
    "checkpoints",
    "events",
    "ledgers",
    "order_findings",
    "orders",
    "positions",
    "rejected",
    "scores",
]
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    result = made_run()
    folder = write_run(tmp_path / "runs" / "first", result)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["run.json", *(f"{name}.parquet" for name in FILES)]
    )
    stored = read_run(folder)
    _assert_same_ledgers(stored.ledgers, result.ledgers)
    assert stored.rejections == tuple(result.rejections)
    assert [event.miner_hotkey for event in stored.liquidations] == ["5Zero"]
    assert np.isnan(stored.liquidations[0].last_known_prices["BTCUSD"][0])
    assert stored.info["warnings"] == list(result.warnings)
    assert stored.info["failed_traders"] == dict(result.failed_traders)


def test_positions_have_recomputed_and_stored_fields_side_by_side(tmp_path: Path) -> None:
    rows = read_run(write_run(tmp_path / "run", made_run())).positions.to_pylist()
    first, second, third = rows
    assert (first["position_uuid"], first["trade_pair_id"], first["n_orders"]) == (
        "up-1",
        "BTCUSD",
        2,
    )
    assert (first["current_return"], first["stored_current_return"]) == (
        1.05,
        1.05,
    )  # text in the source
    assert (first["stored_position_type"], first["stored_close_ms"]) == ("FLAT", None)
    assert second["stored_current_return"] is None
    assert third["stored_is_closed_position"] is True  # a database's 1
    assert third["stored_return_at_close"] is None  # "unknown" is no number


def test_an_empty_run_is_a_run(tmp_path: Path) -> None:
    empty = made_run(ledgers={}, positions=[], rejections=[], liquidations=[])
    stored = read_run(write_run(tmp_path / "run", empty))
    assert (stored.ledgers, stored.rejections, len(stored.positions)) == ({}, (), 0)


@pytest.mark.parametrize("name", ["five_pairs", "liquidation", "window_120_days"])
def test_golden_ledgers_survive_to_the_bit(name: str, shared: Path, tmp_path: Path) -> None:
    result = golden_run(shared / "golden" / name)
    stored = read_run(write_run(tmp_path / "run", result))
    _assert_same_ledgers(stored.ledgers, result.ledgers)
    assert len(stored.positions) == len(result.positions)


def test_equal_runs_differ_in_the_timings_alone(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", made_run(timings={"ledgers": 1.0}))
    # the same settings, given in another order
    turned = {"fee": float("inf"), "candles": {"store": "candles"}, "use_slippage": None}
    two = write_run(tmp_path / "two", made_run(timings={"ledgers": 2.0}, settings=turned))
    for name in FILES:
        assert (one / f"{name}.parquet").read_bytes() == (two / f"{name}.parquet").read_bytes()
    before_timings = [(folder / "run.json").read_text().split('"timings"') for folder in (one, two)]
    assert [len(parts) for parts in before_timings] == [2, 2]
    assert before_timings[0][0] == before_timings[1][0]
    assert before_timings[0][1] != before_timings[1][1]


def test_run_json(tmp_path: Path) -> None:
    info = json.loads((write_run(tmp_path / "run", made_run()) / "run.json").read_text())
    assert info["format_version"] == 3
    assert info["settings"]["fee"] == "inf"
    assert info["liquidations"][0]["last_known_prices"] == {"BTCUSD": ["nan", 5]}
    assert set(info["versions"]) == {"python", "ptn-backtest", "numpy", "numba", "pyarrow"}
    assert info["synthetic"] is False
    assert list(info)[-1] == "timings"
    assert info["timings"]["seconds"] == {"ledgers": 0.25}


def test_a_run_is_not_overwritten_unasked(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", made_run())
    (folder / "report.html").write_text("old")
    with pytest.raises(ConfigError, match=r"already holds a run.*overwrite"):
        write_run(folder, made_run(source="another"))
    assert read_run(folder).info["source"] == "a made-up source"
    write_run(folder, made_run(source="another"), overwrite=True)
    assert read_run(folder).info["source"] == "another"
    assert not (folder / "report.html").exists()  # of the run before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="holds other files"):
        write_run(folder, made_run(), overwrite=True)
    assert (folder / "thesis.txt").read_text() == "years of work"
    with pytest.raises(ConfigError, match="is a file"):
        write_run(folder / "thesis.txt", made_run(), overwrite=True)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    read_run(write_run(tmp_path, made_run()))


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", made_run())
    broken = made_run(positions=["not a position"])
    with pytest.raises(AttributeError):
        write_run(folder, broken, overwrite=True)
    with pytest.raises(AttributeError):
        write_run(tmp_path / "other", broken)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    read_run(folder)


def test_the_folder_has_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").mkdir()
    folder = write_run(tmp_path / "run", made_run())
    assert folder.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_an_equals_sign_in_the_path_is_no_column(tmp_path: Path) -> None:
    read_run(write_run(tmp_path / "trader=5Up" / "run", made_run()))


def test_what_is_not_a_run_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a run folder"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format_version": 99}')
    with pytest.raises(ConfigError, match="format version 99"):
        read_run(tmp_path)


def test_damaged_tables_say_which(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", made_run())
    checkpoints = pq.read_table(folder / "checkpoints.parquet")
    pq.write_table(checkpoints.drop_columns("mdd"), folder / "checkpoints.parquet")
    with pytest.raises(ConfigError, match=r"checkpoints\.parquet has other columns.*mdd missing"):
        read_run(folder)
    pq.write_table(checkpoints.slice(1), folder / "checkpoints.parquet")
    with pytest.raises(ConfigError, match="does not belong to"):
        read_run(folder)
    (folder / "checkpoints.parquet").unlink()
    with pytest.raises(ConfigError, match=r"checkpoints\.parquet cannot be read"):
        read_run(folder)


def test_the_document_describes_every_column_and_key(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", made_run())
    text = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text()
    names = set(json.loads((folder / "run.json").read_text()))
    for name in FILES:
        names |= {n for n in pq.read_schema(folder / f"{name}.parquet").names if "stored_" not in n}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


@st.composite
def checkpoint_arrays(draw: st.DrawFn) -> Checkpoints:
    kinds = {"i": INT64, "f": st.floats(allow_nan=True, allow_infinity=True)}
    row = st.tuples(*(kinds[CHECKPOINT[name].kind] for name in CHECKPOINT.names or ()))
    return np.array(draw(st.lists(row, max_size=4)), dtype=CHECKPOINT)


LEDGERS = st.builds(
    PerfLedger,
    initialization_time_ms=INT64,
    max_return=st.floats(allow_nan=False),
    cps=checkpoint_arrays(),
    last_known_prices=st.dictionaries(
        TEXT, st.tuples(st.floats(allow_nan=False), INT64), max_size=3
    ),
    target_cp_duration_ms=INT64,
    target_ledger_window_ms=INT64,
)
REJECTIONS = st.builds(
    Rejection, st.sampled_from(Reason), TEXT, TEXT, TEXT, TEXT, TEXT, st.integers(0, 2**31)
)


@settings(deadline=None, max_examples=60)  # each example writes files
@given(
    ledgers=st.dictionaries(
        TEXT, st.dictionaries(TEXT, LEDGERS, min_size=1, max_size=3), max_size=3
    ),
    rejections=st.lists(REJECTIONS, max_size=3),
)
def test_any_ledger_survives(
    tmp_path_factory: pytest.TempPathFactory,
    ledgers: dict[str, dict[str, PerfLedger]],
    rejections: list[Rejection],
) -> None:
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = replace(made_run(), ledgers=ledgers, rejections=rejections)
    stored = read_run(write_run(folder, result))
    _assert_same_ledgers(stored.ledgers, ledgers)
    assert list(stored.rejections) == rejections


def _assert_same_ledgers(got: Ledgers, expected: Ledgers) -> None:
    assert list(got) == list(expected)
    for hotkey, own in expected.items():
        assert list(got[hotkey]) == list(own)
        for name, led in own.items():
            other = got[hotkey][name]
            assert other.cps.dtype == led.cps.dtype
            assert other.cps.tobytes() == led.cps.tobytes()  # to the bit, NaN too
            assert list(other.last_known_prices.items()) == list(led.last_known_prices.items())
            for field in ("initialization_time_ms", "max_return"):
                assert getattr(other, field) == getattr(led, field)
            for field in ("target_cp_duration_ms", "target_ledger_window_ms"):
                assert getattr(other, field) == getattr(led, field)


def test_some_ledgers_are_those_of_the_whole(tmp_path: Path) -> None:
    write_run(tmp_path / "run", made_run())
    whole = read_ledgers(tmp_path / "run")
    one = read_ledgers(tmp_path / "run", pc.field("miner_hotkey") == "5Up")
    assert list(one) == ["5Up"]
    _assert_same_ledgers(one, {"5Up": whole["5Up"]})
    portfolios = read_ledgers(tmp_path / "run", pc.field("ledger") == PORTFOLIO)
    _assert_same_ledgers(portfolios, {h: {PORTFOLIO: o[PORTFOLIO]} for h, o in whole.items()})
    assert read_ledgers(tmp_path / "run", pc.field("miner_hotkey") == "nobody") == {}

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.conversion import Conversion, convert
from ptn_backtest.positions.oddities import LeftOpen
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.record_table import RecordTable, read_records
from ptn_backtest.sources.records import OrderRecord, PositionQuery, PositionRecord

START = 1_735_689_600_000
DAY = 86_400_000


def position(
    uuid: str,
    leverages: Sequence[float],
    *,
    hotkey: str = "alice",
    flat: bool = False,
    stored: dict[str, Any] | None = None,
) -> PositionRecord:
    """Orders a minute apart, with a FLAT at the end where it is asked for."""
    moves = [("LONG" if each > 0 else "SHORT", each) for each in leverages]
    orders = [
        OrderRecord(
            {
                "order_uuid": f"{uuid}-{i}",
                "order_type": kind,
                "leverage": leverage,
                "price": 100.0,
                "processed_ms": START + i * 60_000,
            },
            "made",
        )
        for i, (kind, leverage) in enumerate([*moves, *([("FLAT", 0.0)] if flat else [])])
    ]
    fields = {
        "miner_hotkey": hotkey,
        "position_uuid": uuid,
        "trade_pair_id": "BTCUSD",
        "open_ms": START,
    }
    given = {"is_closed_position": True, "close_ms": START + DAY} if stored is None else stored
    return PositionRecord(fields, orders, given)


LOST = position("lost", [0.1, 0.1])
DUST = position("dust", [0.1, 0.2, -0.3])  # leaves 5.6e-17, as floats do
SOUND = (
    position("flat", [0.1, 0.1], flat=True),
    position("crossed", [0.1, -0.2]),
    position("exactly", [-0.1, 0.1]),
    position("later", [0.1, -0.1, 0.1]),  # orders after the closing one do not open it again
    position("open", [0.1], stored={"is_closed_position": False}),
    position("unsaid", [0.1], stored={}),
    position("texts", [0.1], stored={"is_closed_position": "false"}),
)


def ways(records: list[PositionRecord], url: str) -> list[Conversion]:
    """Converted one by one, and as columns of a database."""
    write_records(url, [each for each in records if each.fields["position_uuid"] != "texts"])
    table = read_records(DatabasePositionOrderSource(url))
    assert isinstance(table, RecordTable)
    return [convert(records), convert(table)]


def test_stored_as_closed_but_open_by_the_orders(sqlite_url: str) -> None:
    for conversion in ways([LOST, DUST, *SOUND], sqlite_url):
        assert {each.position_uuid for each in conversion.oddities.left_open} == {"lost", "dust"}
        assert conversion.counts["closed_but_open"] == 1
        assert conversion.counts["closed_but_dust"] == 1
        really, rounding = conversion.oddities.notes()
        assert really == (
            "1 position is stored as closed, but its orders leave it open: lost (net leverage 0.2)"
        )
        assert "stays open by rounding (net leverage below 1e-6): dust (5.55112e-17)" in rounding


def test_nothing_odd(sqlite_url: str) -> None:
    for conversion in ways(list(SOUND), sqlite_url):
        assert conversion.oddities.notes() == ()
        assert conversion.counts["closed_but_open"] == conversion.counts["closed_but_dust"] == 0


def test_examples_are_few_and_the_largest_first() -> None:
    notes = convert([position(f"p{i}", [i / 10]) for i in range(1, 8)]).oddities.notes()
    assert notes == (
        (
            "7 positions are stored as closed, but their orders leave them open: "
            "p7 (net leverage 0.7), p6 (net leverage 0.6), p5 (net leverage 0.5) and 4 more"
        ),
    )


def test_a_close_time_alone_says_closed_too() -> None:
    found = convert([position("p", [0.1], stored={"close_ms": START})]).oddities.left_open
    assert found == (LeftOpen("alice", "p", 0.1),)
    assert not convert([position("p", [0.1], stored={"close_ms": 0})]).oddities.left_open


@pytest.mark.parametrize(
    ("stored", "end_ms", "told"),
    [
        ({"is_closed_position": True, "close_ms": START + DAY}, None, True),
        ({"is_closed_position": True, "close_ms": START + DAY}, START + 2 * DAY, True),
        # its closing order is later than the end, or may be
        ({"is_closed_position": True, "close_ms": START + DAY}, START + DAY // 2, False),
        ({"is_closed_position": True, "close_ms": START + DAY}, START + DAY + 500, False),
        ({"is_closed_position": True}, START + DAY, False),
        ({"is_closed_position": True}, None, True),
    ],
)
def test_orders_that_were_cut_off_are_no_oddity(stored: Any, end_ms: Any, told: bool) -> None:
    conversion = convert([position("p", [0.1], stored=stored)], end_ms=end_ms)
    assert bool(conversion.oddities.left_open) is told


def test_a_range_of_a_database_that_ends_before_the_closing_order(sqlite_url: str) -> None:
    closed = position("p", [0.1], flat=True, stored={"is_closed_position": True})
    write_records(
        sqlite_url,
        [
            PositionRecord(
                closed.fields, closed.orders, {**closed.stored, "close_ms": START + 60_000}
            )
        ],
    )
    query = PositionQuery(end_ms=START + 30_000)
    source = DatabasePositionOrderSource(sqlite_url)
    assert not convert(source.read(query), end_ms=query.end_ms).oddities.left_open
    assert convert(source.read(query)).oddities.left_open


@given(
    st.lists(
        st.sampled_from([0.1, 0.2, 0.3, -0.1, -0.2, -0.3, 0.001, -0.001]), min_size=1, max_size=8
    ),
    st.booleans(),
)
def test_the_same_as_the_arithmetic(leverages: list[float], flat: bool) -> None:
    conversion = convert([position("p", leverages, flat=flat)])
    held = replay(conversion.positions[0]).net_leverage
    assert [each.net_leverage for each in conversion.oddities.left_open] == [held] * bool(held)


def test_hotkeys_that_look_alike_stay_traders_of_their_own() -> None:
    hotkeys = ["5Abc", "5abc", "5Abc ", "5Abd", " 5Abd", "other"]
    conversion = convert(
        [position(f"p{i}", [0.1], hotkey=each, stored={}) for i, each in enumerate(hotkeys)]
    )
    assert conversion.counts["traders"] == 6
    assert conversion.counts["similar_hotkeys"] == 5
    [note] = conversion.oddities.notes()
    assert note.startswith("5 hotkeys differ from another only by case or blanks")
    assert "' 5Abd' and '5Abd'" in note
    assert "'5Abc' and '5Abc ' and '5abc'" in note


@pytest.mark.parametrize(("net_leverage", "dust"), [(5.6e-17, True), (-9e-9, True), (5e-4, False)])
def test_what_four_byte_floats_leave_is_dust(net_leverage: float, dust: bool) -> None:
    assert LeftOpen("trader", "position", net_leverage).is_dust is dust

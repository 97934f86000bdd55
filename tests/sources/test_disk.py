import gzip
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.errors import SourceError, SourceUnavailable
from ptn_backtest.sources.checkpoint_file import (
    CheckpointPositionSource,
    write_checkpoint,
    write_list,
)
from ptn_backtest.sources.disk import DiskPositionSource, write_disk
from ptn_backtest.sources.records import (
    ALL,
    EliminationRecord,
    OrderRecord,
    PositionQuery,
    PositionRecord,
)
from ptn_backtest.sources.selection import clip, select
from ptn_backtest.sources.shapes import position_record

PAIR = ["BTCUSD", "BTC/USD", 0.003, 0.01, 0.5]


def raw_order(uuid: Any, at: Any, kind: Any = "LONG", **others: Any) -> Any:
    return {
        "order_uuid": uuid,
        "order_type": kind,
        "leverage": 0.1,
        "price": 100.5,
        "processed_ms": at,
        "price_sources": [{"source": "test", "close": 1.0}],
        **others,
    }


def raw_position(
    uuid: Any = "p1", hotkey: Any = "alice", opened: Any = 1_000, closed: Any = None, **others: Any
) -> Any:
    orders = [raw_order(f"{uuid}-1", opened)]
    if closed is not None:
        orders.append(raw_order(f"{uuid}-2", closed, "FLAT"))
    return {
        "miner_hotkey": hotkey,
        "position_uuid": uuid,
        "open_ms": opened,
        "trade_pair": PAIR,
        "orders": orders,
        "close_ms": closed,
        "is_closed_position": closed is not None,
        "current_return": 1.25,
        **others,
    }


def put(root: Path, position: Any, status: Any = None, content: Any = None) -> Any:
    status = status or ("closed" if position["is_closed_position"] else "open")
    folder = root / "miners" / position["miner_hotkey"] / "positions" / "BTCUSD" / status
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / position["position_uuid"]
    path.write_text(json.dumps(position) if content is None else content)
    return path


def uuids(source: Any, **query: Any) -> Any:
    return [record.fields["position_uuid"] for record in source.read(PositionQuery(**query))]


def content(records: Any) -> Any:
    """What records say, without where they were found."""
    return [
        (dict(r.fields), [dict(o.fields) for o in r.orders], dict(r.stored), r.error)
        for r in records
    ]


def test_a_folder_is_read(tmp_path: Path) -> None:
    put(tmp_path, raw_position(closed=2_000))
    (record,) = DiskPositionSource(tmp_path).read()
    assert record.fields == {
        "miner_hotkey": "alice",
        "position_uuid": "p1",
        "trade_pair_id": "BTCUSD",
        "open_ms": 1_000,
    }
    assert record.stored == {"close_ms": 2_000, "is_closed_position": True, "current_return": 1.25}
    assert [order.fields["order_type"] for order in record.orders] == ["LONG", "FLAT"]
    assert "price_sources" not in record.orders[0].fields
    assert record.origin == "miners/alice/positions/BTCUSD/closed/p1"
    assert record.orders[1].origin == record.origin + " order p1-2"


def test_the_miners_folder_itself_is_as_good(tmp_path: Path) -> None:
    put(tmp_path, raw_position())
    (tmp_path / "miners").rename(tmp_path / "renamed")
    assert uuids(DiskPositionSource(tmp_path / "renamed")) == ["p1"]


def test_price_sources_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    put(tmp_path, raw_position())
    (record,) = DiskPositionSource(tmp_path).read(PositionQuery(price_sources=True))
    assert json.loads(record.orders[0].fields["price_sources"]) == [{"source": "test", "close": 1}]


@pytest.mark.parametrize(
    "pair",
    [
        {"trade_pair": PAIR},
        {"trade_pair": {"trade_pair_id": "BTCUSD", "fees": 0.003}},
        {"trade_pair": "BTCUSD"},
        {"trade_pair": None, "trade_pair_id": "BTCUSD"},
    ],
)
def test_a_trade_pair_has_several_shapes(tmp_path: Path, pair: Any) -> None:
    put(tmp_path, raw_position(**pair))
    (record,) = DiskPositionSource(tmp_path).read()
    assert record.fields["trade_pair_id"] == "BTCUSD"


def test_optional_fields_may_be_missing(tmp_path: Path) -> None:
    put(tmp_path, {**raw_position(), "orders": [{"order_uuid": "o"}], "is_closed_position": False})
    (record,) = DiskPositionSource(tmp_path).read()
    assert record.orders[0].fields == {"order_uuid": "o"}


def test_broken_files_are_records_with_an_error_and_the_others_are_read(tmp_path: Path) -> None:
    put(tmp_path, raw_position("a"), content='{"miner_hot')
    put(tmp_path, raw_position("b"), content="[1, 2]")
    put(tmp_path, raw_position("c", orders={"not": "a list"}))
    put(tmp_path, raw_position("d", orders=[1]))
    put(tmp_path, raw_position("e")).write_bytes(b'{"x": "\xff"}')
    put(tmp_path, raw_position("f"), content="[" * 100_000)
    put(tmp_path, raw_position("sound"))
    records = {
        record.origin.rsplit("/", 1)[1]: record for record in DiskPositionSource(tmp_path).read()
    }
    assert {name for name, record in records.items() if record.error} == set("abcdef")
    assert records["a"].fields["position_uuid"] == "a"
    assert records["sound"].error is None


def test_a_position_filed_under_another_trader_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path, raw_position(hotkey="alice"))
    path.write_text(json.dumps(raw_position(hotkey="bob")))
    (record,) = DiskPositionSource(tmp_path).read()
    assert record.error is not None
    assert "'bob'" in record.error
    assert record.fields["miner_hotkey"] == "alice"


def test_a_stale_open_copy_comes_after_the_closed_position(tmp_path: Path) -> None:
    put(tmp_path, raw_position())
    put(tmp_path, raw_position(closed=2_000))
    statuses = [record.origin.split("/")[-2] for record in DiskPositionSource(tmp_path).read()]
    assert statuses == ["closed", "open"]


def test_hidden_files_are_no_positions(tmp_path: Path) -> None:
    put(tmp_path, raw_position())
    put(tmp_path, raw_position(".DS_Store"), content="x")
    assert uuids(DiskPositionSource(tmp_path)) == ["p1"]


def test_a_folder_without_miners_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SourceUnavailable, match="miners/<hotkey>"):
            DiskPositionSource(path)


def test_order_is_by_hotkey_open_time_and_uuid(tmp_path: Path) -> None:
    for hotkey, opened, uuid in [("b", 5, "x"), ("a", 9, "m"), ("a", 9, "l"), ("a", 1, "z")]:
        put(tmp_path, raw_position(uuid, hotkey, opened))
    assert uuids(DiskPositionSource(tmp_path)) == ["z", "l", "m", "x"]


def test_account_sizes_and_eliminations_lie_beside_miners(tmp_path: Path) -> None:
    put(tmp_path, raw_position())
    sizes = {
        "alice": [
            {"account_size": 7_000, "account_size_theta": 20, "update_time_ms": 20},
            {"account_size": 5_000.0, "account_size_theta": 10, "update_time_ms": 10},
            {"account_size": "much", "update_time_ms": 30},
        ],
        "bob": [{"account_size": 1.0, "account_size_theta": 1.0, "update_time_ms": 1}],
    }
    (tmp_path / "miner_account_sizes.json").write_text(json.dumps(sizes))
    rows = [
        {
            "hotkey": "bob",
            "elimination_initiated_time_ms": 9,
            "reason": "MAX_TOTAL_DRAWDOWN",
            "dd": 11.5,
        },
        {"hotkey": "alice", "elimination_initiated_time_ms": 3, "reason": "PLAGIARISM", "dd": None},
    ]
    (tmp_path / "eliminations.json").write_text(json.dumps({"eliminations": rows}))
    source = DiskPositionSource(tmp_path)
    assert source.read_account_sizes() == {
        "alice": [(10, 5_000.0), (20, 7_000.0)],
        "bob": [(1, 1.0)],
    }
    assert [record.fields for record in source.read_eliminations()] == [
        {"miner_hotkey": "alice", "elimination_ms": 3, "elimination_reason": "PLAGIARISM"},
        {
            "miner_hotkey": "bob",
            "elimination_ms": 9,
            "elimination_reason": "MAX_TOTAL_DRAWDOWN",
            "max_drawdown": 11.5,
        },
    ]
    only = PositionQuery(hotkeys=("bob",))
    assert list(source.read_account_sizes(only)) == ["bob"]
    assert [r.fields["miner_hotkey"] for r in source.read_eliminations(only)] == ["bob"]


def test_without_files_beside_miners_there_are_none(tmp_path: Path) -> None:
    put(tmp_path, raw_position())
    source = DiskPositionSource(tmp_path)
    assert source.read_account_sizes() == {}
    assert source.read_eliminations() == []


def test_a_broken_file_beside_miners_is_an_error_that_names_it(tmp_path: Path) -> None:
    put(tmp_path, raw_position())
    (tmp_path / "eliminations.json").write_text("{")
    with pytest.raises(SourceError, match=r"eliminations\.json"):
        DiskPositionSource(tmp_path).read_eliminations()


# --- one JSON file ---

POSITIONS = [raw_position("p1", "bob", 5), raw_position("p2", "alice", 9, 12)]
CHECKPOINT = {
    "version": "8.0.0",
    "positions": {
        "bob": {"positions": [POSITIONS[0]], "n_positions": 1},
        "alice": {"positions": [POSITIONS[1]]},
    },
    "eliminations": [{"hotkey": "bob", "elimination_initiated_time_ms": 3, "reason": "X", "dd": 1}],
    "miner_account_sizes": {
        "bob": [{"account_size": 9.0, "account_size_theta": 1.0, "update_time_ms": 4}]
    },
}


@pytest.mark.parametrize(
    "document",
    [
        POSITIONS,
        {"positions": POSITIONS, "n_positions": 2},
        CHECKPOINT,
        CHECKPOINT["positions"],
        {"bob": [POSITIONS[0]], "alice": [POSITIONS[1]]},
    ],
    ids=["list", "wrapped list", "checkpoint", "traders", "lists by trader"],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_shape_of_file_gives_the_same_records(
    tmp_path: Path, document: Any, compressed: Any
) -> None:
    data = json.dumps(document).encode()
    path = tmp_path / "any.name"
    path.write_bytes(gzip.compress(data) if compressed else data)
    for position in POSITIONS:
        put(tmp_path / "disk", position)
    expected = content(DiskPositionSource(tmp_path / "disk").read())
    assert content(CheckpointPositionSource(path).read()) == expected


def test_a_checkpoint_holds_eliminations_and_account_sizes(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_text(json.dumps(CHECKPOINT))
    source = CheckpointPositionSource(path)
    assert source.read_account_sizes() == {"bob": [(4, 9.0)]}
    assert [r.fields["elimination_ms"] for r in source.read_eliminations()] == [3]


def test_a_list_has_neither(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(POSITIONS))
    assert CheckpointPositionSource(path).read_account_sizes() == {}
    assert CheckpointPositionSource(path).read_eliminations() == []


def test_elements_that_are_no_positions_are_records_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([None, 3, "x", [], POSITIONS[0]]))
    records = list(CheckpointPositionSource(path).read())
    assert sorted(r.origin for r in records if r.error) == [
        f"list.json positions[{number}]" for number in range(4)
    ]
    assert len(records) == 5


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"3", b"{}", b'{"positions": 3}', b'{"a": 1}', b"\x1f\x8b broken", b"\xff\xfe"],
)
def test_a_file_that_holds_no_positions_is_refused_with_its_name(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"other\.json"):
        list(CheckpointPositionSource(path).read())


def test_an_empty_list_or_checkpoint_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    for document in ("[]", '{"positions": {}}', '{"positions": []}'):
        path.write_text(document)
        assert list(CheckpointPositionSource(path).read()) == []


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json.gz"
    path.write_bytes(gzip.compress(json.dumps(CHECKPOINT).encode())[:-20])
    with pytest.raises(SourceError, match=r"checkpoint\.json\.gz"):
        list(CheckpointPositionSource(path).read())


# --- writing ---


def written_to_disk(folder: Path, records: Any, **others: Any) -> Any:
    return write_disk(folder / "disk", records, **others), DiskPositionSource(folder / "disk")


def written_to_checkpoint(folder: Path, records: Any, **others: Any) -> Any:
    path = folder / "checkpoint.json.gz"
    return write_checkpoint(path, records, **others), CheckpointPositionSource(path)


def written_to_list(folder: Path, records: Any) -> Any:
    return write_list(folder / "l.json", records), CheckpointPositionSource(folder / "l.json")


WRITERS = [written_to_disk, written_to_checkpoint, written_to_list]


def records_of(*positions: Any, price_sources: Any = False) -> Any:
    found = [
        position_record(raw, origin=f"row {raw['position_uuid']}", price_sources=price_sources)
        for raw in positions
    ]
    return list(select(found, ALL))


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_written_reads_back_equal(tmp_path: Path, write: Any) -> None:
    records = records_of(*POSITIONS, raw_position("p3", "bob", 5, account_size=5_000.0))
    written, source = write(tmp_path, records)
    assert (written.positions, written.orders, written.skipped) == (3, 4, ())
    assert content(source.read()) == content(records)


@pytest.mark.parametrize("write", WRITERS)
def test_price_sources_are_written_where_they_were_read(tmp_path: Path, write: Any) -> None:
    records = records_of(*POSITIONS, price_sources=True)
    _, source = write(tmp_path, records)
    assert content(source.read(PositionQuery(price_sources=True))) == content(records)


@pytest.mark.parametrize("write", WRITERS)
def test_every_float_reads_back_to_the_bit(tmp_path: Path, write: Any) -> None:
    awkward = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 77777.770000000004]
    orders = [raw_order(f"o{n}", 1, price=price) for n, price in enumerate(awkward)]
    _, source = write(tmp_path, records_of(raw_position(orders=orders)))
    (record,) = source.read()
    assert [order.fields["price"] for order in record.orders] == awkward


@pytest.mark.parametrize("write", WRITERS)
def test_unknown_pairs_and_missing_fields_are_written_as_they_were(
    tmp_path: Path, write: Any
) -> None:
    position = raw_position(trade_pair="NEWUSD", close_ms=None)
    del position["open_ms"]
    records = records_of(position)
    _, source = write(tmp_path, records)
    assert content(source.read()) == content(records)


@pytest.mark.parametrize("write", WRITERS)
def test_values_of_databases_are_written_as_plain_ones(tmp_path: Path, write: Any) -> None:
    key = UUID("6d6e2447-8b67-4bf9-82c1-547ddc971706")
    order = OrderRecord({"order_uuid": key, "price": Decimal("1.5"), "order_type": "LONG"}, "o")
    fields = {"miner_hotkey": "bob", "position_uuid": key, "trade_pair_id": "BTCUSD"}
    _, source = write(tmp_path, [PositionRecord(fields, [order])])
    (record,) = source.read()
    assert record.fields["position_uuid"] == str(key)
    assert record.orders[0].fields["price"] == 1.5


@pytest.mark.parametrize("write", WRITERS)
def test_records_without_a_place_in_the_format_are_named(tmp_path: Path, write: Any) -> None:
    sound = records_of(POSITIONS[0])
    unreadable = replace(sound[0], error="not JSON", origin="there")
    orphan = PositionRecord({"position_uuid": "x"}, (), origin="orders", orphan=True)
    nameless = PositionRecord({"miner_hotkey": "bob"}, (), origin="row")
    written, source = write(tmp_path, [*sound, unreadable, orphan, nameless])
    assert written.skipped == (
        "there: not JSON",
        "orders: orders without a position",
        "row: position_uuid missing",
    )
    assert written.positions == 1
    assert content(source.read()) == content(sound)


@pytest.mark.parametrize("write", [written_to_disk, written_to_checkpoint])
def test_eliminations_and_account_sizes_read_back(tmp_path: Path, write: Any) -> None:
    sizes = {"bob": [(1, 5_000.0), (2, 6_000.0)]}
    fields = {
        "miner_hotkey": "bob",
        "elimination_ms": 3,
        "elimination_reason": "X",
        "max_drawdown": 1.5,
    }
    _, source = write(
        tmp_path,
        records_of(POSITIONS[0]),
        account_sizes=sizes,
        eliminations=[EliminationRecord(fields)],
    )
    assert source.read_account_sizes() == sizes
    assert [record.fields for record in source.read_eliminations()] == [fields]


def test_open_and_closed_positions_go_to_their_folders(tmp_path: Path) -> None:
    bare = {"miner_hotkey": "bob", "trade_pair": PAIR, "open_ms": 1}
    flat = [raw_order("x", 1), raw_order("y", 2, "FLAT")]
    write_disk(
        tmp_path,
        records_of(
            raw_position("said-open"),
            raw_position("said-closed", closed=9),
            {**bare, "position_uuid": "has-close-time", "close_ms": 4, "orders": []},
            {**bare, "position_uuid": "ends-flat", "orders": flat},
            {**bare, "position_uuid": "nothing-known", "orders": []},
        ),
    )
    found = {path.name: path.parent.name for path in tmp_path.rglob("*") if path.is_file()}
    assert found["said-open"] == found["nothing-known"] == "open"
    assert found["said-closed"] == found["has-close-time"] == found["ends-flat"] == "closed"


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    kept = put(tmp_path, raw_position("old"))
    with pytest.raises(SourceError, match="is there already"):
        write_disk(tmp_path, records_of(POSITIONS[0]))
    assert kept.exists()
    assert uuids(DiskPositionSource(tmp_path)) == ["old"]


def failing_after(records: Any) -> Any:
    yield from records
    raise SourceError("the source broke off")


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="broke off"):
        write_disk(tmp_path / "new", failing_after(records_of(POSITIONS[0])))
    assert list((tmp_path / "new").iterdir()) == []


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    path.write_text("old")
    with pytest.raises(SourceError, match="broke off"):
        write_list(path, failing_after(records_of(POSITIONS[0])))
    assert path.read_text() == "old"
    write_list(path, records_of(POSITIONS[0]))
    assert uuids(CheckpointPositionSource(path)) == ["p1"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["../out", "a/b", "..", ".", "", "a\nb", ".hidden"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    for field in ("miner_hotkey", "position_uuid", "trade_pair_id"):
        fields = {"miner_hotkey": "a", "position_uuid": "b", "trade_pair_id": "C", field: name}
        record = PositionRecord(fields, (), origin="row")
        if not name and field != "trade_pair_id":
            continue  # that is a missing key, which is skipped
        with pytest.raises(SourceError, match=field):
            write_disk(tmp_path / "new", [record])
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]


def test_two_positions_of_one_uuid_have_no_two_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="second position with the uuid p1"):
        write_disk(tmp_path, records_of(POSITIONS[0], POSITIONS[0]))


def test_the_same_positions_give_the_same_bytes_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("a.json.gz", "b.json.gz")):
        monkeypatch.setattr("time.time", lambda now=1e9 * number: now)
        write_checkpoint(tmp_path / name, records_of(*POSITIONS))
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_a_trader_whose_records_do_not_come_together_is_refused(tmp_path: Path) -> None:
    bob, alice = POSITIONS
    records = [records_of(position)[0] for position in (bob, alice, {**bob, "position_uuid": "z"})]
    with pytest.raises(SourceError, match="bob"):
        write_checkpoint(tmp_path / "c.json", records)
    assert not (tmp_path / "c.json").exists()


# --- what a query means ---


def known(opened: Any, closed: Any = None, orders: Any = (), **fields: Any) -> Any:
    return PositionRecord(
        {"miner_hotkey": "a", "position_uuid": "p", "open_ms": opened, **fields},
        [OrderRecord({"order_uuid": str(at), "processed_ms": at}, "") for at in orders],
        {} if closed is None else {"close_ms": closed},
    )


@pytest.mark.parametrize(
    ("opened", "closed", "in_range", "in_full"),
    [
        (50, 99, False, True),
        (50, 100, True, True),  # closed at the first moment of the range: it was open at it
        (50, 150, True, True),
        (50, None, True, True),
        (50, 0, True, True),
        (150, 160, True, True),
        (200, None, True, True),  # opened at the last moment
        (201, None, False, False),
    ],
)
def test_a_range_holds_what_was_open_at_a_moment_of_it(
    opened: Any, closed: Any, in_range: Any, in_full: Any
) -> None:
    record = known(opened, closed, [opened])
    assert (clip(record, PositionQuery(100, 200, history="range")) is not None) is in_range
    assert (clip(record, PositionQuery(100, 200, history="full")) is not None) is in_full


def test_orders_after_the_end_are_left_out_and_earlier_ones_are_not() -> None:
    clipped = clip(known(50, orders=[50, 200, 201]), PositionQuery(100, 200))
    assert clipped is not None
    assert [order.fields["processed_ms"] for order in clipped.orders] == [50, 200]


def test_a_position_whose_orders_all_come_later_is_not_asked_for() -> None:
    assert clip(known(50, orders=[60]), PositionQuery(end_ms=55)) is None


def test_a_position_without_orders_stays_so_that_it_can_be_reported() -> None:
    assert clip(known(50), PositionQuery(end_ms=55)) is not None


@pytest.mark.parametrize("opened", [None, "soon"])
def test_a_time_that_is_none_excludes_nothing_but_the_first_order_tells(opened: Any) -> None:
    assert clip(known(opened), PositionQuery(end_ms=55)) is not None
    assert clip(known(opened, orders=[56]), PositionQuery(end_ms=55)) is None


@pytest.mark.parametrize("opened", [50, 50.0, "50", Decimal(50)])
def test_times_are_understood_in_any_form(opened: Any) -> None:
    assert clip(known(opened), PositionQuery(end_ms=49)) is None
    assert clip(known(opened), PositionQuery(end_ms=50)) is not None


def test_hotkeys() -> None:
    assert clip(known(1), PositionQuery(hotkeys=("a",))) is not None
    assert clip(known(1), PositionQuery(hotkeys=("b",))) is None
    assert clip(known(1), PositionQuery(hotkeys=())) is None
    assert clip(known(1, miner_hotkey=None), PositionQuery(hotkeys=("a",))) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from("xy"))))
def test_selection_sorts_and_keeps_ties_as_they_were_found(places: Any) -> None:
    records = [
        replace(known(opened, miner_hotkey=hotkey, position_uuid=uuid), origin=str(number))
        for number, (hotkey, opened, uuid) in enumerate(places)
    ]
    found = list(select(records, ALL))
    keys = [
        (r.fields["miner_hotkey"], r.fields["open_ms"], r.fields["position_uuid"], int(r.origin))
        for r in found
    ]
    assert keys == sorted(keys)
    assert len(found) == len(records)


@pytest.mark.parametrize("kind", ["disk", "checkpoint", "list"])
def test_each_source_keeps_to_the_query(tmp_path: Path, kind: Any) -> None:
    positions = [
        raw_position("old", "alice", 10, 20),
        raw_position("spans", "alice", 90, 300),
        raw_position("late", "alice", 201),
        raw_position("other", "bob", 150),
    ]
    write = dict(zip(["disk", "checkpoint", "list"], WRITERS, strict=True))[kind]
    _, source = write(tmp_path, records_of(*positions))
    query = PositionQuery(100, 200, ("alice",), "range")
    (record,) = source.read(query)
    assert record.fields["position_uuid"] == "spans"
    assert [order.fields["processed_ms"] for order in record.orders] == [90]
    assert uuids(source, start_ms=100, end_ms=200, hotkeys=("alice",)) == ["old", "spans"]
    assert uuids(source) == ["old", "spans", "late", "other"]


def test_real_positions_survive_every_format(tmp_path: Path, shared: Path) -> None:
    for name in ("btc_trader_2025", "mixed_trader_2024"):
        records = list(CheckpointPositionSource(shared / f"data/positions/{name}.json").read())
        for write in WRITERS:
            _, source = write(tmp_path / name, records)
            assert content(source.read()) == content(records)

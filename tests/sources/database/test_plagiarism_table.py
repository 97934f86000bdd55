"""The optional table `plagiarism_events`: in our schema, in an older one, and in others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from ptn_backtest.errors import ConfigError, SchemaError
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.mapping import SchemaMapping, load_mapping
from ptn_backtest.sources.database.writing import TableCounts, write_records
from ptn_backtest.sources.plagiarism import PlagiarismEvent, PlagiarismEvents, RejectedEvent
from ptn_backtest.sources.records import PositionQuery
from tests.sources.database.database_records import ALICE, BOB, position, uuids

T = 1_757_000_000_000  # 2025-09-04T15:33:20Z

EVENTS = PlagiarismEvents(
    (
        PlagiarismEvent(ALICE, T, flagged=True, origin="made 1"),
        PlagiarismEvent(BOB, T, flagged=True, origin="made 2"),
        PlagiarismEvent(ALICE, T + 1, flagged=False, origin="made 3"),
    )
)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], SchemaMapping]:
    def loading(content: str) -> SchemaMapping:
        path = tmp_path / "mapping.toml"
        path.write_text(content)
        return load_mapping(path)

    return loading


def execute(url: str, *statements: str) -> None:
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def read(url: str, mapping: SchemaMapping | None = None) -> PlagiarismEvents:
    return DatabasePositionOrderSource(url, mapping).read_plagiarism_events()


def test_events_come_back_as_they_were_written(database_url: str) -> None:
    counts = write_records(database_url, [position("a")], plagiarism_events=EVENTS)

    assert counts.plagiarism_events == TableCounts(inserted=3)
    assert counts.unstored == []
    found = read(database_url)
    assert found == EVENTS
    assert found.events[0].origin == f"plagiarism_events row {ALICE} at {T}"
    of_alice = DatabasePositionOrderSource(database_url).read_plagiarism_events(
        PositionQuery(start_ms=T + 1, hotkeys=(ALICE, "5Nobody"))
    )
    assert of_alice.events == (EVENTS.events[0], EVENTS.events[2])  # whatever the start


def test_a_second_import_changes_nothing_and_another_event_is_an_update(database_url: str) -> None:
    write_records(database_url, [], plagiarism_events=EVENTS)
    again = write_records(database_url, [], plagiarism_events=EVENTS)
    assert again.plagiarism_events == TableCounts(unchanged=3)

    other = PlagiarismEvents((PlagiarismEvent(BOB, T, flagged=False),))
    counts = write_records(database_url, [], plagiarism_events=other)
    assert counts.plagiarism_events == TableCounts(updated=1)
    assert read(database_url).events == (EVENTS.events[0], other.events[0], EVENTS.events[2])


def test_rows_that_were_set_aside_are_counted_as_left_out(database_url: str) -> None:
    row = RejectedEvent("event 'x' is neither flagged nor cleared", "events.csv line 2", BOB)
    long = PlagiarismEvent("x" * 65, T, flagged=True, origin="events.csv line 3")

    counts = write_records(database_url, [], plagiarism_events=PlagiarismEvents((long,), (row,)))

    assert counts.plagiarism_events == TableCounts()
    left = {unstored.origin: unstored.reason for unstored in counts.unstored}
    assert left["events.csv line 2"] == row.reason
    assert "more than 64 characters" in left["events.csv line 3"]


def test_a_bad_row_of_the_table_is_set_aside(database_url: str) -> None:
    write_records(database_url, [], plagiarism_events=EVENTS)
    execute(
        database_url,
        f"INSERT INTO plagiarism_events (miner_hotkey, time_ms, event) VALUES ('z', {T}, 'odd')",
        f"INSERT INTO plagiarism_events (miner_hotkey, time_ms) VALUES ('y', {T})",
        "INSERT INTO plagiarism_events (miner_hotkey, time_ms, event) VALUES ('x', 5, 'flagged')",
    )
    found = read(database_url)
    assert found.events == EVENTS.events
    reasons = {row.origin: row.reason for row in found.rejected}
    assert set(reasons) == {
        f"plagiarism_events row z at {T}",
        f"plagiarism_events row y at {T}",
        "plagiarism_events row x at 5",
    }
    assert "'odd' is neither flagged nor cleared" in reasons[f"plagiarism_events row z at {T}"]


def test_a_database_without_the_table_has_no_events_until_an_import_makes_it(
    database_url: str, load: Callable[[str], SchemaMapping]
) -> None:
    write_records(database_url, [position("a")])
    execute(database_url, "DROP TABLE plagiarism_events")  # as version 1 was made before

    assert read(database_url) == PlagiarismEvents()
    assert read(database_url, load("")) == PlagiarismEvents()
    assert uuids(list(DatabasePositionOrderSource(database_url).read())) == ["a"]

    counts = write_records(database_url, [position("a")], plagiarism_events=EVENTS)
    assert counts.positions == TableCounts(unchanged=1)
    assert read(database_url) == EVENTS


def test_a_table_that_a_mapping_names_must_be_there(
    database_url: str, load: Callable[[str], SchemaMapping]
) -> None:
    write_records(database_url, [], plagiarism_events=EVENTS)
    with pytest.raises(SchemaError, match="no table copycats") as raised:
        read(database_url, load("[plagiarism_events]\ntable = 'copycats'"))
    assert "absent = true" in str(raised.value)
    with pytest.raises(SchemaError, match="table plagiarism_events has no column kind"):
        read(database_url, load("[plagiarism_events.columns]\nevent = 'kind'"))
    absent = load("[plagiarism_events]\nabsent = true")
    assert read(database_url, absent) == PlagiarismEvents()


def test_another_schema_is_read_by_our_names(
    database_url: str, load: Callable[[str], SchemaMapping]
) -> None:
    execute(
        database_url,
        "CREATE TABLE copycats (id INTEGER, hotkey VARCHAR(64), at_s INTEGER, guilty INTEGER)",
        f"INSERT INTO copycats VALUES (1, '{ALICE}', {T // 1000}, 1)",
        f"INSERT INTO copycats VALUES (2, '{ALICE}', {T // 1000 + 60}, 0)",
        f"INSERT INTO copycats VALUES (3, '{ALICE}', {T // 1000}, 1)",
        f"INSERT INTO copycats VALUES (4, '{BOB}', {T // 1000}, 7)",
    )
    mapping = load(
        """
        [plagiarism_events]
        table = "copycats"
        [plagiarism_events.columns]
        miner_hotkey = "hotkey"
        time_ms = { column = "at_s", unit = "s" }
        event = { column = "guilty", values = { "1" = "flagged", "0" = "cleared" } }
        """
    )
    found = read(database_url, mapping)
    assert found.events == (
        PlagiarismEvent(ALICE, T, flagged=True),
        PlagiarismEvent(ALICE, T + 60_000, flagged=False),
    )
    assert found.events[0].origin == f"copycats row {ALICE} at {T}"
    reasons = [row.reason for row in found.rejected]
    assert len(reasons) == 2
    assert any("at the same time the trader was flagged" in reason for reason in reasons)
    assert any("'7' is neither flagged nor cleared" in reason for reason in reasons)


def test_a_constant_will_do_for_the_event_but_not_for_a_key(
    sqlite_url: str, load: Callable[[str], SchemaMapping]
) -> None:
    execute(
        sqlite_url,
        "CREATE TABLE plagiarists (miner_hotkey TEXT, time_ms TEXT)",
        f"INSERT INTO plagiarists VALUES ('{BOB}', '2025-09-04T15:33:20Z')",
    )
    mapping = load(
        """
        [plagiarism_events]
        table = "plagiarists"
        [plagiarism_events.columns]
        time_ms = { unit = "iso" }
        event = { constant = "flagged" }
        """
    )
    assert read(sqlite_url, mapping).events == (PlagiarismEvent(BOB, T, flagged=True),)
    with pytest.raises(ConfigError, match=r"\[plagiarism_events.columns\] time_ms: required"):
        load("[plagiarism_events.columns]\ntime_ms = { absent = true }")
    with pytest.raises(ConfigError, match=r"\[plagiarism_events.columns\] event: required"):
        load("[plagiarism_events.columns]\nevent = { absent = true }")

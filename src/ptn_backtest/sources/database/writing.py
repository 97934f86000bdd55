"""Positions into a database of our schema: in one transaction, and as often as one likes.

Rows are merged by key. What a record says replaces what is stored, what it does not mention stays,
and nothing is ever deleted; so a second import of the same records changes nothing. A position is
stored whole, with all of its orders, or not at all: a part of it would replay as another one.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, select

from ptn_backtest.sources.database.connect import database_errors, open_engine, parse_url, safe_url
from ptn_backtest.sources.database.merging import KEYS_AT_ONCE, Fate, batches, key_of, merge
from ptn_backtest.sources.database.schema import (
    ACCOUNT_SIZES,
    ELIMINATIONS,
    ORDERS,
    PLAGIARISM_EVENTS,
    POSITIONS,
    create_schema,
)
from ptn_backtest.sources.database.storable import (
    PositionRows,
    Row,
    UnstorableError,
    position_rows,
    row_of,
)
from ptn_backtest.sources.plagiarism import PlagiarismEvents, event_fields
from ptn_backtest.sources.records import EliminationRecord, PositionRecord

log = logging.getLogger(__name__)

POSITIONS_AT_ONCE = 250
"""Positions in memory, and between two calls of `progress`."""

_TOLD_OF_A_KIND = 3
"""Records left out for one kind of fault that are warned of one by one."""


@dataclass(slots=True)
class TableCounts:
    """What became of the rows of one table."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Unstored:
    """A record that the schema cannot hold.

    Attributes:
        reason: a sentence with the value at fault.
        origin: where the record was found.
        miner_hotkey: the trader, "" where unknown.
        position_uuid: the position's key, "" where unknown or not a position.
        n_orders: how many orders were left out with it.
        kind: the kind of fault, which many records may share: the column at fault ("open_ms",
            "orders' price"), "unreadable", "order_without_position", "orders_out_of_order",
            "duplicate_position", "duplicate_order", "duplicate_time" or "plagiarism_event".
    """

    reason: str
    origin: str
    miner_hotkey: str = ""
    position_uuid: str = ""
    n_orders: int = 0
    kind: str = ""


@dataclass(slots=True)
class WriteCounts:
    """What an import did.

    Attributes:
        positions: positions; one whose row is as it was but whose orders are not is "updated".
        orders: their orders.
        account_sizes: dated account sizes.
        eliminations: recorded eliminations.
        plagiarism_events: recorded plagiarism events.
        unstored: the records that were left out, each with its reason.
        positions_read: positions among the records, stored or not.
    """

    positions: TableCounts = field(default_factory=TableCounts)
    orders: TableCounts = field(default_factory=TableCounts)
    account_sizes: TableCounts = field(default_factory=TableCounts)
    eliminations: TableCounts = field(default_factory=TableCounts)
    plagiarism_events: TableCounts = field(default_factory=TableCounts)
    unstored: list[Unstored] = field(default_factory=list)
    positions_read: int = 0

    @property
    def stored_none(self) -> bool:
        """Whether there were positions, and the database has none of them."""
        of = self.positions
        return bool(self.positions_read) and not (of.inserted or of.updated or of.unchanged)


def write_records(
    url: str,
    records: Iterable[PositionRecord],
    *,
    account_sizes: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    eliminations: Iterable[EliminationRecord] = (),
    plagiarism_events: PlagiarismEvents | None = None,
    progress: Callable[[int], None] | None = None,
) -> WriteCounts:
    """Store records in a database of our schema, which is created where there is none.

    Args:
        url: as `DatabasePositionOrderSource` takes it.
        records: positions with their orders, as a source yields them.
        account_sizes: {hotkey: [(update time in ms, account size in USD), ...]}.
        eliminations: recorded eliminations.
        plagiarism_events: recorded plagiarism events; those that were set aside are left out.
        progress: called now and then with the number of records that were done since.

    Raises:
        SourceUnavailable: the driver, the server or the folder is not there.
        SchemaError: the database holds another version of the schema, or foreign tables.
        SourceError: the database cannot be written; then nothing of the import was stored.
    """
    started = time.perf_counter()
    parsed = parse_url(url)
    engine = open_engine(parsed, read_only=False)
    log.info("importing into %s", safe_url(parsed))
    with database_errors(parsed):
        create_schema(engine)
    with database_errors(parsed), engine.begin() as connection:
        importing = _Import(connection)
        for batch in batches(records, POSITIONS_AT_ONCE):
            importing.positions(batch)
            if progress is not None:
                progress(len(batch))
        importing.eliminations(eliminations)
        importing.account_sizes(account_sizes or {})
        importing.plagiarism_events(plagiarism_events or PlagiarismEvents())
    _log_counts(importing.counts, time.perf_counter() - started)
    return importing.counts


class _Import:
    """One import: its transaction, its counts, and the keys that it has stored."""

    def __init__(self, connection: Connection) -> None:
        self.counts = WriteCounts()
        self._connection = connection
        self._now_ms = int(time.time() * 1_000)
        self._positions: set[str] = set()
        self._orders: set[str] = set()

    def positions(self, records: Sequence[PositionRecord]) -> None:
        """Store a batch of positions with their orders."""
        accepted: list[PositionRows] = []
        self.counts.positions_read += sum(not record.orphan for record in records)
        for record in records:
            try:
                found = position_rows(record)
                self._take_keys(found)
            except UnstorableError as error:
                self._leave_out(record, error)
            else:
                accepted.append(found)
        accepted = self._without_orders_of_others(accepted)
        rows = [found.position for found in accepted]
        orders = [order for found in accepted for order in found.orders]
        fates = merge(self._connection, POSITIONS, rows, {"updated_ms": self._now_ms})
        order_fates = merge(self._connection, ORDERS, orders)
        _count(self.counts.orders, order_fates)
        changed = {
            order["position_uuid"]
            for order, fate in zip(orders, order_fates, strict=True)
            if fate is not Fate.UNCHANGED
        }
        for row, fate in zip(rows, fates, strict=True):
            by_orders = fate is Fate.UNCHANGED and row["position_uuid"] in changed
            _count(self.counts.positions, [Fate.UPDATED if by_orders else fate])

    def eliminations(self, records: Iterable[EliminationRecord]) -> None:
        """Store recorded eliminations."""
        found = ((record.fields, record.origin or "elimination") for record in records)
        self._small_table(ELIMINATIONS, found, self.counts.eliminations)

    def account_sizes(self, sizes: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Store dated account sizes."""
        found = (
            (
                {"miner_hotkey": hotkey, "update_time_ms": at, "account_size": size},
                f"account size of {hotkey} at {at}",
            )
            for hotkey, entries in sizes.items()
            for at, size in entries
        )
        self._small_table(ACCOUNT_SIZES, found, self.counts.account_sizes)

    def plagiarism_events(self, recorded: PlagiarismEvents) -> None:
        """Store recorded plagiarism events."""
        found = (
            (event_fields(event), event.origin or "plagiarism event") for event in recorded.events
        )
        self._small_table(PLAGIARISM_EVENTS, found, self.counts.plagiarism_events)
        self.counts.unstored += (
            Unstored(row.reason, row.origin, row.miner_hotkey, kind="plagiarism_event")
            for row in recorded.rejected
        )

    def _small_table(
        self, table: Table, found: Iterable[tuple[Mapping[str, Any], str]], counts: TableCounts
    ) -> None:
        rows: dict[tuple[Any, ...], Row] = {}
        for fields, origin in found:
            hotkey = str(fields.get("miner_hotkey") or "")
            try:
                row = row_of(table, fields)
            except UnstorableError as error:
                left = Unstored(str(error), origin, hotkey, kind=error.kind)
                self.counts.unstored.append(left)
                continue
            if rows.setdefault(key_of(table, row), row) != row:
                fault = "another one of this time was found before"
                left = Unstored(fault, origin, hotkey, kind="duplicate_time")
                self.counts.unstored.append(left)
        for batch in batches(rows.values(), KEYS_AT_ONCE):
            _count(counts, merge(self._connection, table, batch))

    def _take_keys(self, found: PositionRows) -> None:
        uuid = found.position["position_uuid"]
        if uuid in self._positions:
            raise UnstorableError(f"position {uuid} was found before", "duplicate_position")
        here: set[str] = set()
        for order in found.orders:
            key = order["order_uuid"]
            if key in here or key in self._orders:
                raise UnstorableError(f"order {key} was found before", "duplicate_order")
            here.add(key)
        self._positions.add(uuid)
        self._orders |= here

    def _without_orders_of_others(self, accepted: Sequence[PositionRows]) -> list[PositionRows]:
        """Those whose orders the database does not already hold under another position."""
        keys = [order["order_uuid"] for found in accepted for order in found.orders]
        owners: dict[str, str] = {}
        for batch in batches(keys, KEYS_AT_ONCE):
            of = select(ORDERS.c.order_uuid, ORDERS.c.position_uuid)
            rows = self._connection.execute(of.where(ORDERS.c.order_uuid.in_(batch)))
            owners.update((row[0], row[1]) for row in rows)
        kept = []
        for found in accepted:
            uuid = found.position["position_uuid"]
            for order in found.orders:
                owner = owners.get(order["order_uuid"], uuid)
                if owner != uuid:
                    fault = f"order {order['order_uuid']} is stored with position {owner}"
                    self._leave_out(found.record, UnstorableError(fault, "duplicate_order"))
                    break
            else:
                kept.append(found)
        return kept

    def _leave_out(self, record: PositionRecord, error: UnstorableError) -> None:
        self.counts.unstored.append(
            Unstored(
                str(error),
                record.origin,
                str(record.fields.get("miner_hotkey") or ""),
                str(record.fields.get("position_uuid") or ""),
                len(record.orders),
                error.kind,
            )
        )


def _count(counts: TableCounts, fates: Iterable[Fate]) -> None:
    for fate in fates:
        setattr(counts, fate.value, getattr(counts, fate.value) + 1)


def _log_counts(counts: WriteCounts, seconds: float) -> None:
    for name in ("positions", "orders", "account_sizes", "eliminations", "plagiarism_events"):
        of: TableCounts = getattr(counts, name)
        log.info(
            "%s: %d inserted, %d updated, %d unchanged",
            name,
            of.inserted,
            of.updated,
            of.unchanged,
        )
    told: Counter[str] = Counter()
    for unstored in counts.unstored:
        told[unstored.kind] += 1
        level = logging.WARNING if told[unstored.kind] <= _TOLD_OF_A_KIND else logging.INFO
        log.log(level, "left out: %s: %s", unstored.origin, unstored.reason)
    for kind, count in told.items():
        if count > _TOLD_OF_A_KIND:
            log.warning("left out: %d more for %s", count - _TOLD_OF_A_KIND, kind)
    log.info("imported in %.3f s, %d records left out", seconds, len(counts.unstored))

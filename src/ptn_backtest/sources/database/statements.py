"""The SELECTs that read positions, by a mapping and a query.

Positions and orders come as one joined, ordered stream: one statement sees one moment, no server
needs two cursors at once, and strings are compared by the server alone, byte by byte, whatever
its collation. SQL narrows a time range to what may matter in the column's unit; where that is not
exact, `selection` drops the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    LargeBinary,
    Select,
    String,
    Text,
    and_,
    cast,
    column,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    true,
)
from sqlalchemy.sql.elements import quoted_name

from ptn_backtest.clock import DAY_MS, SECOND_MS
from ptn_backtest.sources.database.mapping import SchemaMapping, TimeUnit, mapped_columns
from ptn_backtest.sources.records import ALL, PositionQuery

Expression: TypeAlias = ColumnElement[Any]
Rows: TypeAlias = Select[*tuple[Any, ...]]

_LAST_DATE_MS = 253_402_300_799_000
"""The end of the year 9999, the last that a datetime can be."""


@dataclass(frozen=True, slots=True)
class Statements:
    """Builds the SELECTs on one database.

    Attributes:
        mapping: where things are.
        dialect: "sqlite", "postgresql" or "mysql".
        single_floats: the columns that `inspection.check_mapping` found to be four-byte floats.
    """

    mapping: SchemaMapping
    dialect: str
    single_floats: frozenset[tuple[str, str]] = frozenset()

    def positions(self, query: PositionQuery, hotkeys: Sequence[str] | None) -> Rows:
        """Each position with each of its orders: position columns, then order columns.

        A position without orders is one row whose order columns are null. Ordered by hotkey, open
        time, position uuid, then the orders' time, stored order and uuid; nulls last.
        """
        positions, orders = self._table("positions", "p"), self._table("orders", "o")
        any_order = self._table("orders", "x")
        uuid, of = self._at(positions, "positions", "position_uuid"), self._order_of(orders)
        opened = self._at(positions, "positions", "open_ms")
        wanted = [_or_null(opened, self._until("positions", "open_ms", opened, query.end_ms))]
        if hotkeys is not None:
            wanted.append(self._at(positions, "positions", "miner_hotkey").in_(hotkeys))
        if query.history == "range":
            wanted.append(self._closed_since(positions, query.start_ms))
        if query.end_ms is not None:
            # a position without orders is a fault to report, one with later orders only is not
            placed = of.is_not(None)
            wanted.append(or_(placed, ~exists().where(self._order_of(any_order) == uuid)))
        return (
            select(
                *self._columns("positions", positions, query),
                *self._columns("orders", orders, query),
            )
            .select_from(
                positions.outerjoin(orders, and_(of == uuid, self._placed_until(orders, query)))
            )
            .where(and_(*wanted))
            .order_by(
                *self._by_text(self._at(positions, "positions", "miner_hotkey")),
                *_by_number(opened),
                *self._by_text(uuid),
                *self._by_stored_order(orders),
            )
        )

    def orphans(self, query: PositionQuery) -> Rows:
        """Orders whose position is not there, ordered by its uuid, then as in `positions`."""
        positions, orders = self._table("positions", "p"), self._table("orders", "o")
        uuid, of = self._at(positions, "positions", "position_uuid"), self._order_of(orders)
        return (
            select(*self._columns("orders", orders, query))
            .select_from(orders.outerjoin(positions, of == uuid))
            .where(uuid.is_(None), self._placed_until(orders, query))
            .order_by(*self._by_text(of), *self._by_stored_order(orders))
        )

    def positions_alone(self, query: PositionQuery) -> Rows:
        """The positions without their orders, in no order, those opened after the end too."""
        positions = self._table("positions", "p")
        return select(*self._columns("positions", positions, query)).where(
            self._chosen(positions, query)
        )

    def orders_alone(self, query: PositionQuery) -> Rows:
        """The orders of `positions_alone` and of none, up to the query's end, in no order."""
        orders = self._table("orders", "o")
        found = select(*self._columns("orders", orders, query))
        until = self._placed_until(orders, query)
        if query.hotkeys is None and query.history == "full":
            return found.where(until)
        positions = self._table("positions", "p")
        uuid = self._at(positions, "positions", "position_uuid")
        chosen = self._chosen(positions, query)
        if query.hotkeys is None:
            chosen = or_(chosen, uuid.is_(None))
        joined = orders.outerjoin(positions, uuid == self._order_of(orders))
        return found.select_from(joined).where(until, chosen)

    def apart(self, query: PositionQuery) -> dict[str, Rows]:
        """{"positions": ..., "orders": ...}: one SELECT for each table, to be joined by the reader."""
        return {"positions": self.positions_alone(query), "orders": self.orders_alone(query)}

    def of_traders(self, name: str, hotkeys: Sequence[str] | None) -> Rows:
        """Rows of another table, in no order."""
        rows = self._table(name, "t")
        found = select(*self._columns(name, rows, ALL))
        if hotkeys is None:
            return found
        return found.where(self._at(rows, name, "miner_hotkey").in_(hotkeys))

    def traders(self) -> Rows:
        """Everybody who has a position, once each whatever the collation, in no order."""
        positions = self._table("positions", "p")
        hotkey = self._at(positions, "positions", "miner_hotkey")
        exactly = self._by_text(hotkey)[-1]
        return select(func.min(hotkey)).where(hotkey.is_not(None)).group_by(exactly)

    def names(self, name: str, query: PositionQuery) -> list[str]:
        """Our names of the columns that a SELECT takes from one of our tables, in its order."""
        return [
            ours
            for ours, _ in mapped_columns(self.mapping.tables[name])
            if query.price_sources or ours != "price_sources"
        ]

    def _table(self, ours: str, alias: str) -> FromClause:
        there = self.mapping.tables[ours]
        columns = {mapped.column for _, mapped in mapped_columns(there)}
        clause = table(_exactly(there.table), *(column(_exactly(name)) for name in columns))
        if self.mapping.schema is not None:
            clause.schema = _exactly(self.mapping.schema)
        return clause.alias(alias)

    def _at(self, rows: FromClause, name: str, ours: str) -> Expression:
        return rows.c[str(self.mapping.tables[name].columns[ours].column)]

    def _order_of(self, orders: FromClause) -> Expression:
        return self._at(orders, "orders", "position_uuid")

    def _columns(self, name: str, rows: FromClause, query: PositionQuery) -> list[Expression]:
        columns: list[Expression] = []
        for ours in self.names(name, query):
            found = self._at(rows, name, ours)
            if (name, ours) in self.single_floats:
                found = found + literal_column("0e0")  # MySQL shortens a FLOAT, but not a DOUBLE
            if ours == "price_sources":
                found = cast(found, Text)
            columns.append(found.label(f"{name}_{ours}"))
        return columns

    def _chosen(self, positions: FromClause, query: PositionQuery) -> ColumnElement[bool]:
        chosen: ColumnElement[bool] = true()
        if query.hotkeys is not None:
            hotkey = self._at(positions, "positions", "miner_hotkey")
            chosen = and_(chosen, hotkey.in_(query.hotkeys))
        if query.history == "range":
            chosen = and_(chosen, self._closed_since(positions, query.start_ms))
        return chosen

    def _placed_until(self, orders: FromClause, query: PositionQuery) -> ColumnElement[bool]:
        placed = self._at(orders, "orders", "processed_ms")
        return _or_null(placed, self._until("orders", "processed_ms", placed, query.end_ms))

    def _closed_since(self, positions: FromClause, start_ms: int | None) -> ColumnElement[bool]:
        mapped = self.mapping.tables["positions"].columns["close_ms"]
        if mapped.column is None or start_ms is None:
            return true()
        closed = positions.c[mapped.column]
        bound = self._bound(mapped.unit, start_ms, -1)
        wanted = closed.is_(None) if bound is None else or_(closed.is_(None), closed >= bound)
        if mapped.unit in (TimeUnit.DATETIME, TimeUnit.ISO):
            return wanted
        return or_(wanted, closed == literal(0, BigInteger()))

    def _until(
        self, name: str, ours: str, found: Expression, end_ms: int | None
    ) -> ColumnElement[bool] | None:
        if end_ms is None:
            return None
        bound = self._bound(self.mapping.tables[name].columns[ours].unit, end_ms, 1)
        return None if bound is None else found <= bound

    def _bound(self, unit: TimeUnit, ms: int, slack: int) -> Expression | None:
        """A time in the column's unit: exact for ms, else `slack` steps further out."""
        match unit:
            case TimeUnit.MS:
                return literal(ms, BigInteger())
            case TimeUnit.S:
                return literal(ms // SECOND_MS + slack, BigInteger())
            case TimeUnit.US:
                return literal((ms + slack) * 1_000, BigInteger())
        # days to spare: the column may be in a zone of its own
        ms += 2 * slack * DAY_MS
        if not 0 <= ms <= _LAST_DATE_MS:
            return None
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
        if unit is TimeUnit.DATETIME and self.dialect != "sqlite":
            return literal(moment.replace(tzinfo=None), DateTime())
        return literal(f"{moment:%Y-%m-%d}", String())

    def _by_stored_order(self, orders: FromClause) -> list[Expression]:
        keys = _by_number(self._at(orders, "orders", "processed_ms"))
        if self.mapping.tables["orders"].columns["sequence"].column is not None:
            keys += _by_number(self._at(orders, "orders", "sequence"))
        return keys + self._by_text(self._at(orders, "orders", "order_uuid"))

    def _by_text(self, found: Expression) -> list[Expression]:
        """Sort keys for texts: by code point, as Python sorts, whatever the collation."""
        if self.dialect == "mysql":
            key: Expression = cast(found, LargeBinary)
        elif self.dialect == "postgresql":
            key = cast(found, Text).collate("C")
        else:
            key = found.collate("BINARY")
        return [found.is_(None), key]


def _by_number(found: Expression) -> list[Expression]:
    return [found.is_(None), found]


def _or_null(found: Expression, wanted: ColumnElement[bool] | None) -> ColumnElement[bool]:
    """A row without a time is read too: it is a fault to report, not to filter."""
    if wanted is None:
        return true()
    return or_(found.is_(None), wanted)


def _exactly(name: str | None) -> quoted_name:
    return quoted_name(str(name), quote=True)

"""From records as they were found to positions that can be replayed.

Each record is judged as a whole: one bad order sets its position aside, with the reason and the
place. `docs/positions.md` lists the reasons.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ptn_backtest.errors import InvalidPosition, UnknownTradePair
from ptn_backtest.positions.oddities import Oddities, find_oddities
from ptn_backtest.positions.order import LAST_MS, PRICELESS_SOURCES, Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.positions.splitting import split_position
from ptn_backtest.positions.table_conversion import judge_columns
from ptn_backtest.sources.numeric import hint_of_unit, real_number, whole_number
from ptn_backtest.sources.record_table import RecordTable
from ptn_backtest.sources.records import Fields, OrderRecord, PositionRecord
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

_ORDER_TYPES: Mapping[object, OrderType] = {kind.value: kind for kind in OrderType}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of a source's records.

    Attributes:
        positions: those that can be replayed, in the order of the records.
        rejections: those that were set aside.
        counts: traders, positions and orders kept; rejected_positions, rejected_orders (with
            their positions), orders_without_position; split_positions (recorded positions that
            were split); open_ms_corrected (stored open_ms was not the first order's time); those
            of `oddities`.
        oddities: what is odd about the positions kept.
    """

    positions: list[Position]
    rejections: list[Rejection]
    counts: Mapping[str, int]
    oddities: Oddities = field(default_factory=Oddities)

    def rejections_by_reason(self) -> dict[Reason, int]:
        """How many were set aside for each reason, the most frequent first."""
        return dict(Counter(rejection.reason for rejection in self.rejections).most_common())


def convert(
    records: Iterable[PositionRecord],
    *,
    split: bool = False,
    strict: bool = False,
    end_ms: int | None = None,
) -> Conversion:
    """Judge and convert every record.

    Args:
        records: as a source yields them; of a `RecordTable`, what is plainly sound stays columns.
        split: also split positions that hold several trades (see `positions.splitting`).
        strict: stop at the first record that would be set aside.
        end_ms: the query's, after which the records have no orders.

    Raises:
        InvalidPosition: `strict`, and a record would be set aside; the message says where and why.
    """
    started = time.perf_counter()
    positions: list[Position] = []
    rejections: list[Rejection] = []
    counts = Counter(dict.fromkeys(("split_positions", "open_ms_corrected"), 0))
    for parts, opens_elsewhere in _outcomes(records, split=split):
        if isinstance(parts, Rejection):
            if strict:
                raise InvalidPosition(explain(parts))
            rejections.append(parts)
            continue
        counts["open_ms_corrected"] += opens_elsewhere
        counts["split_positions"] += len(parts) > 1
        positions.extend(parts)
    oddities = find_oddities(positions, end_ms)
    counted = {**_count(positions, rejections, counts), **oddities.counts()}
    conversion = Conversion(positions, rejections, counted, oddities)
    _log_statistics(conversion, time.perf_counter() - started)
    return conversion


def judge(
    records: Iterable[PositionRecord],
) -> Iterator[tuple[PositionRecord, Position | Rejection]]:
    """Each record with the position that it makes, or with the reason why it makes none.

    A uuid counts as taken by the first position that was found with it, replayable or not, and
    an order's uuid by the first position that was kept.
    """
    if isinstance(records, RecordTable):
        for record, (position, _) in zip(records, judge_columns(records), strict=True):
            yield from [(record, position)] if position else judge([record])
        return
    seen = _Seen()
    for record in records:
        try:
            verdict: Position | Rejection = _position(record, seen)
        except _Fault as fault:
            verdict = _rejection(record, fault)
            log.info("set aside: %s", explain(verdict))
        yield record, verdict


def explain(rejection: Rejection) -> str:
    """One line: where, which position and order, and what is wrong."""
    order = f" order {rejection.order_uuid}" if rejection.order_uuid else ""
    position = f"position {rejection.position_uuid}" if rejection.position_uuid else "position"
    origin = rejection.origin or "unknown place"
    return f"{origin}: {position}{order}: {rejection.detail} ({rejection.reason})"


def _outcomes(
    records: Iterable[PositionRecord], *, split: bool
) -> Iterator[tuple[Sequence[Position] | Rejection, bool]]:
    """The trades of each record, or why there are none; and whether its stored open_ms was wrong."""
    if isinstance(records, RecordTable) and not split:
        for row, (position, opens_elsewhere) in enumerate(judge_columns(records)):
            if position is not None:
                yield (position,), opens_elsewhere
            else:  # by itself, because no uuid of a table is there twice
                yield from _outcomes([records[row]], split=False)
        return
    for record, parts in _parts(judge(records), split=split):
        yield parts, not isinstance(parts, Rejection) and _opens_elsewhere(record, parts[0])


def _parts(
    judged: Iterable[tuple[PositionRecord, Position | Rejection]], *, split: bool
) -> Iterator[tuple[PositionRecord, list[Position] | Rejection]]:
    """The trades of each position; a part whose new uuid is taken sets its position aside."""
    taken: set[str] = set()
    for record, verdict in judged:
        if isinstance(verdict, Rejection) or not split:
            yield record, verdict if isinstance(verdict, Rejection) else [verdict]
            continue
        parts = split_position(verdict)
        clash = next((part for part in parts if part.position_uuid in taken), None)
        if clash is None:
            taken.update(part.position_uuid for part in parts)
            yield record, parts
        else:
            detail = f"split by its trades, uuid {clash.position_uuid} is that of another position"
            yield record, _rejection(record, _Fault(Reason.DUPLICATE_POSITION, detail))


class _Fault(Exception):  # noqa: N818 - never leaves this module
    """What is wrong with a record, and with which of its orders."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.order: OrderRecord | None = None


@dataclass(slots=True)
class _Seen:
    """Keys that were found before, with the place or the position where."""

    positions: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)


def _position(record: PositionRecord, seen: _Seen) -> Position:
    fields = record.fields
    if record.orphan:
        uuid = fields.get("position_uuid")
        raise _Fault(Reason.ORDER_WITHOUT_POSITION, f"there is no position {uuid!r}")
    uuid = _text(fields.get("position_uuid"))
    found_before = seen.positions.get(uuid)
    if uuid:
        seen.positions.setdefault(uuid, record.origin)
    if record.error is not None:
        raise _Fault(Reason.UNREADABLE, record.error)
    hotkey = _required_text(fields, "miner_hotkey")
    _required_text(fields, "position_uuid")
    pair = _trade_pair(fields)
    if found_before is not None:
        raise _Fault(Reason.DUPLICATE_POSITION, f"its uuid was found before: {found_before}")
    account_size = _optional_real(fields, "account_size")
    if not 0 <= account_size < math.inf:
        raise _Fault(Reason.INVALID_NUMBER, f"account_size is {account_size}")
    if fields.get("open_ms") is not None:
        _time(fields, "open_ms")
    orders = _orders(record, uuid, seen.orders)
    return Position(
        miner_hotkey=hotkey,
        position_uuid=uuid,
        trade_pair=pair,
        open_ms=orders[0].processed_ms,
        orders=orders,
        account_size=account_size,
        stored=record.stored,
    )


def _orders(record: PositionRecord, uuid: str, seen: dict[str, str]) -> tuple[Order, ...]:
    if not record.orders:
        raise _Fault(Reason.NO_ORDERS, "it has no orders")
    orders: list[Order] = []
    here: dict[str, str] = {}
    for found in record.orders:
        try:
            order = _order(found.fields)
            _check_place(order, orders)
            _check_new(order, here, seen)
        except _Fault as fault:
            fault.order = found
            raise
        here[order.order_uuid] = uuid
        orders.append(order)
    seen.update(here)
    return tuple(orders)


def _check_place(order: Order, before: list[Order]) -> None:
    if before:
        if order.processed_ms < before[-1].processed_ms:
            raise _Fault(
                Reason.ORDERS_OUT_OF_ORDER,
                f"processed_ms {order.processed_ms} is before that of the order stored before it, "
                f"{before[-1].processed_ms}",
            )
    elif order.order_type is OrderType.FLAT:
        raise _Fault(Reason.FIRST_ORDER_FLAT, "the first order is FLAT")
    elif order.price == 0:
        raise _Fault(Reason.INVALID_PRICE, f"price 0 of the first order (src {order.src})")


def _check_new(order: Order, *found: Mapping[str, str]) -> None:
    for positions in found:
        if order.order_uuid in positions:
            raise _Fault(
                Reason.DUPLICATE_ORDER,
                f"order {order.order_uuid} was found before in position "
                f"{positions[order.order_uuid]}",
            )


def _order(fields: Fields) -> Order:
    uuid = _required_text(fields, "order_uuid")
    kind = _order_type(fields)
    leverage = _required_real(fields, "leverage")
    price = _required_real(fields, "price")
    processed_ms = _time(fields, "processed_ms")
    src = fields.get("src")
    if src is None:
        src = 0
    elif type(src) is not int:
        src = _whole(src, "src", Reason.INVALID_NUMBER)
    if price < 0 or (price == 0 and src not in PRICELESS_SOURCES):
        raise _Fault(Reason.INVALID_PRICE, f"price {price} is not above 0 (src {src})")
    bid = _optional_real(fields, "bid")
    ask = _optional_real(fields, "ask")
    slippage = _optional_real(fields, "slippage")
    price_sources = fields.get("price_sources")
    try:
        return Order(
            uuid, kind, leverage, price, processed_ms, bid, ask, slippage, src, price_sources
        )
    except InvalidPosition as error:  # all but the leverage was checked above
        raise _Fault(Reason.INVALID_LEVERAGE, str(error)) from error


def _order_type(fields: Fields) -> OrderType:
    value = fields.get("order_type")
    kind = _ORDER_TYPES.get(value) if isinstance(value, str) else None
    if kind is not None:
        return kind
    if value is None:
        raise _Fault(Reason.MISSING_FIELD, "order_type is missing")
    text = value.name if isinstance(value, Enum) else str(value)
    kind = _ORDER_TYPES.get(text.strip().upper())
    if kind is None:
        raise _Fault(Reason.INVALID_ORDER_TYPE, f"order_type {value!r} is not LONG, SHORT or FLAT")
    return kind


def _trade_pair(fields: Fields) -> TradePair:
    try:
        return TradePair.from_trade_pair_id(_required_text(fields, "trade_pair_id"))
    except UnknownTradePair as error:
        raise _Fault(Reason.UNKNOWN_TRADE_PAIR, str(error)) from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _required_text(fields: Fields, name: str) -> str:
    text = _text(fields.get(name))
    if not text:
        raise _Fault(Reason.MISSING_FIELD, f"{name} is missing")
    return text


def _required_real(fields: Fields, name: str) -> float:
    if fields.get(name) is None:
        raise _Fault(Reason.MISSING_FIELD, f"{name} is missing")
    return _optional_real(fields, name)


def _optional_real(fields: Fields, name: str) -> float:
    value = fields.get(name)
    if value is None:
        return 0.0
    if type(value) is not float:
        try:
            value = real_number(value)
        except ValueError as error:
            raise _Fault(Reason.INVALID_NUMBER, f"{name}: {error}") from error
    if not math.isfinite(value):
        raise _Fault(Reason.INVALID_NUMBER, f"{name} is {value}, not a finite number")
    return value


def _time(fields: Fields, name: str) -> int:
    value = fields.get(name)
    if value is None:
        raise _Fault(Reason.MISSING_FIELD, f"{name} is missing")
    if type(value) is not int:
        value = _whole(value, name, Reason.INVALID_TIME)
    if not 0 <= value <= LAST_MS:
        hint = hint_of_unit(value)
        raise _Fault(Reason.INVALID_TIME, f"{name} {value} is not a time in ms since 1970{hint}")
    return value


def _whole(value: Any, name: str, reason: Reason) -> int:  # noqa: ANN401 - as found
    try:
        return whole_number(value)
    except ValueError as error:
        hint = hint_of_unit(value) if reason is Reason.INVALID_TIME else ""
        raise _Fault(reason, f"{name}: {error}{hint}") from error


def _rejection(record: PositionRecord, fault: _Fault) -> Rejection:
    order = fault.order
    return Rejection(
        reason=fault.reason,
        detail=str(fault),
        origin=order.origin if order is not None else record.origin,
        miner_hotkey=_text(record.fields.get("miner_hotkey")),
        position_uuid=_text(record.fields.get("position_uuid")),
        order_uuid=_text(order.fields.get("order_uuid")) if order is not None else "",
        n_orders=len(record.orders),
    )


def _opens_elsewhere(record: PositionRecord, position: Position) -> bool:
    stored = record.fields.get("open_ms")
    return stored is not None and whole_number(stored) != position.open_ms


def _count(
    positions: list[Position], rejections: list[Rejection], notes: Mapping[str, int]
) -> dict[str, int]:
    orphans = [r for r in rejections if r.reason is Reason.ORDER_WITHOUT_POSITION]
    return {
        "traders": len({position.miner_hotkey for position in positions}),
        "positions": len(positions),
        "orders": sum(len(position.orders) for position in positions),
        "rejected_positions": len(rejections) - len(orphans),
        "rejected_orders": sum(r.n_orders for r in rejections),
        "orders_without_position": sum(r.n_orders for r in orphans),
        **notes,
    }


def _log_statistics(conversion: Conversion, seconds: float) -> None:
    counts = conversion.counts
    log.info(
        "converted %d positions with %d orders of %d traders in %.3f s (%d split, %d with a "
        "stored open_ms other than the first order's time)",
        counts["positions"],
        counts["orders"],
        counts["traders"],
        seconds,
        counts["split_positions"],
        counts["open_ms_corrected"],
    )
    if conversion.rejections:
        reasons = conversion.rejections_by_reason().items()
        log.warning(
            "set aside %d positions or orders without one: %s",
            len(conversion.rejections),
            ", ".join(f"{reason} {count}" for reason, count in reasons),
        )

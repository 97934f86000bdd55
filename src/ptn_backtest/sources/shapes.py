"""Positions as the network writes them (JSON, or objects of its classes), and our records.

A position is a mapping or an object with miner_hotkey, position_uuid, open_ms, orders, perhaps
derived fields, and its trade pair as `trade_pair_id` or as `trade_pair`: a list that starts with
the id, an object or mapping that has `trade_pair_id`, or the id itself.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from ptn_backtest.errors import UnknownTradePair
from ptn_backtest.sources.numeric import real_number, whole_number
from ptn_backtest.sources.records import (
    ORDER_FIELDS,
    STORED_FIELDS,
    EliminationRecord,
    Fields,
    OrderRecord,
    PositionQuery,
    PositionRecord,
)
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

AccountSizes = dict[str, list[tuple[int, float]]]
"""{hotkey: [(update time in ms, account size in USD), ...]}."""

_ELIMINATION_NAMES = {
    "miner_hotkey": ("miner_hotkey", "hotkey"),
    "elimination_ms": ("elimination_ms", "elimination_initiated_time_ms"),
    "elimination_reason": ("elimination_reason", "reason"),
    "max_drawdown": ("max_drawdown", "dd"),
    "creation_ms": ("creation_ms",),
    "updated_ms": ("updated_ms",),
}
"""Our names, and the names that validators' files use."""


def position_record(
    raw: object, *, origin: str, hotkey: str | None = None, price_sources: bool = False
) -> PositionRecord:
    """A position as found, as a record.

    Args:
        raw: mapping or object.
        origin: where it was found.
        hotkey: the trader that the place names, where it names one.
        price_sources: also take the orders' `price_sources`, as JSON text.
    """
    filed = {} if hotkey is None else {"miner_hotkey": hotkey}
    if raw is None or isinstance(raw, str | int | float | Sequence):
        fault = f"{type(raw).__name__} where a position is expected"
        return PositionRecord(filed, (), origin=origin, error=fault)
    own = _fields(raw, ("miner_hotkey", "position_uuid", "open_ms", "account_size"))
    pair = _trade_pair_id(raw)
    if pair is not None:
        own["trade_pair_id"] = pair
    error = None
    if hotkey is not None and own.get("miner_hotkey", hotkey) != hotkey:
        error = f"miner_hotkey {own['miner_hotkey']!r} is not the {hotkey!r} it is filed under"
    orders = value_of(raw, "orders")
    if orders is None:
        orders = ()
    elif not _is_list_of_records(orders):
        orders, error = (), "orders is not a list of orders"
    return PositionRecord(
        {**own, **filed},
        [_order_record(order, origin, price_sources) for order in orders],
        _fields(raw, STORED_FIELDS),
        origin,
        error=error,
    )


def value_of(raw: object, name: str, default: object = None) -> Any:  # noqa: ANN401 - as found
    """What a mapping or an object holds by this name; an enum's member as its plain value."""
    value = raw.get(name, default) if isinstance(raw, Mapping) else getattr(raw, name, default)
    if not isinstance(value, Enum):
        return value
    # an order's type may be an enum of numbers: then its name says what it is
    return value.value if name == "src" or isinstance(value.value, str) else value.name


def position_json(record: PositionRecord) -> dict[str, Any]:
    """The record as validators write a position; `position_record` reads it back."""
    fields = record.fields
    found = {
        name: fields[name]
        for name in ("miner_hotkey", "position_uuid", "open_ms")
        if fields.get(name) is not None
    }
    return {
        **found,
        **_trade_pair_json(fields.get("trade_pair_id")),
        "orders": [_order_json(order.fields) for order in record.orders],
        **({} if fields.get("account_size") is None else {"account_size": fields["account_size"]}),
        **record.stored,
    }


def to_json(value: object) -> str:
    """Compact JSON; decimals, enums and uuids of databases become plain values."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


def account_sizes(raw: object, origin: str, query: PositionQuery) -> AccountSizes:
    """Account sizes from `{hotkey: [{"account_size": USD, "update_time_ms": ms}, ...]}`.

    An entry that is malformed is left out with a warning in the log.
    """
    if not isinstance(raw, Mapping):
        return {}
    sizes: AccountSizes = {}
    for hotkey, entries in sorted(raw.items()):
        for entry in entries if isinstance(entries, list) else [entries]:
            try:
                size = (
                    whole_number(entry["update_time_ms"]),
                    real_number(entry["account_size"]),
                )
            except (KeyError, TypeError, ValueError) as error:
                log.warning("%s: account size of %s left out: %s", origin, hotkey, error)
                continue
            if query.hotkeys is None or hotkey in query.hotkeys:
                sizes.setdefault(hotkey, []).append(size)
    return {hotkey: sorted(found, key=lambda size: size[0]) for hotkey, found in sizes.items()}


def account_sizes_json(sizes: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, Any]:
    """Account sizes as validators write them; the size in theta is unknown here, so null."""
    return {
        hotkey: [
            {"account_size": size, "account_size_theta": None, "update_time_ms": update_ms}
            for update_ms, size in entries
        ]
        for hotkey, entries in sizes.items()
    }


def eliminations(raw: object, origin: str, query: PositionQuery) -> list[EliminationRecord]:
    """Eliminations from a list of mappings or objects, by our names, in time order."""
    if raw is None or isinstance(raw, str | Mapping) or not isinstance(raw, Iterable):
        return []
    records = []
    for number, row in enumerate(raw):
        fields = {
            ours: value
            for ours, names in _ELIMINATION_NAMES.items()
            if (value := _first(row, names)) is not None
        }
        if query.hotkeys is None or fields.get("miner_hotkey") in query.hotkeys:
            records.append(EliminationRecord(fields, f"{origin} eliminations[{number}]"))
    return sorted(records, key=lambda record: _sort_number(record.fields.get("elimination_ms")))


def eliminations_json(records: Iterable[EliminationRecord]) -> list[dict[str, Any]]:
    """Eliminations by the names that validators' files use."""
    return [
        {
            names[-1]: record.fields[ours]
            for ours, names in _ELIMINATION_NAMES.items()
            if record.fields.get(ours) is not None
        }
        for record in records
    ]


def _fields(raw: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := value_of(raw, name)) is not None}


def _first(raw: object, names: Iterable[str]) -> Any:  # noqa: ANN401 - as found
    values = (value_of(raw, name) for name in names)
    return next((value for value in values if value is not None), None)


def _is_list_of_records(orders: object) -> bool:
    if isinstance(orders, str | bytes | Mapping) or not isinstance(orders, Iterable):
        return False
    return not any(isinstance(order, str | bytes | int | float | list | None) for order in orders)


def _order_record(raw: object, origin: str, price_sources: bool) -> OrderRecord:
    fields = _fields(raw, ORDER_FIELDS)
    if price_sources:
        sources = value_of(raw, "price_sources")
        if sources is not None:
            fields["price_sources"] = sources if isinstance(sources, str) else to_json(sources)
    return OrderRecord(fields, f"{origin} order {fields.get('order_uuid', '?')}")


def _order_json(fields: Fields) -> dict[str, Any]:
    order = {name: fields[name] for name in ORDER_FIELDS if fields.get(name) is not None}
    sources = fields.get("price_sources")
    if sources is not None:
        order["price_sources"] = json.loads(sources) if isinstance(sources, str) else sources
    return order


def _trade_pair_id(raw: object) -> Any:  # noqa: ANN401 - as found
    pair = _first(raw, ("trade_pair_id", "trade_pair"))
    if isinstance(pair, list | tuple):
        return pair[0] if pair else None
    if pair is None or isinstance(pair, str):
        return pair
    return _first(pair, ("trade_pair_id",))


def _trade_pair_json(trade_pair_id: object) -> dict[str, Any]:
    if trade_pair_id is None:
        return {}
    try:
        pair = TradePair.from_trade_pair_id(str(trade_pair_id))
    except UnknownTradePair:
        return {"trade_pair_id": trade_pair_id}
    return {
        "trade_pair": [
            pair.trade_pair_id,
            pair.trade_pair,
            pair.fee,
            pair.min_leverage,
            pair.max_leverage,
        ]
    }


def _sort_number(value: object) -> int:
    try:
        return whole_number(value)
    except ValueError:
        return 0


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if hasattr(value, "__dict__"):
        return vars(value)
    raise TypeError(f"{value!r} cannot be written as JSON")

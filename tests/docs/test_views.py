"""The views of docs/mapping.md make positions of a table with deleted rows and orders in JSON."""

import json
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from ptn_backtest.positions.conversion import convert
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.mapping import load_mapping
from tests.docs.pages import ROOT, blocks

OPENED = 1_735_689_600_000
ORDERS = [
    {
        "order_uuid": "o-1",
        "order_type": "LONG",
        "leverage": 0.1 + 0.2,
        "price": 83024.24000000001,
        "bid": 83024.1,
        "ask": 83024.3,
        "slippage": 1e-05,
        "processed_ms": OPENED,
        "src": 0,
    },
    # of the same millisecond: the list's order counts, not the uuid's
    {
        "order_uuid": "b",
        "order_type": "LONG",
        "leverage": 0.1,
        "price": 2.0,
        "processed_ms": OPENED,
    },
    {"order_uuid": "a", "order_type": "FLAT", "leverage": 0, "price": 3, "processed_ms": OPENED},
]


def statements(kind: str) -> list[str]:
    for block in blocks((ROOT / "docs" / "mapping.md").read_text()):
        if block.language == "sql" and block.text.startswith(f"-- {kind}\n"):
            found = block.text.partition("\n")[2]
            return [each.strip() for each in found.split(";") if each.strip()]
    raise AssertionError(f"no statements for {kind}")


@pytest.mark.parametrize(
    ("kind", "server", "json_type"),
    [("PostgreSQL", "postgres", "jsonb"), ("MySQL", "mariadb", "JSON")],
)
def test_the_views(
    kind: str, server: str, json_type: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = str(request.getfixturevalue(f"{server}_url"))
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE positions (position_uuid VARCHAR(36), miner_hotkey VARCHAR(64), "
                "trade_pair_id VARCHAR(16), open_ms BIGINT, deleted_at TIMESTAMP NULL, "
                f"orders {json_type})"
            )
        )
        for uuid, deleted_at in (("kept", None), ("gone", "2025-01-02")):
            orders = [{**each, "order_uuid": f"{uuid}-{each['order_uuid']}"} for each in ORDERS]
            connection.execute(
                text("INSERT INTO positions VALUES (:uuid, 'h', 'BTCUSD', :at, :gone, :orders)"),
                {"uuid": uuid, "at": OPENED, "gone": deleted_at, "orders": json.dumps(orders)},
            )
        for statement in statements(kind):
            connection.exec_driver_sql(statement)
    absent = "account_size position_type close_ms is_closed_position current_return return_at_close"
    more = "net_leverage average_entry_price cumulative_entry_value realized_pnl"
    lines = "\n".join(f"{each} = {{ absent = true }}" for each in f"{absent} {more}".split())
    mapping = tmp_path / "views.toml"
    mapping.write_text(
        'orders = { table = "live_orders", columns = { price_sources = { absent = true } } }\n'
        f'[positions]\ntable = "live_positions"\n[positions.columns]\n{lines}\n'
    )

    conversion = convert(DatabasePositionOrderSource(url, load_mapping(mapping)).read())

    assert not conversion.rejections
    [position] = conversion.positions
    assert position.position_uuid == "kept"
    assert [each.order_uuid for each in position.orders] == ["kept-o-1", "kept-b", "kept-a"]
    first = position.orders[0]
    assert (first.leverage, first.price, first.bid, first.ask, first.slippage) == (
        0.1 + 0.2,
        83024.24000000001,
        83024.1,
        83024.3,
        1e-05,
    )

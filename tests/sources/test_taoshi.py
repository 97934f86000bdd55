"""The private package cannot be had: these tests build one that keeps to its contract."""

import importlib
import logging
import os
import sys
import textwrap
import time
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.errors import SourceError, SourceUnavailable
from ptn_backtest.positions.conversion import convert
from ptn_backtest.sources.records import PositionQuery
from ptn_backtest.sources.taoshi import TaoshiPositionOrderSource

VARIABLES = ("TAOSHI_TS_DEPLOYMENT", "TAOSHI_TS_PLATFORM")

PTN = """
import os

ENVIRONMENT = dict(os.environ)  # as it was when the package was imported
CALLS = []
ANSWER = None
WIRED = False


class DatabasePositionOrderSource:
    def get_positions_with_orders(self, start_ms, end_ms, miner_hotkeys):
        assert WIRED, "taoshi.ts.ptn.wiring was not imported"
        assert type(start_ms) is int and type(end_ms) is int and type(miner_hotkeys) is list
        CALLS.append((start_ms, end_ms, miner_hotkeys))
        if isinstance(ANSWER, Exception):
            raise ANSWER
        return ANSWER
"""

WIRING = """
from taoshi.ts import ptn

ptn.WIRED = True
"""

MODEL = """
from sqlalchemy import BigInteger, Float, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class EliminationModel(Base):
    __tablename__ = "eliminations"

    miner_hotkey: Mapped[str] = mapped_column(String(64), primary_key=True)
    elimination_ms: Mapped[int] = mapped_column(BigInteger)
    elimination_reason: Mapped[str] = mapped_column(String(64))
    max_drawdown: Mapped[float | None] = mapped_column(Float)
    creation_ms: Mapped[int] = mapped_column(BigInteger)
    updated_ms: Mapped[int] = mapped_column(BigInteger)
"""

ELIMINATIONS = """
from sqlalchemy import create_engine

from taoshi.ts.model import Base

DATABASE = "{database}"


class EliminationsDatabase:
    def __init__(self):
        self.ptn_db_editor = create_engine("sqlite:///" + DATABASE)
        Base.metadata.create_all(self.ptn_db_editor)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a stand-in's modules and forget them, and the environment, after the test."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "taoshi"]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def write(modules: Any) -> None:
        for name, text in modules.items():
            path = tmp_path / "taoshi" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        for folder in ("taoshi", "taoshi/ts", "taoshi/ts/ptn", "taoshi/ts/ptnhs"):
            if (tmp_path / folder).is_dir():
                (tmp_path / folder / "__init__.py").touch()
        forget()

    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield write
    forget()


@pytest.fixture
def ptn(package: Any) -> Any:
    """The stand-in, installed; its ANSWER is what it returns."""
    package({"ts/ptn/__init__": PTN, "ts/ptn/wiring": WIRING})
    return importlib.import_module("taoshi.ts.ptn")


class OrderType(Enum):
    LONG = "LONG"
    FLAT = "FLAT"


class NumberedType(Enum):
    LONG = 1
    FLAT = 3


class OrderSource(IntEnum):
    ORGANIC = 0


class Thing:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def order_fields(uuid: Any, at: Any, kind: Any, **others: Any) -> Any:
    return {
        "order_uuid": uuid,
        "order_type": kind,
        "leverage": 0.1,
        "price": 100.0,
        "processed_ms": at,
        "bid": 99.0,
        "ask": 101.0,
        "slippage": 0.0,
        "src": 0,
        **others,
    }


def as_objects() -> Any:
    """The shape since August 2025, with the enums of the network's classes."""
    return {
        "alice": [
            Thing(
                miner_hotkey="alice",
                position_uuid="p1",
                open_ms=1_000,
                close_ms=2_000,
                is_closed_position=True,
                trade_pair=Thing(trade_pair_id="BTCUSD", trade_pair="BTC/USD"),
                position_type=OrderType.FLAT,
                current_return=1.5,
                account_size=5_000.0,
                orders=[
                    Thing(**order_fields("o1", 1_000, OrderType.LONG, src=OrderSource.ORGANIC)),
                    Thing(**order_fields("o2", 2_000, OrderType.FLAT)),
                ],
            )
        ],
        "bob": [],
    }


def as_dicts(kind: Any = str) -> Any:
    """The shape before, with types as texts or as an enum."""
    return [
        {
            "miner_hotkey": "alice",
            "position_uuid": "p1",
            "open_ms": 1_000,
            "close_ms": 2_000,
            "is_closed_position": True,
            "trade_pair_id": "BTCUSD",
            "position_type": kind("FLAT"),
            "current_return": 1.5,
            "account_size": 5_000.0,
            "orders": [
                order_fields("o1", 1_000, kind("LONG")),
                order_fields("o2", 2_000, kind("FLAT")),
            ],
        }
    ]


SHAPES = {
    "objects by trader": as_objects,
    "dicts": as_dicts,
    "dicts of enums": lambda: as_dicts(NumberedType.__getitem__),
    "dicts one by one": lambda: iter(as_dicts()),
    "dicts by trader": lambda: {"alice": as_dicts()},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_gives_the_same_records(ptn: Any, shape: Any) -> None:
    ptn.ANSWER = shape()
    (record,) = TaoshiPositionOrderSource().read()
    assert record.fields == {
        "miner_hotkey": "alice",
        "position_uuid": "p1",
        "trade_pair_id": "BTCUSD",
        "open_ms": 1_000,
        "account_size": 5_000.0,
    }
    assert record.stored == {
        "position_type": "FLAT",
        "close_ms": 2_000,
        "is_closed_position": True,
        "current_return": 1.5,
    }
    assert [dict(order.fields) for order in record.orders] == [
        order_fields("o1", 1_000, "LONG"),
        order_fields("o2", 2_000, "FLAT"),
    ]
    assert "p1" in record.origin
    assert convert([record], strict=True).counts["orders"] == 2


def test_the_environment_is_set_before_the_import_where_it_was_unset(ptn: Any) -> None:
    del ptn
    for name in [name for name in sys.modules if name.partition(".")[0] == "taoshi"]:
        del sys.modules[name]
    with pytest.raises(SourceError):  # the fresh package answers None
        TaoshiPositionOrderSource().read()
    seen = sys.modules["taoshi.ts.ptn"].ENVIRONMENT
    assert [seen[name] for name in VARIABLES] == ["DEVELOPMENT", "LOCAL"]


def test_an_environment_that_was_set_stays(ptn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAOSHI_TS_DEPLOYMENT", "PRODUCTION")
    ptn.ANSWER = {}
    assert list(TaoshiPositionOrderSource().read()) == []
    assert os.environ["TAOSHI_TS_DEPLOYMENT"] == "PRODUCTION"
    assert os.environ["TAOSHI_TS_PLATFORM"] == "LOCAL"


def test_open_ends_and_all_traders(ptn: Any) -> None:
    ptn.ANSWER = {}
    before = time.time() * 1_000 - 1
    list(TaoshiPositionOrderSource().read())
    ((start_ms, end_ms, hotkeys),) = ptn.CALLS
    assert start_ms == 0
    assert before <= end_ms <= time.time() * 1_000
    assert hotkeys == []


def test_traders_and_the_end_are_passed_on(ptn: Any) -> None:
    ptn.ANSWER = {}
    list(TaoshiPositionOrderSource().read(PositionQuery(5, 9, ("alice",))))
    assert ptn.CALLS == [(0, 9, ["alice"])]


def test_no_traders_are_not_all_traders(ptn: Any) -> None:
    ptn.ANSWER = as_objects()
    assert list(TaoshiPositionOrderSource().read(PositionQuery(hotkeys=()))) == []
    assert ptn.CALLS == []  # whose empty list would mean everyone


def test_the_query_holds_whatever_the_package_answers(ptn: Any) -> None:
    ptn.ANSWER = as_objects()
    source = TaoshiPositionOrderSource()
    assert list(source.read(PositionQuery(hotkeys=("bob",)))) == []
    assert list(source.read(PositionQuery(2_001, history="range"))) == []
    assert len(list(source.read(PositionQuery(2_001)))) == 1
    (record,) = source.read(PositionQuery(end_ms=1_500))
    assert len(record.orders) == 1


@pytest.mark.parametrize("answer", [None, 3, "positions"])
def test_an_unknown_shape_is_an_error_and_no_empty_result(ptn: Any, answer: Any) -> None:
    ptn.ANSWER = answer
    with pytest.raises(SourceError, match=type(answer).__name__):
        TaoshiPositionOrderSource().read()


def test_a_failing_database_is_an_error_without_its_password(ptn: Any) -> None:
    ptn.ANSWER = RuntimeError("no route to mysql+pymysql://ptn:s3cret@db.example/ptn")
    with pytest.raises(SourceError, match="no route") as caught:
        TaoshiPositionOrderSource().read()
    assert "s3cret" not in str(caught.value)


def test_a_package_that_is_not_installed(package: Any) -> None:
    del package
    with pytest.raises(SourceUnavailable) as caught:
        TaoshiPositionOrderSource().read()
    message = str(caught.value)
    assert "taoshi is not installed" in message
    assert "install taoshi-ts-ptn" in message
    assert "mysql://user:password@host/taoshi-ts-ptn" in message


@pytest.mark.parametrize(
    ("modules", "missing"),
    [({"__init__": ""}, "taoshi.ts"), ({"ts/__init__": ""}, "taoshi.ts.ptn")],
)
def test_a_part_of_the_package_is_not_enough(package: Any, modules: Any, missing: Any) -> None:
    package(modules)
    with pytest.raises(SourceUnavailable, match=f"{missing} is not installed"):
        TaoshiPositionOrderSource().read()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import a_driver_that_is_not_there", "a_driver_that_is_not_there"),
        ("from json import nothing", "nothing"),
        ("raise KeyError('db_ptn_editor_url')", "KeyError.*db_ptn_editor_url"),
    ],
)
def test_a_package_that_cannot_be_imported_is_told_from_one_that_is_absent(
    package: Any, text: str, said: str
) -> None:
    package({"ts/ptn/__init__": PTN, "ts/ptn/wiring": text})
    with pytest.raises(SourceUnavailable, match=said) as caught:
        TaoshiPositionOrderSource().read()
    assert "is installed, but importing it failed" in str(caught.value)


def test_eliminations(package: Any, tmp_path: Path) -> None:
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.orm import Session  # noqa: PLC0415

    package(
        {
            "ts/ptn/__init__": PTN,
            "ts/ptn/wiring": WIRING,
            "ts/model": MODEL,
            "ts/ptnhs/eliminationsdatabase": ELIMINATIONS.format(database=tmp_path / "e.db"),
        }
    )
    model = importlib.import_module("taoshi.ts.model")
    engine = create_engine(f"sqlite:///{tmp_path / 'e.db'}")
    model.Base.metadata.create_all(engine)
    rows = [
        {"miner_hotkey": "bob", "elimination_ms": 9, "max_drawdown": 0.88},
        {"miner_hotkey": "alice", "elimination_ms": 3, "max_drawdown": None},
    ]
    rest = {"elimination_reason": "MAX_TOTAL_DRAWDOWN", "creation_ms": 1, "updated_ms": 2}
    with Session(engine) as session:
        session.add_all([model.EliminationModel(**row, **rest) for row in rows])
        session.commit()
    engine.dispose()
    source = TaoshiPositionOrderSource()
    alice = {"miner_hotkey": "alice", "elimination_ms": 3, **rest}
    bob = {"miner_hotkey": "bob", "elimination_ms": 9, "max_drawdown": 0.88, **rest}
    assert [record.fields for record in source.read_eliminations()] == [alice, bob]
    only_bob = source.read_eliminations(PositionQuery(hotkeys=("bob",)))
    assert [record.fields for record in only_bob] == [bob]


def test_eliminations_without_their_package(ptn: Any) -> None:
    del ptn
    with pytest.raises(SourceUnavailable, match=r"taoshi\.ts\.ptnhs is not installed"):
        TaoshiPositionOrderSource().read_eliminations()


def test_there_are_no_account_sizes_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ptn_backtest")
    assert TaoshiPositionOrderSource().read_account_sizes() == {}
    assert "no account sizes" in caplog.text

"""A folder of runs, and a server of it per module."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.results.run_folder import write_run
from ptn_backtest.results.states import StateFolder
from tests.results.made_networks import EVENTS, network_run
from tests.results.made_runs import ledger, position
from tests.web.served import Served, serving

SCRIPT = "<script>document.title='owned'</script>"
NASTY_HOTKEY = f'5"{SCRIPT}/../%2e%2e'
NASTY_RUN = "<img src=x onerror=document.title='owned'> & %2e%2e"
NASTY_TEXT = f"{SCRIPT}<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the test positions under two limits, one full of script, one of another version."""
    root = tmp_path_factory.mktemp("web") / "runs"
    for name, rules in (("real", ()), ("looser", ("eliminations.drawdown_limit=25",))):
        config = BacktestConfig(
            use_test_positions=True,
            run_challenge=True,
            run_elimination=True,
            run_scoring=True,
            rules=rules,
            output=root,
        )
        write_run(root / name, run_backtest(config))
    write_run(root / NASTY_RUN, _nasty())
    old = root / "of-before"
    old.mkdir()
    (old / "run.json").write_text(json.dumps({"format_version": 1}))
    (root / "no-run").mkdir()
    (root / "secret.txt").write_text("a secret")
    return root


def _nasty() -> Any:
    made = network_run()
    own = ledger([1.02, 0.98, 1.05, 1.05])
    return network_run(
        source=NASTY_TEXT,
        warnings=[NASTY_TEXT],
        failed_traders={f"5Broken{SCRIPT}": NASTY_TEXT},
        ledgers={**made.ledgers, NASTY_HOTKEY: {"portfolio": own}},
        positions=[*made.positions, position(NASTY_HOTKEY, f"uuid{SCRIPT}")],
        rejections=[
            Rejection(Reason.INVALID_PRICE, NASTY_TEXT, NASTY_TEXT, NASTY_HOTKEY, "", "", 1)
        ],
        events=[*EVENTS, *(_of_nasty(event) for event in EVENTS if event.miner_hotkey == "5Up")],
    )


def _of_nasty(event: Any) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    return replace(event, miner_hotkey=NASTY_HOTKEY, reason=NASTY_TEXT)


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Served]:
    """The pages of `runs`, without a token."""
    with serving(runs) as served:
        yield served


def begin_unfinished(root: Path, name: str, n_legs: int) -> Path:
    """A run that is under way, and has not stored a leg."""
    folder = root / f"unfinished-{name}"
    legs = [(1_735_689_600_000 + leg * 86_400_000,) for leg in range(n_legs)]
    StateFolder.begin(folder, {}, legs)
    return folder


def store_leg(folder: Path, leg: int) -> None:
    """Let a leg appear as done."""
    for part in ("ledgers", "rules"):
        (folder / "states" / f"{leg:04}.{part}").mkdir()

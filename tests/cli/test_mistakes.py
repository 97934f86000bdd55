"""What users do wrong on the command line: each message says what was wrong, where, and what to do."""

import json
import re
import shlex
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from ptn_backtest.cli.main import main
from ptn_backtest.results.run_folder import write_run
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles
from ptn_backtest.sources.database.writing import write_records
from tests.results.made_networks import network_run

FROM = "run --use-database-positions --database-url"
TEST = "run --use-test-positions"

MISTAKES = {
    # the source
    f"{FROM} postgresql://u:secret@127.0.0.1:1/x --candles made": r"u:\*\*\*@.*refused.*Check host",
    f"{FROM} mysql://u:sec@ret@127.0.0.1:1/x --candles made": r"more than one @; write.*%40",
    f"{FROM} oracle://u:secret@h/x --candles made": r"'oracle' are not supported; examples: sqlite",
    f"{FROM} sqlite:///none.db --candles made": r"there is no file none\.db. Check the path",
    f"{FROM} sqlite:///p.db --candles nowhere": r"no candle store at nowhere: make one with",
    "run --use-database-positions --database-mapping m.toml --candles made": (
        r"the mapping m\.toml is for a database, and none is named: set PTN_BACKTEST_DATABASE_URL"
    ),
    f"{FROM} sqlite:///p.db": r"no candles: set candles to the folder",
    f"{FROM} sqlite:///broken.db --candles made --strict": r"leverage: 'lots' is not a number",
    f"{FROM} sqlite:///p.db --candles part": r"EURUSD minute 2025-09-05 14:30 UTC .*bring them",
    "positions check p.txt": r"p\.txt is not a source of positions; accepted are",
    # settings
    "run --config none.toml": r"none\.toml: cannot be read: No such file",
    "run --config bytes.toml": r"bytes\.toml: not a TOML file.*It has lines such as",
    "run --config yes.toml": r"yes\.toml: not a TOML file: .*line 1, column 22.*It has lines such as",
    "run --config slip.toml": r"slip\.toml: .*'use_test_positons'; did you mean use_test_positions",
    f"{TEST} --start-time-ms 2025-09-20 --end-time-ms 2025-09-10": (
        r"2025-09-20 00:00:00 UTC\) is later than .*2025-09-10 .*changed places"
    ),
    f"{TEST} --start-time-ms 2030-01-01": r"nothing to replay: .*set start_time_ms or end_time_ms",
    f"{TEST} --start-time-ms tomorrow": r"'tomorrow' is not a time: give",
    f"{TEST} --rulebook 2023-01": r"no rulebook '2023-01': .* one of 2024-05",
    f"{TEST} --rules eliminations.drawdown_limt=25": r"did you mean drawdown_limit",
    f"{TEST} --parallel-mode THREADS": r"'THREADS' is not a parallel mode: use SERIAL",
    f"{TEST} --run-name ../../outside": r"'\.\./\.\./outside' is no name of a folder: .*say with output",
    f"{TEST} --run-name .hidden": r"'\.hidden' is no name of a folder",
    f"{TEST} --end-time 2025-09-20": r"No such option '--end-time'.*--end-time-ms",
    "runn": r"No such command 'runn'\. Did you mean 'run'",
    "frobnicate": r"No such command 'frobnicate'\. There are run, continue, doctor",
    "candles pul prices": r"No such command 'pul'",
    # run folders
    "explain runs 5TestTraderBr": r"runs is not a run folder: .*such as runs/made",
    "explain old 5TestTraderBr": r"old/run\.json has format version 1; .*Repeat the run",
    "explain no-json 5TestTraderBr": r"no-json/run\.json is not valid JSON: .*Repeat the run",
    "explain no-table 5TestTraderBr": r"\.parquet cannot be read: there is no such file\. Repeat",
    "explain cut 5TestTraderBr": r"checkpoints\.parquet cannot be read: .*[^.]\. Repeat the run",
    "explain runs/made 5Nobody": r"no trader '5Nobody' in runs/made: it has",
    'query runs/made "SELECT * FROM orderz"': r"did you mean orders",
    f"{TEST} --candles made --output p.txt --run-name x": r"p\.txt/.*: Not a directory. Check",
    "export runs/made --csv p.txt/inside": r"p\.txt/inside cannot be made: Not a directory. Name",
    "plot runs/made 5Up --out x.pdf": r"x\.pdf ends in neither \.png nor \.svg: name such a file",
    "compare runs/made runs/none": r"runs/none is not a run folder",
    "continue runs/none --end-time-ms 2025-10-05": r"runs/none is no run folder",
    "serve runs --port 99999": r"99999 is not in the range",
    "serve none": r"none cannot be read: .*Give the folder",
    # candles
    "candles import imported BTCUSDT_1m.csv": r"which trade pair this is: give --pair",
    "candles import imported ETHUSD_1m.csv": r"no column is recognised as the time .* --columns time=foo",
    "candles import imported BTCUSD_1m.csv": r"none of its 1 rows .*\(row 1: yesterday\)",
    "candles import p.txt/inside good/BTCUSD_1m.csv": r"made in p\.txt: Not a directory. Name one",
    "candles import damaged good/BTCUSD_1m.csv": r"damaged/store\.json is damaged .*restore it, or",
    "candles pull-quotes https://x.example/s --for test --provider massive": r"not written: name a local",
    "candles check runs": r"no candle store at runs: make one",
    "candles pull fresh --pairs BTCUSD --from 2025-01-01 --provider massive": (
        r"Massive needs a key: set MASSIVE_API_KEY or"
    ),
    "candles pull made --pairs BTCUSD --from 2025-01-01 --to 2025-01-02 --provider ccxt --dry-run": (
        r"made .*holds synthetic candles: pull into another folder"
    ),
    "candles pull-quotes made --for test --provider massive --dry-run": r"holds synthetic candles",
    "candles pull-quotes fresh --for nowhere --provider massive --dry-run": (
        r"no file or folder nowhere; accepted are"
    ),
    "candles pull fresh --pairs XYZUSD --from 2025-01-01 --provider ccxt": r"XYZUSD",
    # bundles
    "bundle run none": r"none does not exist: give a folder with scenario\.json",
    "bundle export p.txt/b --use-test-positions --candles made --end 2025-09-03": (
        r"p\.txt/b cannot be made: Not a directory. Name a folder"
    ),
}
"""Command and what its message says, in this order."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    bundled_candles(folder / "made")
    write_records(f"sqlite:///{folder / 'p.db'}", BundledPositionSource().read())
    shutil.copy(folder / "p.db", folder / "broken.db")
    with sqlite3.connect(folder / "broken.db") as broken:
        broken.execute("UPDATE orders SET leverage = 'lots' WHERE rowid = 1")
    shutil.copytree(folder / "made", folder / "part")
    shutil.rmtree(folder / "part" / "minute" / "EURUSD")
    made = folder / "runs" / "made"
    write_run(made, network_run())
    for name in ("old", "no-json", "no-table", "cut"):
        shutil.copytree(made, folder / name)
    info = json.loads((made / "run.json").read_text())
    (folder / "old" / "run.json").write_text(json.dumps(info | {"format_version": 1}))
    (folder / "no-json" / "run.json").write_text("{")
    (folder / "no-table" / "checkpoints.parquet").unlink()
    (folder / "cut" / "checkpoints.parquet").write_bytes(
        (made / "checkpoints.parquet").read_bytes()[:-100]
    )
    (folder / "damaged").mkdir()
    (folder / "damaged" / "store.json").write_text("{")
    (folder / "good").mkdir()
    for name, text in {
        "p.txt": "hello",
        "yes.toml": "use_test_positions = yes\n",
        "slip.toml": "use_test_positons = true\n",
        "BTCUSD_1m.csv": "time,close\nyesterday,1\n",
        "BTCUSDT_1m.csv": "time,close\n1735689600000,1\n",
        "ETHUSD_1m.csv": "foo,bar\n1,2\n",
        "good/BTCUSD_1m.csv": "time,close\n1735689600000,94000\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    return folder


@pytest.mark.parametrize("command", MISTAKES)
def test_a_message_helps(
    command: str,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(prepared)
    for name in ("MASSIVE_API_KEY", "POLYGON_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["ptn-backtest", *shlex.split(command)])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == 2, said
    assert re.search(MISTAKES[command], said, re.DOTALL), said
    assert "secret" not in said
    assert "Traceback" not in said
    assert not (prepared / "fresh").exists()


def test_a_cut_hotkey_is_said_to_be_one(
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(prepared)
    words = f"{TEST} --candles made --output {tmp_path} --test-single-hotkey 5TestTraderBr"
    monkeypatch.setattr(sys, "argv", ["ptn-backtest", *shlex.split(words)])
    with pytest.raises(SystemExit):
        main()
    said = " ".join(capsys.readouterr().out.split())
    assert "The source holds no positions for the hotkey 5TestTraderBr. " in said
    assert "(it must be given whole)" in said
    assert f"run folder: {tmp_path}/nothing_" in said
    assert "1970" not in said

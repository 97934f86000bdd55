"""The folder `states` of a run: what is done of it, so that it can be continued.

    plan.json         settings, and all legs with their update times
    0007.ledgers/     what a leg added to each trader's ledgers
    0007.rules/       what the rules made of the leg

A leg's folders appear in one step, first the ledgers, then the rules. So whatever ends a run at any
moment leaves whole legs; what is missing is done again. The format is ours and may change with
`STATES_VERSION`; without this folder a run can be read as before, but not be continued.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from ptn_backtest.backtest.legs import Leg, LegNotes, StoredLedgers, StoredRules
from ptn_backtest.errors import ConfigError
from ptn_backtest.prices.fingerprint import CandleSum
from ptn_backtest.results import rule_tables
from ptn_backtest.results.parquet import read_table, write_table
from ptn_backtest.results.stored_legs import TRADERS, added_of, leaver_rows, ledger_rows, ledgers_of
from ptn_backtest.results.stored_scores import evaluations, read_scores
from ptn_backtest.rules.standing import NetworkState

STATES = "states"
STATES_VERSION = 4

_PLAN = "plan.json"
_NOTES = "notes.json"


class StateFolder:
    """A run's legs on disk; implements `backtest.legs.LegStore`.

    Attributes:
        folder: the folder `states`.
        settings: of the run, as run.json has them.
    """

    def __init__(self, run_folder: Path) -> None:
        """Open the states of a run.

        Raises:
            ConfigError: there are none, or of another version.
        """
        self.folder = run_folder / STATES
        plan = self._read_json(self.folder / _PLAN)
        if plan.get("version") != STATES_VERSION:
            raise ConfigError(
                f"{self.folder} has version {plan.get('version')!r}; this version of ptn-backtest "
                f"continues {STATES_VERSION}: repeat the run"
            )
        self.settings: Mapping[str, Any] = plan["settings"]
        self._legs: list[Leg] = [tuple(leg) for leg in plan["legs"]]

    @classmethod
    def begin(
        cls, run_folder: Path, settings: Mapping[str, Any], legs: Sequence[Leg]
    ) -> "StateFolder":
        """Make the states of a run that has not begun; what was there of another is removed."""
        temporary = run_folder / f".{STATES}.{uuid.uuid4().hex[:8]}"
        temporary.mkdir(parents=True)
        _write_plan(temporary, settings, legs)
        _remove(run_folder / STATES)
        temporary.replace(run_folder / STATES)
        return cls(run_folder)

    def extend(self, legs: Sequence[Leg]) -> None:
        """Plan further legs."""
        self._legs += legs
        _write_plan(self.folder, self.settings, self._legs)

    def legs(self) -> Sequence[Leg]:
        """All legs of the run, done or not."""
        return tuple(self._legs)

    def n_done(self) -> int:
        """How many legs are stored with their rules, from the first on."""
        for leg in range(len(self._legs)):
            if not (self._part(leg, "rules").is_dir() and self._part(leg, "ledgers").is_dir()):
                return leg
        return len(self._legs)

    def gone(self) -> Collection[str]:
        """Traders that left in the legs that are done."""
        n_done = self.n_done()
        return self.standing(n_done - 1).state.eliminations.keys() if n_done else ()

    def digests(self, leg: int) -> Mapping[str, tuple[str, int]]:
        """{hotkey: digest of its orders, and up to when (ms)}; {} where the leg is not stored."""
        table = self._traders(leg, "ledgers", ["miner_hotkey", "orders", "until_ms"])
        columns = [column.to_pylist() for column in table.columns]
        return {hotkey: (digest, ms) for hotkey, digest, ms in zip(*columns, strict=True)}

    def ledgers(self, leg: int) -> StoredLedgers:
        """A leg's ledgers; none where it is not stored."""
        return ledgers_of(self._traders(leg, "ledgers"))

    def notes(self, leg: int) -> LegNotes:
        """What was read up to the end of a stored leg."""
        notes = self._read_json(self._part(leg, "ledgers") / _NOTES)
        return LegNotes(
            candles=None
            if notes["candles"] is None
            else CandleSum.of_text(notes["n_candles"], notes["candles"]),
            warnings=tuple(notes["warnings"]),
            planned_until_ms=notes["planned_until_ms"],
            plagiarism=notes["plagiarism"],
            changes_known=notes["changes_known"],
        )

    def rules(self, leg: int) -> StoredRules:
        """What the rules made of a leg that is done."""
        part = self._part(leg, "rules")
        about = self._read_json(part / "state.json")
        scores, competitions = read_scores(
            read_table(part / "scores.parquet", rule_tables.SCORES), about["evaluations"]
        )
        return StoredRules(
            state=NetworkState.from_dict(about["state"]),
            events=rule_tables.read_events(part),
            scores=scores,
            competitions=competitions,
            leavers=added_of(self._traders(leg, "rules")),
            idle=about["idle"],
        )

    def standing(self, leg: int) -> StoredRules:
        """As `rules`, but only `state` and `idle`: what further legs need."""
        about = self._read_json(self._part(leg, "rules") / "state.json")
        return StoredRules(state=NetworkState.from_dict(about["state"]), idle=about["idle"])

    def keep_ledgers(self, leg: int, ledgers: StoredLedgers, notes: LegNotes) -> None:
        """Store a leg's ledgers; its rules, and those of all later legs, are to be done then."""
        self._forget_rules(leg)
        with self._replacing(leg, "ledgers") as folder:
            _write_traders(folder, ledger_rows(ledgers))
            _write_notes(folder, notes)

    def keep_notes(self, leg: int, notes: LegNotes) -> None:
        """Replace the notes of a stored leg."""
        _write_notes(self._part(leg, "ledgers"), notes)

    def keep_rules(self, leg: int, rules: StoredRules) -> None:
        """Store a leg's rules; now it is done, and the rules of later legs are to be done."""
        self._forget_rules(leg)
        with self._replacing(leg, "rules") as folder:
            described = evaluations(rules.scores, rules.competitions)
            about = {"state": rules.state.to_dict(), "evaluations": described, "idle": rules.idle}
            _write_json(folder / "state.json", about)
            write_table(rule_tables.event_table(rules.events), folder / "events.parquet")
            # buckets are told by the events of the whole run, which a leg need not have
            scores = rule_tables.score_table(rules.scores, rules.competitions, ())
            write_table(scores, folder / "scores.parquet")
            _write_traders(folder, leaver_rows(rules.leavers))

    def _part(self, leg: int, name: str) -> Path:
        return self.folder / f"{leg:04}.{name}"

    def _traders(self, leg: int, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        path = self._part(leg, name) / "traders.arrow"
        if not path.parent.is_dir():
            return TRADERS.empty_table().select(columns or TRADERS.names)
        places = [TRADERS.get_field_index(column) for column in columns or TRADERS.names]
        options = pa.ipc.IpcReadOptions(included_fields=places)

        def read() -> pa.Table:
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source, options=options) as f:
                return f.read_all()

        table: pa.Table = self._readable(path, read)
        return table

    def _read_json(self, path: Path) -> Any:  # noqa: ANN401
        return self._readable(path, lambda: json.loads(path.read_text(encoding="utf-8")))

    def _readable(self, path: Path, read: Callable[[], Any]) -> Any:  # noqa: ANN401
        try:
            return read()
        except (OSError, ValueError, pa.ArrowException) as error:
            whole = path.parent if path.name != _PLAN else None
            raise ConfigError(
                f"{path} cannot be read: {error}. "
                + (
                    f"Remove {whole}: what it holds is computed again"
                    if whole
                    else "Repeat the run"
                )
            ) from None

    def _forget_rules(self, from_leg: int) -> None:
        for leg in reversed(range(from_leg, len(self._legs))):
            _remove(self._part(leg, "rules"))

    @contextmanager
    def _replacing(self, leg: int, name: str) -> Iterator[Path]:
        """A new folder that becomes this part of the leg in one step, once it is on disk."""
        final = self._part(leg, name)
        temporary = self.folder / f".{final.name}.{uuid.uuid4().hex[:8]}"
        temporary.mkdir()
        try:
            yield temporary
            for path in (*temporary.iterdir(), temporary):
                _sync(path)
            _remove(final)
            temporary.replace(final)
            _sync(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def share_states(from_folder: Path, to_folder: Path) -> None:
    """Let a new run folder have the states of another: links where possible, else copies."""
    source = from_folder / STATES
    if source.is_dir():
        shutil.copytree(
            source,
            to_folder / STATES,
            copy_function=_link,
            ignore=shutil.ignore_patterns(".*"),  # left by a crash
        )


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _remove(folder: Path) -> None:
    """Remove a folder so that it is either there whole, or not at all."""
    if folder.exists():
        trash = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
        folder.replace(trash)
        shutil.rmtree(trash, ignore_errors=True)


def _write_plan(folder: Path, settings: Mapping[str, Any], legs: Sequence[Leg]) -> None:
    plan = {"version": STATES_VERSION, "settings": dict(settings), "legs": [list(g) for g in legs]}
    _replace_json(folder / _PLAN, plan)


def _write_notes(folder: Path, notes: LegNotes) -> None:
    candles = notes.candles
    told = {
        "n_candles": None if candles is None else candles.n_candles,
        "candles": None if candles is None else candles.text,
        "warnings": list(notes.warnings),
        "planned_until_ms": notes.planned_until_ms,
        "plagiarism": notes.plagiarism,
        "changes_known": notes.changes_known,
    }
    _replace_json(folder / _NOTES, told)


def _replace_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write a file so that it is there whole, or as it was."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    _write_json(temporary, value)
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")


def _write_traders(folder: Path, table: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    path = str(folder / "traders.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, TRADERS, options=options) as file:
        file.write_table(table)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

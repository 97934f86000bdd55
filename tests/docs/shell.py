"""Runs the documentation's commands: `ptn-backtest` in this process, which is quick, others in bash."""

import contextlib
import glob
import io
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ptn_backtest.cli.main import main

COLUMNS = "100"
"""Width of the terminal whose output the documentation shows."""

MAY_FIND_SOMETHING = re.compile(
    r"ptn-backtest (compare|doctor|rules diff|bundle check|"
    r"positions (audit|check|check-orders)|candles (check|compare))\b"
)
"""Commands that exit with 1 where they find something, which is no failure."""


SERVES = re.compile(r"ptn-backtest serve\b")
"""A command that goes on until it is interrupted."""


@dataclass
class Shell:
    """A folder, an environment, and what stands in for names of servers and traders."""

    folder: Path
    environment: dict[str, str]
    stand_ins: dict[str, str]
    codes: dict[str, int] = field(default_factory=dict)

    def run(self, command: str) -> str:
        """Run one command; what it printed, standard error included.

        Raises:
            AssertionError: it failed; the message has its output.
        """
        text = re.sub(r"\\\n", " ", command)
        for name, value in self.stand_ins.items():
            text = text.replace(name, value)
        first = text.split(maxsplit=1)[0]
        if first == "export":
            self._export(text)
            return ""
        if SERVES.match(text):
            code, output = self._served(text)
        elif first == "ptn-backtest" and "|" not in re.sub(r"\"[^\"]*\"|'[^']*'", "", text):
            code, output = self._ours(text)
        else:
            code, output = self._bash(text)
        allowed = (0, 1) if MAY_FIND_SOMETHING.match(text) else (0,)
        assert code in allowed, f"$ {text}\nexits with {code}:\n{output}"
        return output

    def _export(self, text: str) -> None:
        for word in shlex.split(text, comments=True)[1:]:
            name, _, value = word.partition("=")
            self.environment[name] = value

    def _ours(self, text: str) -> tuple[int, str]:
        words = shlex.split(self._expanded(text), comments=True)
        target = None
        if ">" in words:
            at = words.index(">")
            target = self.folder / words[at + 1]
            words = words[:at] + words[at + 2 :]
        words = [each for word in words for each in self._globbed(word)]
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        code = 0
        # a handler of an earlier command would write to where that one printed
        logging.getLogger("ptn_backtest").handlers.clear()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(stream),
            contextlib.redirect_stderr(stream),
        ):
            patch.chdir(self.folder)
            for name in [name for name in os.environ if name.startswith("PTN_BACKTEST_")]:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", words)
            try:
                main()
            except SystemExit as leave:
                code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        output = raw.getvalue().decode()
        if target is not None:
            target.write_text(output)
            return code, ""
        return code, output

    def _bash(self, text: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder,
            # a user's `make` is not one that the tests were started by
            env={k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
            | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def _served(self, text: str) -> tuple[int, str]:
        """Start a server, open the page that it names, and end it as Ctrl-C does."""
        words = shlex.split(self._expanded(text), comments=True)
        if "--port" not in words:
            words += ["--port", "0"]  # another test may serve on the usual one
        with subprocess.Popen(
            words,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as server:
            assert server.stdout is not None
            try:
                said = server.stdout.readline()
                address = re.search(r"http://\S+", said)
                if address:
                    urllib.request.urlopen(address[0]).close()  # noqa: S310 - our own address
                    server.send_signal(signal.SIGINT)
                code = server.wait(60)
                return code, said + server.stdout.read()
            finally:
                server.kill()

    def _expanded(self, text: str) -> str:
        """With variables, except in single quotes."""
        parts = re.split(r"('[^']*')", text)
        known = self.environment
        return "".join(
            part if part.startswith("'") else re.sub(r"\$(\w+)", lambda m: known[m[1]], part)
            for part in parts
        )

    def _globbed(self, word: str) -> list[str]:
        if not re.search(r"[*?]", word) or " " in word:
            return [word]
        return sorted(glob.glob(word, root_dir=self.folder)) or [word]  # noqa: PTH207


def differs(shown: list[str], printed: str) -> str | None:
    """Where printed output is not what is shown, in which a line `...` stands for any lines, and `...` at
    the end of one for the rest of it.

    Trailing blanks and blank lines do not count.
    """
    there = [line.rstrip() for line in printed.splitlines() if line.strip()]
    expected = [line.rstrip() for line in shown if line.strip()]
    at = 0
    pieces = _pieces(expected)
    for number, piece in enumerate(pieces):
        anchored = number == 0
        last = number == len(pieces) - 1
        starts = range(at, at + 1) if anchored else range(at, len(there) - len(piece) + 1)
        if last and not anchored:
            starts = range(max(at, len(there) - len(piece)), len(there) - len(piece) + 1)
        found = next((i for i in starts if _alike(piece, there[i : i + len(piece)])), None)
        if found is None:
            return "\n".join(["shown:", *expected, "", "printed:", *there])
        at = found + len(piece)
    return None if at == len(there) else "\n".join(["shown:", *expected, "", "printed:", *there])


def _alike(shown: list[str], printed: list[str]) -> bool:
    """Whether lines are those shown; one that ends in `...` shows only its beginning."""
    return len(shown) == len(printed) and all(
        line == there or (line.endswith("...") and there.startswith(line.removesuffix("...")))
        for line, there in zip(shown, printed, strict=True)
    )


def _pieces(lines: list[str]) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for line in lines:
        if line == "...":
            pieces.append([])
        else:
            pieces[-1].append(line)
    return pieces

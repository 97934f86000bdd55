"""Every command of the documentation runs, and prints what is shown."""

import ast
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import pytest

from ptn_backtest.cli.main import cli
from tests.docs.pages import LANGUAGES, PAGES, ROOT, Block, blocks, outside, steps
from tests.docs.sandbox import prepare
from tests.docs.shell import COLUMNS, Shell, differs

BIN = Path(sys.executable).parent

STAND_INS = {
    "mysql://reader:...@db.example/ptn": "sqlite:///production.db",
    "mysql://me@host/taoshi-ts-ptn": "sqlite:///production.db",
    # the Makefile as it is, in this environment in place of one that it makes
    "make backtest": f"make -f {ROOT}/Makefile -o .venv/.installed BIN={BIN} backtest",
}
"""What the documentation says, and what stands in for it here."""

BEFORE = {
    "README.md": ["""echo 'database_mapping = "production.toml"' >> backtest.toml"""],
    "docs/run-folder.md": ["ptn-backtest run --use-test-positions --run-name first"],
}
"""What a page supposes to have been done."""

_COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:ptn-backtest|make|python) ", re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder / "user", folder / "home")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page(
    page: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_do = [block for block in blocks(page.read_text()) if not block.why_not]
    if not any(block.language in ("sh", "console", "python") for block in to_do):
        return
    folder = tmp_path / "user"
    shutil.copytree(prepared / "user", folder)
    # commands that bash runs find ours
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    shell = Shell(folder, {"COLUMNS": COLUMNS}, {**STAND_INS, "~/": f"{prepared / 'home'}/"})
    for command in BEFORE.get(name_of(page), ()):
        shell.run(command)
    for block in to_do:
        where = f"{name_of(page)}:{block.line}"
        if block.file_name:
            (folder / block.file_name).write_text(block.text)
        if block.language in ("sh", "console"):
            run_commands(block, shell, where)
        elif block.language == "python":
            run_python(block, folder, monkeypatch, where)


def run_commands(block: Block, shell: Shell, where: str) -> None:
    for step in steps(block):
        printed = shell.run(step.command)
        # a console block without any output shows commands only
        if step.output:
            different = differs(step.output, printed)
            assert different is None, f"{where}: $ {step.command}\n{different}"


def run_python(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        exec(compile(block.text, where, "exec"), {"__name__": "__docs__"})  # noqa: S102


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_say_what_they_are(page: Path) -> None:
    text = page.read_text()
    for block in blocks(text):
        where = f"{name_of(page)}:{block.line}"
        assert block.language in LANGUAGES, f"{where}: ```{block.language}"
        if block.language == "python":
            ast.parse(block.text)
        if block.language not in ("sh", "console"):
            assert block.why_not or not _COMMAND.search(block.text), f"{where}: commands to run"
    # an indented command would not be run
    indented = re.findall(
        r"^ {4,}(?:\$ )?(?:ptn-backtest|make|pip|python) .*$", outside(text), re.MULTILINE
    )
    assert not indented, f"{name_of(page)}: {indented}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_not_run_names_what_exists(page: Path) -> None:
    for block in blocks(page.read_text()):
        if not block.why_not:
            continue
        for command in re.findall(
            r"ptn-backtest (?:[^\n\\]|\\\n)+", block.text.replace("\\\n", " ")
        ):
            check_words(command, f"{name_of(page)}:{block.line}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_fragments_import_what_exists(page: Path) -> None:
    for block in blocks(page.read_text()):
        if block.language != "python" or block.why_not != "fragment":
            continue
        tree = ast.parse(block.text)
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(tree, f"{name_of(page)}:{block.line}", "exec"), {})  # noqa: S102


def check_words(command: str, where: str) -> None:
    """That the command and all its options exist."""
    words = shlex.split(re.sub(r"[\[\]]", " ", command), comments=True)[1:]
    found: click.Command = cli
    context = click.Context(cli)
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        inner = found.get_command(context, words[0])
        assert inner is not None, f"{where}: no command {words[0]}"
        found, words = inner, words[1:]
    known = {
        option
        for parameter in found.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--") and option != "--help":
            assert option in known, f"{where}: {found.name} has no {option}"


def test_a_difference_is_found() -> None:
    assert differs(["a", "b"], "a\nb  \n") is None
    assert differs(["a", "...", "d"], "a\nb\nc\nd\n") is None
    assert differs(["...", "d"], "a\nd\n") is None
    assert differs(["a", "..."], "a\nb\n") is None
    for shown, printed in (
        (["a"], "b"),
        (["a"], "a\nb"),
        (["a", "...", "d"], "a\nc"),
        (["a", "...", "d"], "a\nd\ne"),
        (["...", "b", "c", "..."], "b\nd\nc"),
        (["a", "b"], "a"),
    ):
        assert differs(shown, printed) is not None, (shown, printed)


def test_a_failing_command_is_a_failure(tmp_path: Path) -> None:
    shell = Shell(tmp_path, {}, {})
    for command in ("ptn-backtest rules show 2031-01", "false", "ptn-backtest nothing"):
        with pytest.raises(AssertionError, match="exits with"):
            shell.run(command)

"""The documentation as blocks: what a reader would copy, and what it is said to print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

LANGUAGES = {"sh", "console", "toml", "python", "csv", "json", "sql", "text", "make"}

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+?) -->\n\n?)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_FILE_NAME = re.compile(r"# (?P<name>[\w./-]+\.(?:toml|csv|py|sql))\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        line: where it begins, for messages.
        language: what stands after the fence.
        text: what is in it.
        why_not: why it is not run; "" where it is.
    """

    line: int
    language: str
    text: str
    why_not: str

    @property
    def file_name(self) -> str | None:
        """The file that it shows, told by a first line such as "# looser.toml"."""
        found = _FILE_NAME.match(self.text)
        return found["name"] if found else None


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for found in _BLOCK.finditer(text):
        indent = found["indent"]
        body = "".join(
            line.removeprefix(indent) for line in found["text"].splitlines(keepends=True)
        )
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(line, found["language"], body, found["why"] or "")


def outside(text: str) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", text)


@dataclass(frozen=True, slots=True)
class Step:
    """A command, perhaps over several lines, and what it is said to print (None: not said)."""

    command: str
    output: list[str] | None


def steps(block: Block) -> Iterator[Step]:
    """The commands of a block: each line of `sh`; each line after a $ of `console`."""
    if block.language == "sh":
        for whole in _whole_commands(block.text.splitlines()):
            yield Step(whole, None)
        return
    command: list[str] = []
    output: list[str] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield Step("\n".join(command), output)
            command, output = [line[2:]], []
        elif command and not output and _is_open("\n".join(command)):
            command.append(line.removeprefix("> "))
        else:
            output.append(line)
    if command:
        yield Step("\n".join(command), output)


def _whole_commands(lines: list[str]) -> Iterator[str]:
    command: list[str] = []
    for line in lines:
        if not command and (not line.strip() or line.lstrip().startswith("#")):
            continue
        command.append(line)
        if not _is_open("\n".join(command)):
            yield "\n".join(command)
            command = []
    if command:
        yield "\n".join(command)


def _is_open(command: str) -> bool:
    """Whether a shell would wait for more: a line ends in a backslash, or a quote is not closed."""
    bare = re.sub(r"'[^']*'", "", re.sub(r'"(?:[^"\\]|\\.)*"', "", command))
    return command.endswith("\\") or '"' in bare or "'" in bare.partition("#")[0]

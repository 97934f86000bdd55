"""Keys of providers: read from the environment or a file, shown nowhere.

A key is wrapped as soon as it is read, and every key that was read is remembered, so that
`hide_keys` can blank it out of any text: a client library's exception, a log line, an error.
"""

import logging
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ptn_backtest.errors import ConfigError

log = logging.getLogger(__name__)

_seen: set[str] = set()
_SHORTEST = 8  # a shorter text is no key of any provider, and would blank out words


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key; its text is in `secret` alone, and in no repr."""

    secret: str = field(repr=False)
    origin: str

    def __post_init__(self) -> None:
        if len(self.secret) < _SHORTEST or not (
            self.secret.isascii() and self.secret.isprintable()
        ):
            raise ConfigError(
                f"what {self.origin} holds is no key: one line of at least 8 characters"
            )
        _seen.update({self.secret, quote(self.secret, safe="")})

    def __str__(self) -> str:
        return "***"


def hide_keys(text: str) -> str:
    """The text with every key that this process has read as `***`."""
    for secret in sorted(_seen, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def read_key(
    title: str, variables: tuple[str, ...], environ: Mapping[str, str], key_file: Path | None
) -> ApiKey:
    """A provider's key: of the file, else of the environment.

    Args:
        title: the provider as people write it.
        variables: names of environment variables that may hold it, in order.
        environ: the environment.
        key_file: a file with a key alone, or with lines `NAME=key` by the names of the variables.

    Raises:
        ConfigError: there is none, or the file cannot be read; the message says where to put it.
    """
    found = _from_file(key_file, variables) if key_file is not None else None
    if found is None:
        found = next(
            (
                ApiKey(environ[name].strip(), f"the variable {name}")
                for name in variables
                if environ.get(name, "").strip()
            ),
            None,
        )
    if found is None:
        names = " or ".join(variables)
        beside = f", and {key_file} has no line for it" if key_file is not None else ""
        raise ConfigError(
            f"{title} needs a key{beside}: set {names} in the environment, or write "
            f"{variables[0]}=... into a file and name it with --key-file"
        )
    return found


def _from_file(path: Path, names: tuple[str, ...]) -> ApiKey | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        open_to_all = path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not text"
        raise ConfigError(f"the key file {path} cannot be read: {reason}") from None
    if open_to_all:
        log.warning("other users can read the key file %s: chmod 600 %s", path, path)
    lines = [line.strip() for line in lines]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) == 1 and "=" not in lines[0].rstrip("="):
        return ApiKey(lines[0], f"the file {path}")
    by_name = {}
    for line in lines:
        name, _, value = line.removeprefix("export ").partition("=")
        by_name[name.strip()] = value.strip().strip("\"'")
    held = next((name for name in names if by_name.get(name)), None)
    return None if held is None else ApiKey(by_name[held], f"{held} in the file {path}")

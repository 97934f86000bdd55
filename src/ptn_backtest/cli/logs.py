"""What `-v` and `-vv` show: the package's log on stderr, without passwords and keys."""

import logging

from ptn_backtest.prices.providers.keys import hide_keys
from ptn_backtest.sources.passwords import hide_passwords

PACKAGE_LOGGER = "ptn_backtest"


class _WithoutPasswords(logging.Formatter):
    """The last gate: whatever was logged, no URL's password and no provider's key leaves."""

    def format(self, record: logging.LogRecord) -> str:
        return hide_keys(hide_passwords(super().format(record)))


def show_logs(verbosity: int) -> None:
    """Show warnings (0), what is done (1), or every detail (2 and more)."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logger = logging.getLogger(PACKAGE_LOGGER)
    logger.setLevel(level)
    if not any(isinstance(h.formatter, _WithoutPasswords) for h in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(_WithoutPasswords("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)

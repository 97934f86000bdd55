"""How often a provider is asked, and how patiently: pace, retries, backoff."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ptn_backtest.errors import ConfigError, ProviderError
from ptn_backtest.prices.providers.contract import TryAgain
from ptn_backtest.prices.providers.conventions import Rate

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_TRIES = 8
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_PATIENCE_S = 3_900.0  # an hourly allocation comes back within this; a daily one is not waited for


@dataclass(frozen=True, slots=True)
class Clock:
    """What the engine knows of time; tests have their own."""

    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Pace:
    """Keeps requests within a rate: a window slides over the times of the latest ones."""

    def __init__(self, rate: Rate | None, clock: Clock) -> None:
        """Nothing was asked yet."""
        self._rate, self._clock = rate, clock
        self._latest: deque[float] = deque(maxlen=rate.requests if rate else 1)

    def wait(self) -> None:
        """Return when the next request may go out, and count it."""
        if self._rate is None:
            return
        if len(self._latest) == self._rate.requests:
            pause = self._latest[0] + self._rate.per_s - self._clock.now_s()
            if pause > 0:
                log.info("waiting %.0f s to keep to %s", pause, self._rate)
                self._clock.sleep(pause)
        self._latest.append(self._clock.now_s())


def patiently(ask: Callable[[], _T], clock: Clock) -> _T:
    """Ask until there is an answer: up to eight times, with growing, random waits between.

    Where the provider says how long to wait, that long is waited, up to an hour.

    Raises:
        ProviderError: the last failure, or one that no waiting mends.
        ConfigError: tenacity is not installed.
    """
    try:
        import tenacity  # noqa: PLC0415 - of the extra
    except ImportError:
        raise ConfigError(
            "pulling candles needs the package 'tenacity': pip install 'ptn-backtest[providers]'"
        ) from None
    backoff = tenacity.wait_exponential_jitter(_FIRST_WAIT_S, _LONGEST_WAIT_S, jitter=_FIRST_WAIT_S)

    def wait_s(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, TryAgain) else None
        return max(backoff(state), asked or 0.0)

    def worth_it(error: BaseException) -> bool:
        return isinstance(error, TryAgain) and (error.wait_s or 0.0) <= _PATIENCE_S

    def say(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s; trying again in %.0f s", error, state.upcoming_sleep)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(worth_it),
        wait=wait_s,
        stop=tenacity.stop_after_attempt(_TRIES),
        sleep=clock.sleep,
        before_sleep=say,
        reraise=True,
    )
    try:
        return retrying(ask)
    except TryAgain as error:
        failure = ProviderError(f"{error}; given up, what is stored is not asked for again")
    raise failure

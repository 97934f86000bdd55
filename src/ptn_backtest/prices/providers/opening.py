"""From a provider's name to the provider, its client library and its key."""

from collections.abc import Mapping
from pathlib import Path

from ptn_backtest.errors import ConfigError
from ptn_backtest.prices.providers.contract import CandleProvider, QuoteProvider
from ptn_backtest.prices.providers.conventions import DEFAULT_EXCHANGE, PROVIDERS, URL_VARIABLES
from ptn_backtest.prices.providers.keys import ApiKey, read_key


def open_providers(
    names: str,
    environ: Mapping[str, str],
    *,
    key_file: Path | None = None,
    exchange: str = DEFAULT_EXCHANGE,
    quote: str = "USD",
    only_plan: bool = False,
) -> list[CandleProvider]:
    """The providers of a list such as "massive,ccxt", in its order.

    `URL_VARIABLES` name another address to ask.

    Args:
        names: names of `PROVIDERS`, separated by commas.
        environ: the environment, with keys.
        key_file: a file with keys; it beats the environment.
        exchange: ccxt's name of the exchange.
        quote: what the exchange's pairs are quoted in.
        only_plan: nothing will be asked, so no key is needed.

    Raises:
        ConfigError: an unknown name, a key that is not there, or the extra is not installed.
    """
    opened: list[CandleProvider] = []
    for name in _known(names):
        about = PROVIDERS[name]
        url = environ.get(URL_VARIABLES[name], "").rstrip("/")
        try:
            if about.key_variables:
                key = (
                    ApiKey("no key is needed", "a plan")
                    if only_plan
                    else read_key(about.title, about.key_variables, environ, key_file)
                )
                opened.append(_with_key(name, key, url or about.url))
            else:
                opened.append(_exchange(exchange, quote, url))
        except ImportError as missing:
            raise ConfigError(
                f"{about.title} needs the package {missing.name!r}: "
                "pip install 'ptn-backtest[providers]'"
            ) from None
    return opened


def open_quote_providers(
    names: str,
    environ: Mapping[str, str],
    *,
    key_file: Path | None = None,
    only_plan: bool = False,
) -> list[QuoteProvider]:
    """The providers of a list that have bid and ask of the past; see `open_providers`.

    Raises:
        ConfigError: as `open_providers`, or one of them has only the quotes of now.
    """
    for name in _known(names):
        if not PROVIDERS[name].quoted:
            able = ", ".join(each for each, about in PROVIDERS.items() if about.quoted)
            raise ConfigError(
                f"{PROVIDERS[name].title} gives bid and ask of now, and none of the past: "
                f"--provider {able} has them, or import candles with the columns bid and ask "
                "('ptn-backtest candles import')"
            )
    opened = open_providers(names, environ, key_file=key_file, only_plan=only_plan)
    return [each for each in opened if isinstance(each, QuoteProvider)]


def _known(names: str) -> list[str]:
    """The names of a list, each once."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in PROVIDERS]
    if unknown or not wanted:
        shown = ", ".join(unknown) or repr(names)
        raise ConfigError(f"{shown} is no provider: there are {', '.join(PROVIDERS)}")
    return list(dict.fromkeys(wanted))


def _with_key(name: str, key: ApiKey, url: str) -> CandleProvider:
    if name == "massive":
        from ptn_backtest.prices.providers.massive import (  # noqa: PLC0415 - an extra, and slow
            MassiveProvider,
        )

        return MassiveProvider(key, url=url)
    from ptn_backtest.prices.providers.tiingo import TiingoProvider  # noqa: PLC0415

    return TiingoProvider(key, url=url)


def _exchange(exchange: str, quote: str, url: str) -> CandleProvider:
    from ptn_backtest.prices.providers.exchange import ExchangeProvider  # noqa: PLC0415

    return ExchangeProvider(exchange, quote=quote, url=url or None)

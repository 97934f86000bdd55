import logging

import pytest

from ptn_backtest.errors import ConfigError
from ptn_backtest.prices.providers.conventions import PROVIDERS, Rate
from ptn_backtest.prices.providers.keys import ApiKey, hide_keys, read_key
from ptn_backtest.prices.providers.opening import open_providers

MASSIVE = PROVIDERS["massive"]


def read(environ, key_file=None):
    return read_key(MASSIVE.title, MASSIVE.key_variables, environ, key_file).secret


def key_file(tmp_path, text):
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_first_variable_that_is_set_counts():
    assert read({"POLYGON_API_KEY": "old-name-key"}) == "old-name-key"
    both = {"POLYGON_API_KEY": "old-name-key", "MASSIVE_API_KEY": " new-name-key\n"}
    assert read(both) == "new-name-key"
    assert read({"MASSIVE_API_KEY": "", "POLYGON_API_KEY": "old-name-key"}) == "old-name-key"


@pytest.mark.parametrize(
    "text",
    [
        "the-only-key\n",
        "MASSIVE_API_KEY=the-only-key\n",
        "# keys\nTIINGO_API_KEY=another-key\n\nexport POLYGON_API_KEY='the-only-key'\n",
    ],
)
def test_a_file_beats_the_environment(tmp_path, text):
    assert read({"MASSIVE_API_KEY": "of-the-environment"}, key_file(tmp_path, text)) == (
        "the-only-key"
    )


def test_a_key_alone_may_end_in_equals_signs(tmp_path):
    assert read({}, key_file(tmp_path, "c2VjcmV0LWtleQ==\n")) == "c2VjcmV0LWtleQ=="


def test_no_key_says_where_to_put_one(tmp_path):
    with pytest.raises(ConfigError, match="MASSIVE_API_KEY or POLYGON_API_KEY") as failure:
        read({})
    assert "--key-file" in str(failure.value)
    other = key_file(tmp_path, "TIINGO_API_KEY=another-key\n")
    with pytest.raises(ConfigError, match="has no line for it"):
        read({}, other)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read({}, tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["short", "two\nlines-of-key", "schlüssel-key"])
def test_what_is_no_key_is_not_shown(text):
    with pytest.raises(ConfigError, match="the variable X holds is no key") as failure:
        ApiKey(text, "the variable X")
    assert text not in str(failure.value)


def test_a_key_is_hidden_wherever_it_stands():
    key = ApiKey("s3cret/with+signs", "a test")
    assert "s3cret" not in f"{key} {key!r} {[key]}"
    url = "https://x.example/?apiKey=s3cret%2Fwith%2Bsigns&b=s3cret/with+signs"
    assert hide_keys(url) == "https://x.example/?apiKey=***&b=***"


def test_a_file_that_all_may_read_is_warned_of(tmp_path, caplog):
    path = key_file(tmp_path, "the-only-key\n")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        read({}, path)
    assert "chmod 600" in caplog.text
    assert "the-only-key" not in caplog.text


def test_unknown_providers_are_named():
    with pytest.raises(ConfigError, match="polygon is no provider: there are massive, tiingo"):
        open_providers("massive,polygon", {"MASSIVE_API_KEY": "some-long-key"})


def test_providers_open_in_order():
    names = [each.name for each in open_providers("ccxt, tiingo", {"TIINGO_API_KEY": "a-long-key"})]
    assert names == ["ccxt:coinbase", "tiingo"]


@pytest.mark.parametrize("name", ["massive", "tiingo", "ccxt"])
def test_without_the_extra_the_command_that_installs_it_is_named(name, monkeypatch):
    import sys  # noqa: PLC0415

    module = {"massive": "massive", "tiingo": "requests", "ccxt": "ccxt"}[name]
    monkeypatch.setitem(sys.modules, module, None)
    ours = {"ccxt": "exchange"}.get(name, name)
    monkeypatch.delitem(sys.modules, f"ptn_backtest.prices.providers.{ours}", raising=False)
    keys = {"MASSIVE_API_KEY": "some-long-key", "TIINGO_API_KEY": "some-long-key"}
    with pytest.raises(ConfigError, match=r"pip install 'ptn-backtest\[providers\]'"):
        open_providers(name, keys)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("5/minute", Rate(5, 60.0)), ("100/second", Rate(100, 1.0)), ("none", None)],
)
def test_rates_as_options_have_them(text, rate):
    assert Rate.parse(text) == rate
    assert rate is None or str(rate) == text


@pytest.mark.parametrize("text", ["5", "0/minute", "5/week", "fast"])
def test_other_rates_are_refused(text):
    with pytest.raises(ConfigError, match="is no rate"):
        Rate.parse(text)

"""Where people get candles: Massive, Tiingo and crypto exchanges, behind one small interface.

`contract` is that interface, `conventions` what each provider calls things, `pulling` the engine,
which knows nothing of HTTP. The client libraries are the extra `providers`; nothing here imports
them before `opening.open_provider`.
"""

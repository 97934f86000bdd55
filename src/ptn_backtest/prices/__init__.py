"""Where candles come from, and how a replay reads them."""

"""Replay bundles: an exact replay as a folder."""

"""Runs in a browser: pages of a folder of runs, served on this machine, read-only."""

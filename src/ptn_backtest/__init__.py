"""Replay the Proprietary Trading Network's positions into exact performance ledgers."""

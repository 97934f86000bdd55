"""Measurements: a network made from a seed, and how long a replay of it takes (`make bench`)."""

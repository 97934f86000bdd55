"""From orders and prices to performance ledgers."""

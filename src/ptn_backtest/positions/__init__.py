"""Orders and positions: validated, split, and the arithmetic on them."""

"""How often a command looks for objects that only keep each other alive."""

import gc


def collect_rarely() -> None:
    """Look for them after a hundred thousand new objects rather than after seven hundred.

    What a run makes stays until its end, or goes when nothing refers to it; looking through all of it
    again and again would be a tenth of the run.
    """
    gc.freeze()  # what is imported stays
    gc.set_threshold(100_000, 20, 20)

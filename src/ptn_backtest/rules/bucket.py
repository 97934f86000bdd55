"""Where a trader stands in the network."""

from enum import StrEnum


class Bucket(StrEnum):
    """A trader is in exactly one of these."""

    CHALLENGE = "CHALLENGE"
    MAINCOMP = "MAINCOMP"
    PROBATION = "PROBATION"
    PLAGIARISM = "PLAGIARISM"

"""Who is trained on and who is not: decided by name, everywhere the same."""

import hashlib
from typing import Literal

Split = Literal["train", "validation", "test"]

TEST_ONLY = ("us_officials", "consented", "aligned")
"""Folders whose people are never trained on, nor tuned on."""


def split_of(source: str, name: str, speaker: str = "") -> Split:
    """The part of the data that a clip belongs to.

    Args:
        source: the folder that it came from, such as `grid_s1`.
        name: its file name without suffix.
        speaker: the person, where a source has many: then whole people are held out.
    """
    if source in TEST_ONLY:
        return "test"
    if speaker and source != "grid_s1":
        return "test" if _part(speaker) == 0 else "train"
    return ("test", "validation", "train", "train", "train")[_part(name)]


def _part(name: str) -> int:
    return int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), 16) % 5

"""Figure 3 of PD-FGC: one factor at a time, so that the eye can judge."""

from pathlib import Path
from typing import Final

import numpy as np

from training.evaluate.likeness import Image
from training.evaluate.pdfgc_films import Cast, Truth, one_followed
from training.evaluate.pdfgc_models import Model
from training.pdfgc.sheet import write_sheet

MOMENTS: Final = 10
"""Columns, over the driver's time."""


def figure_3(path: Path, model: Model, person: tuple[Truth, Cast], driver: tuple[Truth, Cast]) -> None:
    """Write a PNG: the driver; then each factor following them, the rest as in the person's first frame (top) or zero (bottom).

    The left column is the person's first frame; lips follow the driver's sound.
    """
    (shown, cast), (other, acted) = person, driver
    moments = np.linspace(0, len(other) - 1, MOMENTS).round().astype(int).tolist()
    rows = {f"who ({shown.person}), and who is followed ({other.person})": _beside(shown.still, other.pictures[moments])}
    for alone, rest in ((False, "the rest as in the first frame"), (True, "the rest zero")):
        for factor, film in one_followed(model, cast, acted, moments, alone=alone).items():
            rows[f"{factor} of the {'sound' if factor == 'lips' else 'driver'}, {rest}"] = _beside(shown.still, film)
    write_sheet(path, rows)


def _beside(still: Image, film: Image) -> Image:
    return np.concatenate([still[None], film])

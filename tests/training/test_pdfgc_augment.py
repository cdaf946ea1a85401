"""How driving pictures are changed."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.pdfgc import augment

Image = NDArray[np.uint8]


def face() -> Image:
    """A bright square with a dark one in it, off the middle."""
    picture = np.full((64, 64, 3), 70, np.uint8)
    picture[12:50, 14:46] = (200, 150, 120)
    picture[36:44, 20:32] = (60, 20, 20)
    return picture


def dark_part(picture: Image) -> tuple[float, float]:
    """Where the dark square is."""
    grey = cv2.GaussianBlur(picture.astype(np.float32).mean(2), (0, 0), 2)[12:50, 14:46]
    y, x = np.nonzero(grey < np.median(grey) - 0.25 * float(np.ptp(grey)))
    return float(x.mean()), float(y.mean())


@pytest.mark.parametrize("change", [augment.discoloured, augment.disguised, augment.turned, *augment.LOOKS])
def test_changes_are_those_of_the_seed(change: Callable[[Image, np.random.Generator], Image]) -> None:
    one, again, other = (change(face(), np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one.shape == (64, 64, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_what_is_only_discoloured_stays_where_it_is() -> None:
    x, y = dark_part(face())
    found = [dark_part(augment.discoloured(face(), np.random.default_rng(seed))) for seed in range(20)]
    off = np.hypot(*(np.array(found) - [x, y]).T)
    assert np.median(off) < 0.5


def test_what_is_disguised_or_turned_moves() -> None:
    x, y = dark_part(face())
    for change in (augment.disguised, augment.turned):
        found = [dark_part(change(face(), np.random.default_rng(seed))) for seed in range(20)]
        assert np.median(np.hypot(*(np.array(found) - [x, y]).T)) > 0.8

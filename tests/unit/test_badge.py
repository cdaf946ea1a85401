import numpy as np
import pytest

from engine.render.badge import burn


@pytest.mark.parametrize("size", [128, 256, 384, 512, 1024])
def test_badge_is_small_in_the_corner_and_legible_on_any_ground(size: int) -> None:
    for ground in (0, 128, 255):
        picture = np.full((size, size, 3), ground, np.uint8)
        burn(picture)
        changed = np.argwhere((picture != ground).any(axis=2))
        assert changed.min() > 0.8 * size
        assert changed.max() < size
        assert len(changed) < 0.02 * size * size
        corner = picture[int(0.8 * size) :, int(0.8 * size) :]
        assert int(corner.max()) - int(corner.min()) > 100


def test_badge_stays_the_same_when_burnt_into_the_same_picture() -> None:
    first, second = (np.full((256, 256, 3), 90, np.uint8) for _ in range(2))
    burn(first)
    burn(second)
    assert np.array_equal(first, second)

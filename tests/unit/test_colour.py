import numpy as np
import pytest

from engine.render.colour import to_i420


def test_known_colours_in_limited_range() -> None:
    for rgb, yuv in (((255, 255, 255), (235, 128, 128)), ((0, 0, 0), (16, 128, 128)), ((255, 0, 0), (81, 90, 240))):
        out = np.zeros((6, 4), np.uint8)
        to_i420(np.full((4, 4, 3), rgb, np.uint8), out)
        planes = out[:4].mean(), out[4].mean(), out[5].mean()
        assert np.allclose(planes, yuv, atol=1.5)


@pytest.mark.parametrize("shape", [(4, 4), (6, 6), (6, 5)])
def test_a_wrong_buffer_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="I420"):
        to_i420(np.zeros((4, 4, 3), np.uint8), np.zeros(shape, np.uint8))

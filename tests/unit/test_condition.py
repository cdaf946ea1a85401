"""What is wrong with a camera's pictures."""

import cv2
import numpy as np
import pytest

from engine.face.condition import FROZEN_S, PictureCheck
from tests.unit.disc_faces import picture


def test_a_live_picture_is_in_order() -> None:
    check = PictureCheck()
    assert [check.look(picture(seed=i), i / 25) for i in range(30)] == [""] * 30


@pytest.mark.parametrize("width", [64, 640, 1920])
def test_black_is_dark_even_with_noise(width: int) -> None:
    noise = np.random.default_rng(0).integers(0, 25, (width * 3 // 4, width, 3), np.uint8)
    assert PictureCheck().look(noise, 0.0) == "dark"


def test_a_dim_picture_is_not_dark() -> None:
    assert PictureCheck().look(picture((300, 200, 90)) // 4, 0.0) == ""


def test_a_finger_on_the_lens_covers_it() -> None:
    rows, columns = np.mgrid[:480, :640]
    glow = 120 - 60 * np.hypot(rows - 240, columns - 320) / 400
    noise = np.random.default_rng(0).normal(0, 6, (480, 640))
    rgb = np.stack([glow + noise, glow / 2 + noise, glow / 3 + noise], -1).clip(0, 255).astype(np.uint8)
    assert PictureCheck().look(rgb, 0.0) == "covered"


def test_a_soft_picture_is_not_covered() -> None:
    soft = np.asarray(cv2.GaussianBlur(picture((300, 200, 90)), (0, 0), 8), np.uint8)
    assert PictureCheck().look(soft, 0.0) == ""


def test_the_same_picture_for_long_is_frozen_until_there_is_another() -> None:
    check, same = PictureCheck(), picture()
    told = [check.look(same, i / 10) for i in range(12)]
    assert told == ["frozen" if i / 10 > FROZEN_S else "" for i in range(12)]
    assert check.look(picture((300, 200, 90)), 1.3) == ""
    check.reset()
    assert check.look(same, 5.0) == ""


def test_another_size_is_another_picture() -> None:
    check = PictureCheck()
    check.look(picture(), 0.0)
    assert check.look(picture(width=320, height=240), 9.0) == ""

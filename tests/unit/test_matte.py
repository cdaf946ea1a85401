from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.graph import GraphSpec
from engine.face.matte import SIDE, SPEC, Matting, refine
from engine.runtime.ort import OrtGraph

MODELS = Path(__file__).parents[2] / "engine" / "models"


class BrightGraph:
    """Takes what is bright for the person, and knows it only on a grid of 2 px."""

    spec: GraphSpec = SPEC

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        picture = np.asarray(inputs["picture"], np.float32)
        assert picture.shape == (1, 3, SIDE, SIDE)
        assert 0 <= picture.min() <= picture.max() <= 1
        coarse = cv2.resize((picture[0].mean(0) > 0.5).astype(np.float32), (128, 128), interpolation=cv2.INTER_AREA)
        return {"matte": np.asarray(cv2.resize(coarse, (SIDE, SIDE)), np.float32)[None, None]}


def portrait(width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A bright disc on a dark ground, with noise; and where it is."""
    y, x = np.mgrid[:height, :width]
    person = np.hypot(x - width / 2, y - height / 2) < 0.3 * min(width, height)
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    return np.clip(np.where(person[..., None], 200.0, 60.0) + noise, 0, 255).repeat(3, axis=2).astype(np.uint8), person


@pytest.mark.parametrize(("width", "height"), [(512, 512), (640, 480), (300, 700), (256, 256), (90, 120)])
def test_a_matte_is_as_large_as_its_picture_and_lies_on_the_person(width: int, height: int) -> None:
    rgb, person = portrait(width, height)
    matte = Matting(BrightGraph()).matte(rgb)
    assert matte.shape == (height, width)
    assert matte.dtype == np.float32
    assert 0 <= matte.min() <= matte.max() <= 1
    assert np.abs(matte - person).mean() < 0.02


def test_edges_are_sharper_than_the_network_draws_them() -> None:
    rgb, person = portrait(512, 512)
    matte = Matting(BrightGraph()).matte(rgb)
    coarse = BrightGraph().run({"picture": cv2.resize(rgb, (SIDE, SIDE)).transpose(2, 0, 1)[None].astype(np.float32) / 255})
    lifted = cv2.resize(np.asarray(coarse["matte"], np.float32)[0, 0], (512, 512))
    closer = np.abs(matte - person).mean() < np.abs(lifted - person).mean()
    assert closer


def test_an_edge_between_colours_of_the_same_brightness_is_found() -> None:
    y, x = np.mgrid[:512, :512]
    person = np.hypot(x - 256, y - 256) < 150
    rgb = np.where(person[..., None], [200, 97, 120], [80, 158, 120]).astype(np.uint8)
    small = np.asarray(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    coarse = cv2.GaussianBlur(cv2.resize(person.astype(np.float32), (SIDE, SIDE)), (0, 0), 1.5)

    def error(rgb: NDArray[np.uint8], small: NDArray[np.uint8]) -> float:
        return float(np.abs(refine(rgb, small, coarse) - person).mean())

    assert error(rgb, small) < 0.7 * error(np.full_like(rgb, 128), np.full_like(small, 128))


@pytest.mark.parametrize("name", ["amara", "edith", "marco", "mei", "ravi", "samuel"])
def test_the_people_that_ship_are_told_from_their_background(name: str) -> None:
    picture = cv2.imread(str(MODELS / "portraits" / "source" / f"{name}.png"))
    assert picture is not None
    with np.load(MODELS / "portraits" / "source" / f"{name}.npz") as data:
        truth = data["matte"].astype(np.float32) / 255 > 0.5
    matte = Matting(OrtGraph.load(MODELS / "face_matte.onnx")).matte(np.asarray(picture[:, :, ::-1], np.uint8).copy())
    said = matte > 0.5
    assert np.sum(said & truth) / np.sum(said | truth) > 0.93

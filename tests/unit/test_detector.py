from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.graph import GraphSpec
from engine.face.crop import cut, face_square, roll_of, square
from engine.face.detector import HEIGHT, SPEC, STRIDE, UNIT, WIDTH, Detection, Detector
from engine.runtime.ort import OrtGraph

MODELS = Path(__file__).parents[2] / "engine" / "models"
PEOPLE = ("amara", "edith", "marco", "mei", "ravi", "samuel")


class DiscGraph:
    """Sees red discs as faces: the eyes lie on a blue bar through the disc's centre."""

    spec: GraphSpec = SPEC

    def __init__(self) -> None:
        self.runs = 0

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        self.runs += 1
        picture = np.asarray(inputs["picture"], np.float32)
        assert picture.shape == (1, 3, HEIGHT, WIDTH)
        found = {spec.name: np.zeros(spec.shape, np.float32) for spec in SPEC.outputs}
        red = (picture[0, 0] > 0.6).astype(np.uint8)
        count, labels = cv2.connectedComponents(red)
        for i in range(1, count):
            y, x = np.argwhere(labels == i).T + 0.5
            if len(x) < 300:  # as a network: what is too small for it is not seen
                continue
            self._write(found, picture[0], (labels == i), float(x.mean()), float(y.mean()), float(2 * np.sqrt(len(x) / np.pi)))
        return dict(found)

    def _write(
        self,
        found: dict[str, NDArray[np.float32]],
        picture: NDArray[np.float32],
        disc: NDArray[np.bool_],
        x: float,
        y: float,
        side: float,
    ) -> None:
        row, column = int(y / STRIDE), int(x / STRIDE)
        found["heat"][0, 0, row, column] = 0.9
        found["box"][0, :, row, column] = x / STRIDE - column - 0.5, y / STRIDE - row - 0.5, np.log(side / UNIT)
        blue = np.argwhere((picture[2] > 0.6) & disc)
        by, bx = blue.mean(0) - (y, x) if len(blue) else (0.0, side / 4)
        found["eyes"][0, :, row, column] = -bx / side, -by / side, bx / side, by / side


def scene(width: int, height: int, *faces: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """Red discs at (x, y, side, roll), a blue spot where the left eye is."""
    picture = np.full((height, width, 3), 40, np.uint8)
    for x, y, side, roll in faces:
        cv2.circle(picture, (round(x), round(y)), round(side / 2), (230, 30, 30), -1, cv2.LINE_AA)
        eye = (round(x + side / 4 * np.cos(roll)), round(y + side / 4 * np.sin(roll)))
        cv2.circle(picture, eye, round(side / 8), (230, 30, 230), -1, cv2.LINE_AA)
    return picture


def assert_same(face: Detection, truth: tuple[float, float, float, float]) -> None:
    x, y, side, roll = truth
    assert (face.x, face.y) == pytest.approx((x, y), abs=0.04 * side)
    assert face.side == pytest.approx(side, rel=0.08)
    assert face.roll == pytest.approx(roll, abs=0.15)


@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (480, 640), (1280, 720), (256, 192), (300, 900), (100, 80), (2400, 1500)]
)
def test_what_the_network_says_comes_back_in_px_of_the_picture(width: int, height: int) -> None:
    side = min(width, height) / 2.5
    truth = (width * 0.4, height * 0.55, side, 0.5)
    (face,) = Detector(DiscGraph()).detect(scene(width, height, truth))
    assert_same(face, truth)
    assert face.score == pytest.approx(0.9)


def test_several_faces_come_largest_first() -> None:
    truths = [(150.0, 150.0, 80.0, -0.4), (420.0, 300.0, 200.0, 0.0), (560.0, 90.0, 110.0, 0.9)]
    found = Detector(DiscGraph()).detect(scene(640, 480, *truths))
    assert len(found) == 3
    for face, truth in zip(found, sorted(truths, key=lambda truth: -truth[2]), strict=True):
        assert_same(face, truth)


def test_a_camera_frame_costs_one_run() -> None:
    graph = DiscGraph()
    Detector(graph).detect(scene(640, 480))
    assert graph.runs == 1


@pytest.mark.parametrize("where", [(0.1, 0.1), (0.5, 0.5), (0.37, 0.62), (0.96, 0.95)])
@pytest.mark.parametrize("side", [80.0, 160.0, 300.0, 700.0])
def test_small_faces_of_large_pictures_are_found_once(where: tuple[float, float], side: float) -> None:
    width, height = 3000, 2000
    x = float(np.clip(where[0] * width, side / 2, width - side / 2))
    y = float(np.clip(where[1] * height, side / 2, height - side / 2))
    (face,) = Detector(DiscGraph()).detect(scene(width, height, (x, y, side, 0.2)))
    assert_same(face, (x, y, side, 0.2))


def test_how_small_faces_may_be_decides_what_it_costs() -> None:
    runs: list[int] = []
    for smallest in (400.0, 100.0, 40.0):
        graph = DiscGraph()
        Detector(graph).detect(scene(1280, 720), smallest)
        runs.append(graph.runs)
    assert 1 == runs[0] < runs[1] < runs[2]


@pytest.mark.parametrize("smallest", np.linspace(20.0, 120.0, 41).tolist())
def test_the_way_to_the_finest_tiles_ends(smallest: float) -> None:
    graph = DiscGraph()
    Detector(graph).detect(np.zeros((300, 300, 3), np.uint8), smallest)
    assert graph.runs < 200


def test_the_threshold_decides() -> None:
    assert not Detector(DiscGraph(), threshold=0.95).detect(scene(640, 480, (300.0, 200.0, 120.0, 0.0)))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(OrtGraph.load(MODELS / "face_detect.onnx"))


def portrait(name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A built-in person, 512 px, and the landmarks."""
    picture = cv2.imread(str(MODELS / "portraits" / "source" / f"{name}.png"))
    assert picture is not None
    with np.load(MODELS / "portraits" / "source" / f"{name}.npz") as data:
        return np.asarray(picture[:, :, ::-1], np.uint8).copy(), data["landmarks"].astype(np.float32)


@pytest.mark.parametrize("name", PEOPLE)
def test_the_people_that_ship_are_found(detector: Detector, name: str) -> None:
    rgb, landmarks = portrait(name)
    found = detector.detect(rgb)
    assert len(found) == 1
    inverse = np.asarray(cv2.invertAffineTransform(face_square(landmarks, 1.0, 1)))
    side = float(np.hypot(inverse[0, 0], inverse[0, 1]))
    assert (found[0].x, found[0].y) == pytest.approx(inverse @ (0.5, 0.5, 1.0), abs=0.1 * side)
    assert found[0].side == pytest.approx(side, rel=0.15)
    assert found[0].roll == pytest.approx(roll_of(landmarks), abs=0.12)


@pytest.mark.parametrize("side", [80.0, 150.0, 300.0])
@pytest.mark.parametrize("roll_deg", [-60.0, -30.0, 45.0])
def test_tilted_and_small_faces_are_found_in_a_camera_frame(detector: Detector, side: float, roll_deg: float) -> None:
    rgb, landmarks = portrait("marco")
    own = np.asarray(cv2.invertAffineTransform(face_square(landmarks, 1.0, 1)))
    x, y, _ = (*(own @ (0.5, 0.5, 1.0)), 0)
    roll = np.radians(roll_deg)
    scale = side / float(np.hypot(own[0, 0], own[0, 1]))
    upright = square(float(x), float(y), 480 / scale, 480, -roll)
    frame = np.full((480, 640, 3), 70, np.uint8)
    frame[:, 80:560] = cut(rgb, upright, 480)
    (face,) = detector.detect(frame)
    assert (face.x, face.y) == pytest.approx((320, 240), abs=0.12 * side)
    assert face.side == pytest.approx(side, rel=0.25)
    assert face.roll == pytest.approx(roll + roll_of(landmarks), abs=0.2)


def test_nobody_is_seen_where_there_is_nobody(detector: Detector) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:480, :640]
    waves = 128 + 100 * np.sin(x / 17 + np.sin(y / 23))
    noise = rng.integers(0, 256, (480, 640, 3))
    tiles = 200 * ((x // 40 + y // 40) % 2)
    for picture in (waves, noise, tiles, 0 * waves, 0 * waves + 255):
        rgb = np.broadcast_to(picture if picture.ndim == 3 else picture[..., None], (480, 640, 3)).astype(np.uint8)
        assert not detector.detect(rgb)

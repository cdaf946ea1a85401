"""Training of the tracker's regressors: on drawn faces, small and short, to see that all is in place."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from engine.face import eyes as eye_seam  # noqa: E402
from engine.face import landmarks as landmark_seam  # noqa: E402
from engine.face import lips as lip_seam  # noqa: E402
from engine.face.crop import face_square, into  # noqa: E402
from engine.face.details import Details  # noqa: E402
from engine.face.landmarks import Found  # noqa: E402
from training.networks.face_landmarks import FaceLandmarks, FacePart, LandmarkStep  # noqa: E402
from training.tracker import eyes, fitting, judge, landmarks, lips, parts, points  # noqa: E402
from training.tracker.data import CROP, REACH, Shard  # noqa: E402


def drawn(rng: np.random.Generator) -> NDArray[np.float32]:
    """float32[478, 3] px of a crop: an ellipse of points with eyes where eyes are."""
    angle, far = rng.uniform(0, 2 * np.pi, 478), np.sqrt(rng.uniform(0, 1, 478))
    face = np.column_stack([60 * far * np.cos(angle), 80 * far * np.sin(angle), 20 * (1 - far**2)])
    for corner, x in ((33, -45), (133, -18), (362, 18), (263, 45)):
        face[corner] = (x, -20, 5)
    for own, (outer, inner) in zip(eye_seam.EYE_POINTS, ((33, 133), (263, 362)), strict=True):
        turn = np.linspace(0, 2 * np.pi, len(own))[:, None]
        middle, half = (face[outer] + face[inner]) / 2, (face[inner] - face[outer]) / 2
        face[own] = middle - np.cos(turn) * half - np.sin(turn) * [0, 5, 0]
    return (face + np.array([CROP / 2, CROP / 2, 0]) + rng.normal(0, 0.5, 3)).astype(np.float32)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder with 12 faces of four people among the stills."""
    rng, folder = np.random.default_rng(0), tmp_path / "faces" / "stills"
    folder.mkdir(parents=True)
    base = drawn(rng)
    labels = np.stack([base + np.float32(rng.normal(0, 2, 3)) for _ in range(12)])
    np.save(folder / "crops.npy", rng.integers(0, 256, (12, CROP, CROP, 3), np.uint8))
    np.save(folder / "landmarks.npy", labels)
    np.save(folder / "people.npy", np.repeat(["a", "b", "c", "d"], 3))
    np.save(folder / "split.npy", np.repeat(["train", "train", "validation", "test"], 3))
    np.save(folder / "source.npy", np.array([f"photos/{i}#-1" for i in range(12)]))
    np.save(folder / "score.npy", np.ones(12, np.float32))
    return tmp_path / "faces"


def options(faces: Path, out: Path, module: object, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]
    quick = ["--steps", "2", "--batch", "8", "--every", "2", "--threads", "1", "--workers", "0"]
    return parser.parse_args(["--faces", str(faces), "--out", str(out), *quick, *more])


def test_the_linear_model_holds_the_faces_it_began_with(faces: Path) -> None:
    network = FaceLandmarks()
    sources = landmarks.sources_of(faces)
    landmarks.begin_with(network.model, sources)
    label = sources[0].shard.landmarks[0]
    flat = landmarks.level(label).reshape(-1) - network.model.mean.detach().numpy().reshape(-1)
    basis = network.model.basis.detach().numpy().reshape(landmarks.FaceLandmarks().components, -1)
    rest = flat - np.linalg.lstsq(basis.T, flat, rcond=None)[0] @ basis
    assert np.abs(rest).max() < 0.05


def test_a_face_is_placed_by_a_similarity_transform() -> None:
    model = FaceLandmarks().model
    with torch.no_grad():
        model.mean[0] = torch.tensor([10.0, 0, 4])
        place = torch.tensor([[1.0, -1.0, 4 * np.log(2.0), 4 * np.pi / 2]], dtype=torch.float32)
        assert model(place, torch.zeros(1, 96))[0, 0].numpy() == pytest.approx([64 + 16, 64 - 16 + 20, 8], abs=1e-4)


def test_networks_keep_to_their_signatures() -> None:
    networks = [(LandmarkStep(FaceLandmarks()), landmark_seam.SPEC)]
    networks += [(FacePart(spec), spec) for spec in (eye_seam.SPEC, lip_seam.SPEC)]
    for module, spec in networks:
        said = module.eval()(*(torch.from_numpy(value) for value in spec.fake_inputs(0).values()))
        shapes = [tuple(value.shape) for value in (said if isinstance(said, tuple) else (said,))]
        assert shapes == [want.shape for want in spec.outputs]


def test_batches_are_those_of_the_seed_and_the_number(faces: Path) -> None:
    sources, args = landmarks.sources_of(faces), options(faces, faces, landmarks)
    makes = [partial(parts.batch_of, part, sources) for part in (eyes.PART, lips.PART)]
    for make in (partial(landmarks.batch_of, sources, []), *makes):
        one, again, other = (make(args, index) for index in (3, 3, 4))
        assert all(np.array_equal(one[name], again[name]) for name in one)
        assert not np.array_equal(one["crops"], other["crops"])


def test_faceless_crops_are_marked(faces: Path) -> None:
    args = options(faces, faces, landmarks)
    args.batch = 25
    batch = landmarks.batch_of(landmarks.sources_of(faces), [], args, 0)
    assert batch["face"].sum() == 23
    assert (np.abs(batch["landmarks"]).max((1, 2)) > 0).sum() == 23


@pytest.mark.parametrize("module", [landmarks, eyes, lips])
def test_a_run_leaves_weights_and_goes_on_from_them(faces: Path, tmp_path: Path, module: object) -> None:
    network = FaceLandmarks() if module is landmarks else FacePart(module.PART.spec)  # type: ignore[attr-defined]
    assert module.main(options(faces, tmp_path / "one", module)) == 0  # type: ignore[attr-defined]
    fitting.averaged(tmp_path / "one", network, "face")
    assert not network.training
    more = options(faces, tmp_path / "two", module, "--start", str(tmp_path / "one"))
    assert module.main(more) == 0  # type: ignore[attr-defined]


def test_the_loss_is_none_for_what_is_right_and_counts_in_shares_of_the_eyes_distance() -> None:
    face = torch.from_numpy(drawn(np.random.default_rng(1)))[None]
    loss = points.PointLoss()
    assert all(float(part) == pytest.approx(0, abs=1e-6) for part in loss(face, face))
    shifted = face + torch.tensor([9.0, 0, 0])  # a tenth of the distance
    total, flat, depth, relation = (float(part) for part in loss(shifted, face))
    assert flat == pytest.approx(0.1, abs=0.005)
    assert depth == relation == pytest.approx(0, abs=1e-6)
    assert total == pytest.approx(flat)
    assert loss(2 * shifted, 2 * face)[0] == pytest.approx(total, rel=1e-4)


def test_measures_of_faces_that_are_right() -> None:
    rng = np.random.default_rng(2)
    wanted = np.stack([drawn(rng) for _ in range(8)])
    figures = points.measures(wanted, wanted)
    assert figures["error"] == figures["iris"] == 0
    assert figures["gap_r"] == pytest.approx(1)
    assert figures["pose"] == pytest.approx(0, abs=1e-4)
    assert points.measures(wanted + np.array([0.9, 0, 0], np.float32), wanted)["error"] == pytest.approx(1, abs=0.05)


def test_eyes_of_the_first_look_are_a_little_off() -> None:
    rng, label = np.random.default_rng(4), drawn(np.random.default_rng(5))
    corners = [33, 133, 263, 362]
    off = [float(np.linalg.norm((parts.roughly(label, rng) - label)[corners, :2])) for _ in range(50)]
    assert 1 < np.mean(off) < 10
    level = into(label, face_square(label, REACH, CROP))
    assert level[33, 1] == pytest.approx(level[263, 1], abs=1e-3)


def test_held_out_faces_are_of_their_split(faces: Path) -> None:
    shard = Shard.load(faces / "stills")
    held = landmarks.held_out(shard, "stills", most=5)
    assert held.crops.shape == (5, 128, 128, 3)
    network = FaceLandmarks().eval()
    landmarks.begin_with(network.model, landmarks.sources_of(faces))
    figures = landmarks.validate(network, {"stills": held})
    assert {"stills_error", "stills_iris", "stills_missed"} <= set(figures)
    eye = parts.held_out(eyes.PART, shard, "stills", most=5)
    assert eye.crops.shape == (10, 48, 64, 3)
    assert "stills_gap_r" in parts.validate(FacePart(eye_seam.SPEC).eval(), eyes.PART, {"stills": eye})


def test_people_of_the_validation_split_are_learnt_from_when_asked(faces: Path) -> None:
    shard = Shard.load(faces / "stills")
    assert list(landmarks.held_out_of(shard, 0.0)) == [6, 7, 8]
    assert list(landmarks.held_out_of(shard, 1.0)) == []
    assert landmarks.sources_of(faces, known=1.0)[0].rows.people == 3
    assert landmarks.sources_of(faces)[0].rows.people == 2
    assert landmarks.sources_of(faces, ["frames"]) == []


class Told:
    """A network that knows the answer, shifted by so many px of the picture."""

    def __init__(self, label: NDArray[np.float32], off: float) -> None:
        self._found = Found(label + np.array([off, 0, 0], np.float32), 1.0)

    def find(self, rgb: NDArray[np.uint8], matrix: NDArray[np.float64]) -> Found:
        return self._found


def test_the_judge_counts_in_percent_of_the_eyes_distance(faces: Path, tmp_path: Path) -> None:
    shard, rows = Shard.load(faces / "stills"), np.array([9])
    wanted = shard.landmarks[rows]
    off = 0.02 * float(points.across(wanted)[0])
    look = judge.Look(Told(wanted[0], off), Details())  # type: ignore[arg-type]
    views = judge.seen(look, shard, rows)
    assert points.distances(views["refined"], wanted).mean() == pytest.approx(2.0, abs=1e-3)
    assert judge.look_of(views["refined"]) == pytest.approx(judge.look_of(wanted), abs=1e-5)
    assert judge.jitter(look, shard, rows)["px_p95"] == pytest.approx(0, abs=1e-3)
    judge.save_sheet(tmp_path / "sheet.png", shard, rows, views["refined"])
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_a_part_is_what_its_network_sees(faces: Path) -> None:
    shard = Shard.load(faces / "stills")
    for part in (eyes.PART, lips.PART):
        seen = parts.views(part, shard.crops[0], shard.landmarks[0], np.random.default_rng(0))
        assert len(seen) == len(part.points)
        for own, (view, everything) in zip(part.points, seen, strict=True):
            assert view.shape == (part.size[1], part.size[0], 3)
            assert len(own) == part.spec.outputs[0].shape[1]
            assert everything.shape == (478, 3)

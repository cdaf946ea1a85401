"""The facial expression learner: its basis, its windows of sound, its training."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.training.scenes import track  # noqa: E402 torch may be missing
from training import expression  # noqa: E402
from training.__main__ import main  # noqa: E402
from training.data.pca import LandmarkBasis  # noqa: E402
from training.data.splits import split_of  # noqa: E402
from training.evaluate.face import Face  # noqa: E402
from training.evaluate.learner import LearnerDriver  # noqa: E402
from training.networks.expression_learner import CHUNK, COEFFICIENTS, WINDOW, ExpressionLearner  # noqa: E402

RNG = np.random.default_rng(7)


def name_of(split: str) -> str:
    return next(name for name in map(str, range(100)) if split_of("grid_s1", name) == split)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GRID of two sentences."""
    folder = tmp_path_factory.mktemp("tracks")
    for seed, split in enumerate(("train", "validation")):
        made = track(name_of(split), "grid_s1", seed, seconds=2)
        made.landmarks[:] += RNG.normal(0, 1e-3, made.landmarks.shape).astype(np.float32)
        made.save(folder / f"{split}.npz")
    return folder


def arguments(tracks: Path, out: Path, steps: int) -> list[str]:
    words = ["expression-learner", "--tracks", str(tracks), "--out", str(out), "--steps", str(steps), "--batch", "4"]
    return [*words, "--width", "narrow", "--device", "cpu"]


def test_a_basis_repeats_what_it_was_made_from() -> None:
    directions = np.linalg.qr(RNG.standard_normal((30 * 3, 4)))[0].T.reshape(4, 30, 3)
    faces = RNG.standard_normal((30, 3)) + np.einsum("nk,kpx->npx", RNG.standard_normal((50, 4)), directions)
    basis = LandmarkBasis.of(faces, 4)
    assert basis.explained == pytest.approx(1, abs=1e-6)
    again = basis.mean + basis.displacement(basis.project(faces))
    assert again == pytest.approx(faces, abs=1e-4)
    assert list(basis.deviation) == sorted(basis.deviation, reverse=True)
    same = LandmarkBasis.of_arrays(basis.arrays())
    assert np.array_equal(same.components, basis.components)


def test_a_basis_of_too_few_faces_is_refused() -> None:
    with pytest.raises(ValueError, match="need more faces"):
        LandmarkBasis.of(np.zeros((20, 5, 3)), 20)


@pytest.mark.parametrize("width", ["published", "narrow"])
def test_the_learner_takes_seven_chunks_and_twenty_numbers(width: str) -> None:
    learner = ExpressionLearner(width, 0.3)  # type: ignore[arg-type]
    made = learner(torch.randn(2, WINDOW), torch.randn(2, COEFFICIENTS))
    assert made.shape == (2, COEFFICIENTS)
    count = sum(weight.numel() for weight in learner.parameters())
    assert (7_000_000 < count < 9_000_000) if width == "published" else count < 250_000


def test_the_window_is_three_chunks_before_its_own_and_three_after() -> None:
    sound = np.arange(20 * CHUNK, dtype=np.float32)
    frame = 10
    begin = round((frame + 0.5) * CHUNK)
    window = expression.padded(sound)[begin : begin + WINDOW]
    assert window[0] == (frame - 3) * CHUNK
    assert window[-1] == (frame + 4) * CHUNK - 1


def test_training_writes_a_learner_that_drives_and_goes_on_where_it_stopped(tracks: Path, tmp_path: Path) -> None:
    assert main(arguments(tracks, tmp_path / "a", 4)) == 0
    assert main(arguments(tracks, tmp_path / "b", 2)) == 0
    assert main(arguments(tracks, tmp_path / "b", 4)) == 1
    assert main([*arguments(tracks, tmp_path / "b", 4), "--resume"]) == 0
    weights = [torch.load(tmp_path / x / "checkpoint.pt", weights_only=True)["parts"]["learner"] for x in "ab"]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    rows = [json.loads(line) for line in (tmp_path / "a" / "stats.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 4
    assert rows[-1]["validation_lmd"] < 0.1

    made = track(seconds=2)
    driver = LearnerDriver.load(tmp_path / "a" / "learner.pt")
    played = driver.perform((made.sound / 32768).astype(np.float32), made.neutral, Face(made.neutral))
    assert played.lips.shape == (100, 40, 3)
    assert np.isfinite(played.lips).all()
    assert played.gap.min() >= 0


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "learner.pt").write_bytes(b"no learner")
    with pytest.raises(expression.LearnerError, match="is no expression learner"):
        expression.load(tmp_path / "learner.pt")
    with pytest.raises(expression.LearnerError):
        expression.load(tmp_path / "missing.pt")

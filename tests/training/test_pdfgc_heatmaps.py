"""Heatmaps of landmarks: where they lie, in a mirror, and what they are compared with."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.rig.topology import IRIS  # noqa: E402
from training.pdfgc.heatmaps import FEATURES, MARKED, exaggerated, heatmap_error, heatmaps, in_mirror  # noqa: E402


def test_no_landmark_is_taught_twice() -> None:
    assert len(set(MARKED)) == len(MARKED)
    assert max(MARKED) < 478


def test_a_spot_lies_on_its_landmark() -> None:
    marks = torch.tensor([[[0.25, 0.5], [0.875, 0.125]]])
    made = heatmaps(marks, 16)
    assert made.shape == (1, 2, 16, 16)
    x, y = ((made * (torch.arange(16) + 0.5).view(shape)).sum((2, 3)) / made.sum((2, 3)) for shape in ((1, 16), (16, 1)))
    torch.testing.assert_close(torch.stack([x, y], -1)[0, 0], marks[0, 0] * 16, atol=0.05, rtol=0)
    assert float(made.max()) <= 1


def test_nothing_said_is_an_error_of_one_and_the_truth_of_none() -> None:
    marks = torch.rand(2, 478, 2)
    truth = heatmaps(exaggerated(marks)[:, MARKED[:6]], 8)
    assert float(heatmap_error(torch.zeros(2, 8, 8, 8), marks)) == pytest.approx(1)
    free = torch.ones(2, 2, 8, 8)
    assert float(heatmap_error(torch.cat([truth, free], 1), marks)) == pytest.approx(0, abs=1e-6)
    all_of_them = heatmaps(exaggerated(marks)[:, MARKED], 8)
    beyond = torch.ones(2, 60, 8, 8)
    assert float(heatmap_error(torch.cat([all_of_them, beyond], 1), marks)) == pytest.approx(0, abs=1e-6)


def test_what_moves_little_is_shown_to_move_more_whatever_the_place_of_the_face() -> None:
    marks = torch.rand(1, 478, 2, generator=torch.Generator().manual_seed(0))
    looked = marks.clone()
    looked[:, IRIS["Left"], 0] += 0.01
    assert (exaggerated(looked) - exaggerated(marks))[0, IRIS["Left"]].tolist() == pytest.approx([0.04, 0], abs=1e-5)
    torch.testing.assert_close(exaggerated(marks + 0.125), exaggerated(marks) + 0.125)
    points = [point for feature in FEATURES for point in feature.points]
    assert len(set(points)) == len(points)
    assert not {*points} & {point for feature in FEATURES for point in feature.anchor}
    np.testing.assert_allclose(
        exaggerated(torch.from_numpy(in_mirror(marks.numpy()))), in_mirror(exaggerated(marks).numpy()), atol=1e-5
    )


def test_in_a_mirror_the_right_eye_is_the_left_one() -> None:
    marks = np.random.default_rng(0).random((3, 478, 2), np.float32)
    turned = in_mirror(marks)
    assert turned[:, IRIS["Left"], 0] == pytest.approx(1 - marks[:, IRIS["Right"], 0])
    assert turned[:, 33, 1] == pytest.approx(marks[:, 263, 1])
    assert in_mirror(turned) == pytest.approx(marks, abs=1e-6)

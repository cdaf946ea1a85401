"""The latents' agreement with controls."""

import numpy as np
import pytest

from engine.contract.motion import CHANNELS, GROUP_OF, GROUPS, Motion, gaze_controls
from training.pdfgc.codes import EXPRESSION, LIPS, code_matrix, spread


def test_rest_is_zero_and_factors_stay_apart() -> None:
    matrix = code_matrix()
    assert matrix.shape == (542, len(CHANNELS))
    places = {"lips": range(LIPS), "expression": range(LIPS, LIPS + EXPRESSION), "pose": range(536, 542)}
    eyes = {"gaze": (532, 533), "lids": (530, 531, 534, 535)}
    for name, rows in (places | eyes).items():
        others = GROUPS.index(name) != GROUP_OF
        assert not np.abs(matrix[list(rows)][:, others]).any()
        assert np.abs(matrix[list(rows)][:, ~others]).any()


def test_all_of_lips_and_expression_can_be_told() -> None:
    matrix = code_matrix()
    for rows, name in ((matrix[:LIPS], "lips"), (matrix[LIPS : LIPS + EXPRESSION], "expression")):
        own = rows[:, GROUPS.index(name) == GROUP_OF]
        assert np.linalg.cond(own) == pytest.approx(1, abs=1e-3)


def test_cosines_are_orthogonal() -> None:
    basis = spread(7, 30)
    assert basis.T @ basis == pytest.approx(np.eye(7) * 30 / 7, abs=1e-9)


def test_gaze_is_to_the_left_and_up() -> None:
    code = code_matrix() @ Motion.of(0, gaze_controls(10.0, -5.0)).values
    assert code[530:536] == pytest.approx([0, 0, 2, -1, 0, 0], abs=1e-5)

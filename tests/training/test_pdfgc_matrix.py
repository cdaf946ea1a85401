"""The disentanglement matrix, in a toy world whose faces are five stripes of grey, one for each factor."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine.contract.motion import CHANNELS
from training.evaluate.pdfgc_matrix import disentanglement
from training.synthesis.data import MARK, FactorialSet
from training.synthesis.errors import SynthesisError
from training.synthesis.factors import FACTORS, Pools
from training.synthesis.measures import Measured, cross_talk, natural_range, own_over_others
from training.synthesis.plan import Rows, group_rows, random_rows
from training.synthesis.store import assemble, encoded, save_part

SIZE, STRIPE, VALUES = 40, 8, 6


def picture(factors: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat((factors * 40)[:, None, None], STRIPE, 0), SIZE, 1).repeat(3, 2).astype(np.uint8)


def write(folder: Path, rows: Rows, person: str, split: str) -> Path:
    count = len(rows.factors)
    arrays = {
        "factors": rows.factors, "base": rows.base, "varied": rows.varied, "motion": np.zeros((count, 58), np.float32),
        "people": np.full(count, person), "split": np.full(count, split), "landmarks": np.full((count, 478, 2), MARK, np.int16),
    }  # fmt: skip
    path = folder / f"{person}-{count}.npz"
    save_part(path, [encoded(picture(f)) for f in rows.factors], arrays)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FactorialSet:
    folder = tmp_path_factory.mktemp("toy")
    pools, rng = Pools(np.zeros((len(FACTORS), VALUES, len(CHANNELS)), np.float32)), np.random.default_rng(0)
    allowed = np.ones((len(FACTORS), VALUES), np.bool_)
    people = ("a", "b", "c")
    stills = [write(folder, random_rows(allowed, 80, rng), who, "test") for who in people]
    groups = [write(folder, group_rows(pools, allowed, 2, 3, rng), who, "test") for who in people]
    assemble(folder / "stills", stills)
    assemble(folder / "groups", groups)
    pools.save(folder / "pools.npz")
    return FactorialSet.load(folder)


def stripes(pictures: np.ndarray, rest: np.ndarray) -> Measured:
    """The stripes' greys, so small that no eye counts as shut."""
    assert rest.shape == pictures.shape[1:]
    grey = pictures.reshape(len(pictures), len(FACTORS), -1).mean(2) / 1000
    return tuple(grey[:, [f]].astype(np.float32) for f in range(len(FACTORS)))


def perfect(_: np.ndarray, drivers: np.ndarray) -> np.ndarray:
    return np.concatenate([drivers[:, f, f * STRIPE : (f + 1) * STRIPE] for f in range(len(FACTORS))], 1)


def leaking(rest: np.ndarray, drivers: np.ndarray) -> np.ndarray:
    """Half of the brows are the brows of whoever drives the lips."""
    out = perfect(rest, drivers).astype(np.float32)
    out[:, -STRIPE:] = 0.5 * out[:, -STRIPE:] + 0.5 * drivers[:, 0, -STRIPE:]
    return out.astype(np.uint8)


def test_a_perfect_generator_changes_what_is_driven_and_nothing_else(data: FactorialSet, tmp_path: Path) -> None:
    matrix = disentanglement(data, perfect, stripes, size=SIZE)
    assert matrix.people == 3
    assert (own_over_others(matrix.generated) > 20).all()
    np.testing.assert_allclose(matrix.generated, matrix.floor, atol=0.03)
    np.testing.assert_allclose(np.diag(matrix.generated), 1.3, atol=0.4)
    matrix.save(tmp_path)
    assert (tmp_path / "matrix.png").stat().st_size > 1000
    assert "own over others" in (tmp_path / "table.md").read_text()


def test_a_leak_is_seen_where_it_is(data: FactorialSet) -> None:
    matrix = disentanglement(data, leaking, stripes, size=SIZE)
    assert matrix.generated[0, 4] > 0.3
    assert matrix.beyond[0, 4] > 0.3
    assert np.delete(matrix.generated[0], [0, 4]).max() < 0.05
    assert own_over_others(matrix.generated)[0] < 5


def test_a_measures_own_errors_are_not_the_generators(data: FactorialSet) -> None:
    def confused(pictures: np.ndarray, rest: np.ndarray) -> Measured:
        lip, pose, *others = stripes(pictures, rest)
        return lip, (pose + 0.5 * lip).astype(np.float32), *others

    matrix = disentanglement(data, perfect, confused, size=SIZE)
    assert matrix.generated[0, 1] > 0.3
    assert matrix.beyond[0, 1] < 0.05
    nothing_else = np.eye(len(FACTORS), dtype=np.float32)
    assert "| over 100 |\n" in dataclasses.replace(matrix, beyond=nothing_else).table()


def test_without_groups_the_line_says_how_to_make_them(data: FactorialSet) -> None:
    with pytest.raises(SynthesisError, match="--groups"):
        disentanglement(FactorialSet(data.pools, data.stills, None, None), perfect, stripes, size=SIZE)


def test_shut_eyes_look_nowhere() -> None:
    varied = np.repeat(np.arange(len(FACTORS)), 2)
    blinks, gazes = np.tile(np.array([0.0, 1.0], np.float32), 5), np.tile(np.array([3.0, 9.0], np.float32), 5)
    still = np.zeros((10, 1), np.float32)
    before = (still, still, still, np.zeros((10, 2), np.float32), still)
    after = (still, still, gazes[:, None], np.stack([blinks, blinks], 1), still)
    table = cross_talk(before, after, varied, np.ones(5, np.float32))
    np.testing.assert_allclose(table[:, 2], 3)


def test_a_natural_range_is_the_distance_within_people() -> None:
    people = np.repeat(np.array(["a", "b"]), 500)
    values = (np.repeat([0, 100], 500) + np.tile([0, 1], 500)).astype(np.float32)[:, None]
    measured = (values, values, values, np.zeros((1000, 2), np.float32), values)
    np.testing.assert_allclose(natural_range(measured, people)[[0, 1, 2, 4]], 0.5, atol=0.05)

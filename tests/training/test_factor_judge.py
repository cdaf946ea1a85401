"""The judge of factors: what it looks at, what it learns from, and that it learns."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.contract.motion import CHANNELS, Channel  # noqa: E402
from engine.rig.archive import load  # noqa: E402
from training.synthesis import judge  # noqa: E402
from training.synthesis.factors import FACTORS  # noqa: E402
from training.synthesis.judge import Judge, network_of, said_of  # noqa: E402
from training.synthesis.lesson import Lesson, mirrored  # noqa: E402
from training.synthesis.looks import MOUTH, UPPER, Looks, Marks, look  # noqa: E402
from training.synthesis.measures import ABOVE_MOUTH, BLINKS, EXPRESSED, Tracked, natural_range, of_motion  # noqa: E402
from training.synthesis.sitters import Sitter, Stage  # noqa: E402

PORTRAIT = Path(__file__).parents[2] / "engine" / "models" / "portraits" / "mei.mien"


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """At rest, a mouth wide open, a head turned."""
    stage = Stage(Sitter.of(load(PORTRAIT)), 160)
    asked = np.zeros((3, len(CHANNELS)), np.float32)
    asked[1, Channel["jawOpen"]] = 0.7
    asked[2, Channel["yaw"]] = 15
    return np.stack([stage.draw(values)[0] for values in asked])


@pytest.fixture(scope="module")
def marks() -> Marks:
    return Marks.load()


def test_the_upper_cut_does_not_see_the_mouth(pictures: np.ndarray, marks: Marks) -> None:
    looks = look(pictures[:2], marks.find(pictures[0]), marks)
    assert looks.upper.shape == (2, *UPPER, 3)
    assert looks.mouth.shape == (2, *MOUTH, 3)
    changed = [np.abs(part[1].astype(int) - part[0]).mean() for part in (looks.upper, looks.mouth)]
    assert changed[0] < 0.3 * changed[1]


def test_pose_is_the_trackers(pictures: np.ndarray, marks: Marks) -> None:
    pose = look(pictures, marks.find(pictures[0]), marks).pose_deg
    assert pose[2, 0] - pose[0, 0] == pytest.approx(15, abs=4)


def test_the_reader_measures_what_was_drawn(pictures: np.ndarray, marks: Marks) -> None:
    said = Tracked(marks)(pictures, pictures[0])
    assert np.abs(said[FACTORS.index("pose")][2, 0]) == pytest.approx(15, abs=4)
    lips = np.linalg.norm(said[FACTORS.index("lip")], axis=1)
    assert lips[1] > 2 * lips[2]


def test_the_reader_leaves_the_mouth_out_of_expression(
    pictures: np.ndarray, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = np.random.default_rng(0).random((8, len(CHANNELS))).astype(np.float32)
    monkeypatch.setattr(Tracked, "motion", lambda self, pictures, rest: read)
    said = Tracked(marks)(pictures, pictures[0])
    calm = read.copy()
    calm[:, [i for i, name in enumerate(CHANNELS) if name.startswith(("mouth", "jaw"))]] = 0
    np.testing.assert_array_equal(said[-1], calm[:, ABOVE_MOUTH])
    assert not np.array_equal(of_motion(read)[-1], of_motion(calm)[-1])
    assert (natural_range(said, np.array(["a", "b"] * 4)) > 0).all()


def lesson() -> Lesson:
    """Two people whose cuts are as bright as their blink, and red as their lips are open."""
    rng = np.random.default_rng(0)
    motion = np.zeros((40, len(CHANNELS)), np.float32)
    motion[:, BLINKS] = rng.random((40, 1))
    motion[:, Channel["jawOpen"]] = rng.random(40)
    motion[:, EXPRESSED] = rng.random((40, len(EXPRESSED))) * 0.1
    motion[:, Channel["eyeLookUpLeft"]] = rng.random(40)
    upper = np.repeat(motion[:, BLINKS[0], None] * 250, UPPER[0] * UPPER[1] * 3, 1).reshape(40, *UPPER, 3)
    mouth = np.repeat(motion[:, Channel["jawOpen"], None] * 250, MOUTH[0] * MOUTH[1] * 3, 1).reshape(40, *MOUTH, 3)
    looks = Looks(upper.astype(np.uint8), mouth.astype(np.uint8), np.zeros((40, 3), np.float32))
    pairs, varied = np.stack([np.arange(0, 40, 2), np.arange(1, 40, 2)], 1), np.tile(np.arange(5, dtype=np.int8), 4)
    people = [np.arange(20), np.arange(20, 40)]
    rest, reflected = np.repeat([0, 20], 20), of_motion(mirrored(motion))
    return Lesson(np.arange(40), looks, rest, of_motion(motion), reflected, pairs, varied, people)


def test_batches_are_pairs_beside_their_rest_and_always_the_same() -> None:
    batch, again = (lesson().batch(3, seed=1, count=6) for _ in range(2))
    assert batch["upper"].shape == (12, *UPPER, 6)
    assert set(batch) == {"upper", "mouth", *FACTORS}
    for name, values in batch.items():
        np.testing.assert_array_equal(values, again[name])


def test_a_mirror_changes_sides_and_twice_nothing() -> None:
    motion = np.random.default_rng(0).random((3, len(CHANNELS))).astype(np.float32)
    other = mirrored(motion)
    np.testing.assert_array_equal(other[:, Channel["eyeBlinkLeft"]], motion[:, Channel["eyeBlinkRight"]])
    np.testing.assert_array_equal(other[:, Channel["yaw"]], -motion[:, Channel["yaw"]])
    np.testing.assert_array_equal(mirrored(other), motion)


def test_the_judge_learns_to_tell_blinks_from_lips() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network, taught = network_of(), lesson()
    spread = [float(np.sqrt(part.var(0).sum())) + 1e-3 for part in taught.truth]
    adam, losses = torch.optim.Adam(network.parameters(), 2e-3), []
    for i in range(10):
        batch = {name: torch.from_numpy(values) for name, values in taught.batch(i, seed=1, count=6).items()}
        figures = judge._loss(network, batch, spread)
        adam.zero_grad()
        figures["loss"].backward()
        adam.step()
        losses.append(float((figures["blink"] + figures["lip"]).detach()))
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])


def test_what_is_said_has_the_shapes_of_what_is_true(pictures: np.ndarray, marks: Marks) -> None:
    network = network_of()
    said = Judge(network, marks)(pictures, pictures[0])
    assert [part.shape for part in said] == [part.shape for part in of_motion(np.zeros((3, len(CHANNELS)), np.float32))]
    looks = look(pictures, marks.find(pictures[0]), marks)
    for one, other in zip(said, said_of(network, looks.beside(looks.at(np.array([0]))), batch=2), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)

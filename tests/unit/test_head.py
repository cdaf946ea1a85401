from typing import Any

import numpy as np
import pytest

from engine.contract.graph import GraphSpec
from engine.errors import ModelError
from engine.features.mel import mel_of
from engine.motion.head import (
    BOUND,
    MOST_PER_STEP_DEG,
    REFERENCE_STEPS,
    SPEC,
    STYLE_SHAPE,
    STYLE_SPEC,
    HeadMotion,
    calibrated,
    load_style,
    save_style,
    style_from,
)

STYLE = np.full(STYLE_SHAPE, 0.5, np.float32)
LOUD = np.full((2, 40), 0.5, np.float32)
SILENT = np.full((2, 40), -1, np.float32)


class Shaker:
    """A head graph that throws the head about by its noise and its style's size."""

    spec: GraphSpec = SPEC

    def run(self, inputs: Any) -> dict[str, Any]:
        hidden = 0.9 * inputs["hidden"] + 0.1 * inputs["mel"].mean()
        pose = 40 * inputs["noise"][:, :6] * np.abs(inputs["style"]).mean() + hidden[0, :, :6]
        return {"pose": pose.astype(np.float32), "hidden": hidden, "drift": inputs["drift"], "smooth": inputs["smooth"]}


class Follower:
    """A head graph whose pose is its noise times the mean of the style's rows."""

    spec: GraphSpec = SPEC

    def run(self, inputs: Any) -> dict[str, Any]:
        pose = (inputs["noise"][:, :6] * inputs["style"].mean(2)).astype(np.float32)
        return {"pose": pose, **{name: inputs[name] for name in ("hidden", "drift", "smooth")}}


class Encoder:
    """An encoder whose style is the deviation of the reference's axes."""

    spec: GraphSpec = STYLE_SPEC

    def run(self, inputs: Any) -> dict[str, Any]:
        deviation = inputs["pose"][0].std(0)
        return {"style": np.repeat(deviation[None, :, None], STYLE_SHAPE[1], 2).astype(np.float32)}


def moved(head: HeadMotion, steps: int, mel=LOUD, speech: float = 1.0) -> np.ndarray:
    return np.stack([head.step(mel, speech) for _ in range(steps)])


def test_equal_seeds_move_alike_and_others_do_not():
    one, two, other = (moved(HeadMotion(Shaker(), STYLE, seed), 50) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0.1


def test_reset_equals_new():
    head = HeadMotion(Shaker(), STYLE, 1)
    first = moved(head, 40)
    head.reset()
    np.testing.assert_array_equal(moved(head, 40), first)
    assert head.presence > 0.5


def test_never_jumps_and_stays_within_its_bound_whatever_the_network_says():
    head = HeadMotion(Shaker(), 10 * STYLE, 0, gain=2.0)
    track = np.concatenate([moved(head, 300), moved(head, 50, SILENT, 0.0), moved(head, 50)])
    assert np.linalg.norm(np.diff(track[:, :3], axis=0), axis=1).max() <= MOST_PER_STEP_DEG + 1e-5
    assert np.linalg.norm(track[2:, :3] - track[:-2, :3], axis=1).max() <= 2.0  # frames at 25 fps
    assert (np.abs(track) <= np.array(BOUND) + 1e-5).all()


def test_comes_to_rest_in_silence_and_starts_from_it():
    head = HeadMotion(Shaker(), STYLE, 0)
    assert np.abs(head.step(LOUD, 1.0)[:3]).max() < 0.5
    moved(head, 200)
    still = moved(head, 600, SILENT, 0.0)
    assert np.abs(still[-50:]).max() < 0.01
    assert head.presence < 0.01


def test_no_gain_no_movement():
    assert np.abs(moved(HeadMotion(Shaker(), STYLE, 0, gain=0.0), 50)).max() == 0


@pytest.mark.parametrize("style", [STYLE[:5], STYLE.astype(np.float64), np.full_like(STYLE, np.nan)])
def test_a_style_of_another_kind_is_refused(style):
    with pytest.raises(ValueError, match="style"):
        HeadMotion(Shaker(), style)


def test_a_gain_out_of_range_is_refused():
    with pytest.raises(ValueError, match="gain"):
        HeadMotion(Shaker(), STYLE, gain=3.0)


def test_a_style_survives_its_file(tmp_path):
    path = tmp_path / "me.npz"
    save_style(path, STYLE)
    np.testing.assert_array_equal(load_style(path), STYLE)


@pytest.mark.parametrize("content", [None, b"", b"no archive", "other"])
def test_a_file_that_holds_no_style_is_named(tmp_path, content):
    path = tmp_path / "me.npz"
    if content == "other":
        np.savez(path, style=np.zeros((2, 2), np.float32))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"me\.npz"):
        load_style(path)


def test_the_style_of_a_longer_clip_is_the_mean_over_its_parts():
    steps = 3 * REFERENCE_STEPS
    sound = np.random.default_rng(0).normal(0, 0.1, 320 * steps).astype(np.float32)
    pose = np.zeros((steps, 6), np.float32)
    pose[:, 0] = np.repeat([1.0, 2.0, 3.0], REFERENCE_STEPS) * np.sin(np.arange(steps) * 2 * np.pi / 50)
    style = style_from(Encoder(), Follower(), sound, pose)
    assert style.shape == STYLE_SHAPE
    assert style.dtype == np.float32
    np.testing.assert_allclose(style[0], pose[:, 0].std(), rtol=0.1)  # set to the whole clip's
    np.testing.assert_allclose(style[0], style[0, 0])


def test_a_style_is_set_to_the_deviation_of_its_reference():
    mel = np.tile(LOUD, (200, 1))
    style = calibrated(Follower(), STYLE, mel, np.array([0.4, 0.6, 0.5, 0.5, 9.0, 0.5], np.float32))
    np.testing.assert_allclose(style[:4, 0], [0.4, 0.6, 0.5, 0.5], rtol=0.1)
    assert style[4, 0] == 2 * STYLE[4, 0]  # no more than that


def test_a_clip_shorter_than_a_reference_is_refused():
    with pytest.raises(ValueError, match="3 s"):
        style_from(Encoder(), Shaker(), np.zeros(16_000, np.float32), np.zeros((50, 6), np.float32))


def test_two_mel_frames_are_one_step():
    assert len(mel_of(np.zeros(320, np.float32))) == SPEC.inputs[0].shape[1]

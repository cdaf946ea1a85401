"""Motion codes of a stream against those of the whole, and what a part of zeros is."""

import numpy as np
import pytest

from engine.render.pdfgc.latent import FACTORS, LIPS, MOTION, POSE, Gains, Latents, LatentStream, kept, looped, motion_codes


def _clip(count: int = 9) -> Latents:
    rng = np.random.default_rng(0)
    return Latents(*(rng.normal(size=(count, n)).astype(np.float32) for n in (LIPS, 30, 6, POSE)))


def _streamed(clip: Latents, stream: LatentStream) -> np.ndarray:
    lips = np.pad(clip.lips, ((1, 1), (0, 0)))
    return np.stack(
        [stream.next(lips[t : t + 3], clip.expression[t], clip.eyes[t], clip.pose[t]) for t in range(len(clip.pose))]
    )


def test_a_stream_equals_the_whole_but_for_the_pose_which_does_not_wait() -> None:
    clip = _clip()
    codes, whole = _streamed(clip, LatentStream()), motion_codes(clip)
    assert codes[:, :-POSE] == pytest.approx(whole[:, :-POSE], abs=1e-6)
    assert codes[0, -POSE:] == pytest.approx(clip.pose[0])
    assert codes[-1, -POSE:] == pytest.approx(whole[-1, -POSE:], abs=1e-6)  # the last of a clip does not wait either


def test_after_a_reset_a_stream_is_new() -> None:
    stream = LatentStream()
    first = _streamed(_clip(), stream)
    stream.reset()
    assert (_streamed(_clip(), stream) == first).all()


def test_every_number_of_the_code_belongs_to_one_factor() -> None:
    assert sum(1 - kept([factor]) for factor in FACTORS) == pytest.approx(np.ones(MOTION))
    assert not kept(FACTORS).any()


def test_an_unknown_factor_is_named() -> None:
    with pytest.raises(ValueError, match="'nose'; there are lips"):
        kept(["nose"])


def test_gains_are_the_public_codes_unless_others_are_asked_for() -> None:
    clip = _clip(3)
    plain = motion_codes(clip, Gains(1, 1, 1, 1))
    assert motion_codes(clip)[:, :LIPS] == pytest.approx(1.5 * plain[:, :LIPS], abs=1e-5)


def test_a_driving_video_loses_two_pictures_and_begins_again() -> None:
    driver = np.arange(5, dtype=np.float32)[:, None]
    assert looped(driver, 7)[:, 0].tolist() == [2, 3, 4, 2, 3, 4, 2]
    with pytest.raises(ValueError, match="more than 2 pictures"):
        looped(driver[:2], 3)

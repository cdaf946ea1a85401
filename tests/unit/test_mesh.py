import itertools
import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract import Motion
from engine.render.mesh import Canvas, MeshRenderer
from engine.render.scene import scene_of
from engine.rig.avatar import FRAME
from tests.unit.avatars import FACE_BOX, photo, synthetic_avatar

AVATAR = synthetic_avatar()
FACE = np.s_[FACE_BOX[1] : FACE_BOX[3], FACE_BOX[0] : FACE_BOX[2]]
TALKING = {"yaw": 9.0, "pitch": -4.0, "roll": 3.0, "jawOpen": 0.6, "eyeBlinkLeft": 0.4, "eyeLookUpRight": 0.5, "tx": 0.05}


def drawn(renderer: MeshRenderer, **controls: float) -> NDArray[np.uint8]:
    renderer.prepare(Motion.of(7, controls))
    return renderer.finish(None).rgb.copy()


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-3)))


def test_neutral_is_the_photo() -> None:
    difference = np.abs(drawn(MeshRenderer(AVATAR, FRAME)).astype(int) - photo())
    assert difference[FACE].max() <= 1
    assert np.median(difference) == 0


@pytest.mark.parametrize("size", [256, 384, 768])
def test_neutral_is_the_photo_at_other_sizes(size: int) -> None:
    how = cv2.INTER_AREA if size < FRAME else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(photo(), (size, size), interpolation=how), np.uint8)
    assert psnr(drawn(MeshRenderer(AVATAR, size)), resized) > 40


def test_edges_are_as_smooth_as_those_of_a_shrunk_larger_picture() -> None:
    small, large = MeshRenderer(AVATAR, 192), MeshRenderer(AVATAR, 192 * 8)
    controls = {"yaw": 14.0, "pitch": 6.0, "jawOpen": 0.8}
    shrunk = np.asarray(cv2.resize(drawn(large, **controls), (192, 192), interpolation=cv2.INTER_AREA), np.uint8)
    assert psnr(drawn(small, **controls), shrunk) > 31


def test_nothing_jumps() -> None:
    renderer = MeshRenderer(AVATAR, 256)
    for channel, step in (
        ("yaw", 0.1),
        ("pitch", 0.1),
        ("roll", 0.1),
        ("jawOpen", 0.005),
        ("eyeBlinkLeft", 0.005),
        ("tx", 0.001),
    ):
        frames = [drawn(renderer, **{channel: step * i}).astype(float) for i in range(21)]
        changes = [float(np.abs(b - a).mean()) for a, b in itertools.pairwise(frames)]
        assert max(changes) < 0.6, channel
        assert max(changes) < 2.5 * np.median(changes) + 0.02, channel


def test_nothing_shines_through() -> None:
    flat = np.zeros_like(AVATAR.texture)
    flat[..., 3] = AVATAR.texture[..., 3]
    dark = replace(AVATAR, texture=flat, overlays=(), background=np.full_like(AVATAR.background, 255))
    renderer = MeshRenderer(dark, 256)
    rng = np.random.default_rng(0)
    for _ in range(20):
        yaw, pitch, roll = rng.uniform(-12, 12, 3)
        picture = drawn(renderer, yaw=yaw, pitch=pitch, roll=roll, jawOpen=rng.uniform(0, 0.5))
        assert picture[80:180, 85:170].max() == 0


def test_reset_equals_fresh() -> None:
    used = MeshRenderer(AVATAR, 128)
    drawn(used, yaw=-20.0, jawOpen=1.0)
    used.prepare(Motion.of(0, {"yaw": 5.0}))
    used.reset()
    assert np.array_equal(drawn(used, **TALKING), drawn(MeshRenderer(AVATAR, 128), **TALKING))


def test_interleaved_equals_separate() -> None:
    first, second, alone = (MeshRenderer(AVATAR, 128) for _ in range(3))
    for i in range(4):
        here, there = {**TALKING, "yaw": 3.0 * i}, {"roll": -2.0 * i, "eyeBlinkLeft": 0.3 * i}
        first.prepare(Motion.of(0, here))
        second.prepare(Motion.of(0, there))
        a, b = first.finish(None).rgb, second.finish(None).rgb
        assert np.array_equal(a, drawn(alone, **here))
        assert np.array_equal(b, drawn(alone, **there))


def test_frame_carries_the_instant_of_its_motion() -> None:
    renderer = MeshRenderer(AVATAR, 64)
    assert renderer.prepare(Motion.of(1234)) is None
    assert renderer.finish(None).sample == 1234


def test_finish_needs_prepare() -> None:
    with pytest.raises(ValueError, match="prepare"):
        MeshRenderer(AVATAR, 64).finish(None)


def test_no_image_sized_allocation_per_frame() -> None:
    renderer = MeshRenderer(AVATAR, FRAME)
    drawn(renderer, **TALKING)
    motion = Motion.of(0, {"yaw": 4.0})
    tracemalloc.start()
    renderer.prepare(motion)
    renderer.finish(None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000


def test_landmarks_follow_the_picture() -> None:
    renderer = MeshRenderer(AVATAR, 256)
    drawn(renderer)
    rest = renderer.landmarks()
    assert rest.shape == (478, 3)
    np.testing.assert_allclose(rest[:, :2], (AVATAR.landmarks[:, :2] + 0.5) / 2 - 0.5, atol=0.02)
    drawn(renderer, tx=0.1)
    shift = renderer.landmarks() - rest
    np.testing.assert_allclose(shift[:, 0], 0.1 * AVATAR.eye_distance / 2, rtol=0.1)
    drawn(renderer, eyeLookOutLeft=0.5)
    assert renderer.landmarks()[473, 0] > rest[473, 0] + 1
    assert abs(renderer.landmarks()[468, 0] - rest[468, 0]) < 0.01


def test_an_overlay_fades_in_with_its_shape() -> None:
    renderer = MeshRenderer(AVATAR, 256)
    place = np.s_[100:106, 140:160]
    brightness = [float(drawn(renderer, eyeBlinkLeft=w)[place].mean()) for w in (0.0, 0.1, 0.2, 0.3, 0.5)]
    assert all(a < b for a, b in itertools.pairwise(brightness))


def test_what_never_moves_is_not_drawn_again() -> None:
    scene = scene_of(AVATAR, 128)
    assert scene.still.last > 0
    assert scene.still.last == scene.moving.first
    assert scene.moving.last == len(scene.triangles)
    assert scene_of(AVATAR, 128) is scene
    assert Canvas(scene).rgb.shape == (128, 128, 3)

"""The `pdfgc` renderer with stand-ins for its networks: the laws of renderers, and what moves which part of the latent."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract import Graph, GraphRequest, GraphSpec, Motion
from engine.face.align import Aligner, three_points
from engine.face.fields import fields
from engine.features.decimate import BLOCK, Decimator
from engine.features.pdfgc import FIRST_PICTURE, MelStream, pictures_of, windows_of
from engine.media import AudioChunk, VideoFrame
from engine.render.colour import to_i420
from engine.render.pdfgc.driver import STALE, Driver, LiveTrack, Track, encode, parts_of
from engine.render.pdfgc.face import appearance_of
from engine.render.pdfgc.latent import DRIVEN, EXPRESSION, EYES, LIPS, POSE, to_8bit
from engine.render.pdfgc.lips import NEEDS_MS, Lips
from engine.render.pdfgc.networks import CODED, Networks, specs
from engine.render.pdfgc.renderer import PdfgcRenderer
from tests.unit.avatars import synthetic_avatar
from tests.unit.pdfgc_files import SIZES, write

pytest.importorskip("onnx")

FRAME = 1920
AHEAD = round(NEEDS_MS * 48)
SOUND = np.random.default_rng(0).normal(0, 0.1, 40 * FRAME).astype(np.float32)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    return Networks.load(write(tmp_path_factory.mktemp("pdfgc")))


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    return Networks.load(write(tmp_path_factory.mktemp("still"), ("appearance", "audio", "generator")))


def _renderer(networks: Networks, size: int = 64, look_ahead_ms: float = NEEDS_MS, off: tuple[str, ...] = ()) -> PdfgcRenderer:
    return PdfgcRenderer(networks, appearance_of(synthetic_avatar(), networks), size, look_ahead_ms, off)


def _centre(picture: int) -> int:
    return picture * FRAME + FRAME // 2


def _motion(picture: int, **controls: float) -> Motion:
    return Motion.of(_centre(picture), {"yaw": float(picture % 5), **controls})


def _heard(renderer: PdfgcRenderer, until: int, sound: NDArray[np.float32] = SOUND, start: int = 0) -> None:
    renderer.hear(AudioChunk(start, sound[start:until]))


def _asked(renderer: PdfgcRenderer, motion: Motion) -> GraphRequest:
    """What it asks the generator, after what it asks others."""
    request = renderer.prepare(motion)
    while "latent" not in request.inputs:
        further = renderer.finish(request.graph.run(request.inputs))
        assert isinstance(further, GraphRequest)
        request = further
    return request


def _latent(renderer: PdfgcRenderer, motion: Motion) -> NDArray[np.float32]:
    return np.asarray(_asked(renderer, motion).inputs["latent"][0, SIZES.appearance :], np.float32)


def _draw(renderer: PdfgcRenderer, motion: Motion) -> VideoFrame:
    request = _asked(renderer, motion)
    frame = renderer.finish(request.graph.run(request.inputs))
    assert isinstance(frame, VideoFrame)
    return VideoFrame(frame.sample, frame.rgb.copy())


def _around(lips: Lips, sample: int) -> NDArray[np.float32] | None:
    asking = lips.around(sample)
    try:
        request = next(asking)
        while True:
            request = asking.send(request.graph.run(request.inputs))
    except StopIteration as done:
        return done.value


def test_pictures_have_the_size_asked_for_and_say_what_they_depict(networks: Networks) -> None:
    renderer = _renderer(networks, 50)
    frame = _draw(renderer, _motion(3))
    assert frame.rgb.shape == (50, 50, 3)
    assert frame.sample == _centre(3)
    with pytest.raises(ValueError, match="needs prepare"):
        renderer.finish({})


class _Coded:
    """A generator whose pictures are coded."""

    def __init__(self, generator: Graph) -> None:
        self.spec = specs(SIZES)[CODED]
        self._generator = generator

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        rgb = to_8bit(np.asarray(self._generator.run(inputs)["image"], np.float32))[0]
        i420 = np.empty((SIZES.image * 3 // 2, SIZES.image), np.uint8)
        to_i420(rgb, i420)
        return {"i420": i420[None]}


def test_a_coded_picture_is_the_same_but_for_its_coding(networks: Networks, tmp_path: Path) -> None:
    shared = {graph.spec.name: graph for graph in (networks.audio, networks.appearance, _Coded(networks.generator))}
    coded = Networks.of(write(tmp_path), shared)
    pictures = [_draw(_renderer(each), _motion(3, jawOpen=0.5)).rgb for each in (networks, coded)]
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 3


def test_people_look_different(networks: Networks) -> None:
    renderer = _renderer(networks)
    there = _asked(renderer, _motion(0)).inputs
    assert np.abs(there["latent"][0, : SIZES.appearance]).min() > 0
    assert there["map"].shape == (1, SIZES.channels, SIZES.side, SIZES.side)


def test_how_sound_was_cut_cannot_show(networks: Networks) -> None:
    latents = []
    for cuts in ([AHEAD + 12 * FRAME], [700] * 60, [1, 480, 959, 5000] * 5):
        renderer, end = _renderer(networks), 0
        for cut in cuts:
            renderer.hear(AudioChunk(end, SOUND[end : end + cut]))
            end += cut
        latents.append(np.stack([_latent(renderer, _motion(picture)) for picture in range(10)]))
    assert latents[1] == pytest.approx(latents[0], abs=1e-5)
    assert latents[2] == pytest.approx(latents[0], abs=1e-5)


class _Echo:
    """An audio encoder that repeats what it hears."""

    spec = GraphSpec("echo", (), ())

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        return {"lips": inputs["mel"].reshape(1, -1)[:, -LIPS:]}


def test_a_picture_hears_the_window_that_it_has_in_a_whole_clip() -> None:
    decimator, stream, lips = Decimator(), MelStream(), Lips(_Echo(), NEEDS_MS)
    mel = stream.push(np.concatenate([decimator.process(block) for block in SOUND.reshape(-1, BLOCK)]))
    whole = windows_of(mel).reshape(len(pictures_of(len(mel))), -1)[:, -LIPS:]
    lips.hear(AudioChunk(0, SOUND[: _centre(19) + AHEAD]))
    for picture in range(3, 20):
        around = _around(lips, _centre(picture))
        assert around is not None
        assert around == pytest.approx(whole[picture - FIRST_PICTURE - 1 : picture - FIRST_PICTURE + 2], abs=1e-5)
    assert _around(lips, _centre(20)) is None


def test_new_sound_is_asked_about_once_and_before_the_picture(networks: Networks) -> None:
    renderer = _renderer(networks)
    _heard(renderer, 30 * FRAME)
    _draw(renderer, _motion(4))
    asked = renderer.prepare(_motion(5))
    assert asked.graph is networks.audio
    then = renderer.finish(asked.graph.run(asked.inputs))
    assert isinstance(then, GraphRequest)
    assert then.graph is networks.generator


def test_a_picture_that_was_given_up_does_not_show(networks: Networks) -> None:
    plain, hasty = _renderer(networks), _renderer(networks)
    for renderer in (plain, hasty):
        _heard(renderer, 30 * FRAME)
        _draw(renderer, _motion(4))
    hasty.prepare(_motion(5))
    assert (_draw(hasty, _motion(6)).rgb == _draw(plain, _motion(6)).rgb).all()


def test_lips_hear_as_far_ahead_as_declared_and_no_further(networks: Networks) -> None:
    lips = []
    for changed in (0, 480, 4800):
        sound = SOUND.copy()
        sound[_centre(9) + AHEAD + 480 - changed :] = 0.3
        renderer = _renderer(networks)
        _heard(renderer, 30 * FRAME, sound)
        lips.append([_latent(renderer, _motion(picture))[:LIPS] for picture in range(10)][-1])
    assert (lips[0] == lips[1]).all()
    assert (lips[0] != lips[2]).any()


def test_with_less_look_ahead_the_lips_are_the_same_but_late(networks: Networks) -> None:
    ample, short = Lips(networks.audio, 160), Lips(networks.audio, NEEDS_MS - 40)
    assert (ample.late_ms, short.late_ms) == (0, 40)
    for lips in (ample, short):
        lips.hear(AudioChunk(0, SOUND))
    early, late = _around(ample, _centre(9)), _around(short, _centre(10))
    assert early is not None
    assert late is not None
    assert (early[1] == late[1]).all()


def test_reset_equals_fresh(networks: Networks) -> None:
    fresh, used = _renderer(networks), _renderer(networks)
    _heard(used, 30 * FRAME)
    for picture in range(4):
        _draw(used, _motion(picture, jawOpen=1.0))
    used.reset()
    for renderer in (fresh, used):
        renderer.hear(AudioChunk(5 * FRAME, SOUND[: 20 * FRAME]))
    for picture in range(5, 9):
        assert (_draw(fresh, _motion(picture)).rgb == _draw(used, _motion(picture)).rgb).all()


def test_two_interleaved_faces_equal_two_separate_ones(networks: Networks) -> None:
    a, b, alone_a, alone_b = (_renderer(networks) for _ in range(4))
    _heard(a, 30 * FRAME)
    _heard(alone_a, 30 * FRAME)
    together = [(_latent(a, _motion(k)), _latent(b, _motion(k, pitch=9.0))) for k in range(5)]
    separate = [[_latent(alone_a, _motion(k)) for k in range(5)], [_latent(alone_b, _motion(k, pitch=9.0)) for k in range(5)]]
    assert (np.array(together).swapaxes(0, 1) == np.array(separate)).all()


def test_sound_moves_the_lips_and_nothing_else(networks: Networks) -> None:
    deaf, hearing = _renderer(networks), _renderer(networks)
    _heard(hearing, 30 * FRAME)
    differ = _latent(deaf, _motion(2)) != _latent(hearing, _motion(2))
    assert differ[:LIPS].all()
    assert not differ[LIPS:].any()


def test_a_mouths_gain_is_that_of_the_lips(networks: Networks) -> None:
    plain, wide = _renderer(networks), _renderer(networks)
    for renderer, gain in ((plain, 1.0), (wide, 2.0)):
        renderer.hear(AudioChunk(0, SOUND[: 20 * FRAME]), gain)
    codes = [_latent(renderer, _motion(2)) for renderer in (plain, wide)]
    assert codes[1][:LIPS] == pytest.approx(2 * codes[0][:LIPS], rel=1e-5)
    assert (codes[1][LIPS:] == codes[0][LIPS:]).all()


def test_controls_move_the_lips_only_where_nothing_is_heard(networks: Networks) -> None:
    for heard in (False, True):
        open_, shut = _renderer(networks), _renderer(networks)
        for renderer in (open_, shut) if heard else ():
            _heard(renderer, 30 * FRAME)
        differ = _latent(open_, _motion(2, jawOpen=1.0)) != _latent(shut, _motion(2))
        assert differ[:LIPS].any() != heard
        assert differ[LIPS:].any()  # the stand-in of the bridge moves everything by everything


def test_lips_are_handed_over_by_easing_when_the_sound_ends(networks: Networks) -> None:
    renderer, controls = _renderer(networks), _renderer(networks)
    _heard(renderer, 10 * FRAME)
    still = Motion.of(0)
    goal = _latent(controls, still)[:LIPS]
    codes = [_latent(renderer, Motion.of(_centre(picture)))[:LIPS] for picture in range(14)]
    away = [float(np.abs(code - goal).max()) for code in codes]
    assert away[5] > 0.1
    assert away[-1] < 1e-6
    assert max(away[k] - away[k + 1] for k in range(6, 13)) < 0.5 * away[6]


def test_a_driving_face_moves_its_part_until_its_clip_ends(networks: Networks) -> None:
    there = np.full(POSE, 3.0, np.float32)
    track = Track(np.array([0.0, 4.0 * FRAME]), np.stack([there, -there]), 6 * FRAME)
    driven = PdfgcRenderer(networks, appearance_of(synthetic_avatar(), networks), 64, driven={"pose": track})
    plain = _renderer(networks)
    codes, plainly = ([_latent(renderer, _motion(picture)) for picture in range(14)] for renderer in (driven, plain))
    assert codes[0][-POSE:] == pytest.approx((1 - 2 / 8) * there)
    assert codes[4][-POSE:] == pytest.approx(-(1 + 0.75) / 2 * there)
    assert (codes[9][-POSE:] != plainly[9][-POSE:]).all()  # handed over by easing
    assert (codes[13] == plainly[13]).all()
    assert all((code[:-POSE] == same[:-POSE]).all() for code, same in zip(codes, plainly, strict=True))


def test_a_driver_sees_the_framed_face(networks: Networks) -> None:
    assert networks.motion is not None
    landmarks = 100 * fields().face + (256, 256, 0)  # framed by a square of 256 px about it
    rng = np.random.default_rng(0)
    outside, inside = rng.integers(0, 255, (2, 512, 512, 3), np.uint8)
    outside[80:480, 60:460] = inside[80:480, 60:460] = 90
    said = [Driver(networks.motion, three_points(landmarks)).see(picture, landmarks) for picture in (outside, inside)]
    assert {part: value.shape for part, value in said[0].items()} == {"pose": (6,), "eyes": (6,), "expression": (30,)}
    assert all((said[0][part] == said[1][part]).all() for part in said[0])


def test_what_an_encoder_says_comes_in_parts(networks: Networks) -> None:
    assert networks.motion is not None
    picture, landmarks = np.full((64, 64, 3), 200, np.uint8), 20 * fields().face + (32, 32, 0)
    latents = encode(networks.motion, picture, Aligner(three_points(landmarks), SIZES.seen).next(landmarks))
    assert latents.shape == (DRIVEN,)
    said = Driver(networks.motion, three_points(landmarks)).see(picture, landmarks)
    assert all((parts_of(latents)[part] == said[part]).all() for part in said)


SEEN = np.linspace(1, 2, DRIVEN, dtype=np.float32)
ALL = {"expression": 1.0, "gaze": 1.0, "lids": 1.0, "pose": 1.0}


def test_a_camera_moves_what_shows_of_it(silent: Networks) -> None:
    renderer = _renderer(silent)
    renderer.see(SEEN, {"expression": 0.0, "gaze": 0.25, "lids": 0.5, "pose": 1.0})
    code = [_latent(renderer, _motion(picture)) for picture in range(6)][-1]
    assert not code[: LIPS + EXPRESSION].any()
    gains = silent.gains
    shares = np.array([0.5, 0.5, 0.25, 0.25, 0.5, 0.5])
    assert code[LIPS + EXPRESSION : -POSE] == pytest.approx(shares * gains.eyes * SEEN[EXPRESSION:-POSE])
    assert code[-POSE:] == pytest.approx(gains.pose * SEEN[-POSE:])


def test_beneath_a_camera_is_what_controls_ask(networks: Networks) -> None:
    half, plain = _renderer(networks), _renderer(networks)
    half.see(SEEN, dict.fromkeys(ALL, 0.5))
    motion = Motion.of(0, {"yaw": 8.0, "browInnerUp": 0.7})
    codes = [[_latent(renderer, motion) for _ in range(6)][-1] for renderer in (half, plain)]
    gains = np.repeat([networks.gains.expression, networks.gains.eyes, networks.gains.pose], (EXPRESSION, EYES, POSE))
    assert codes[0][LIPS:] == pytest.approx((codes[1][LIPS:] + gains * SEEN) / 2, rel=1e-5)
    assert (codes[0][:LIPS] == codes[1][:LIPS]).all()


def test_a_camera_that_is_seen_no_more_is_left_by_easing(silent: Networks) -> None:
    renderer = _renderer(silent)
    renderer.see(SEEN, ALL)
    for picture in range(3):
        _latent(renderer, _motion(picture))
    renderer.see(None, {})
    left = [float(np.abs(_latent(renderer, _motion(picture))).max()) for picture in range(3, 9)]
    assert left[-1] == 0
    assert np.diff([2 * 1.2, *left]).min() > -0.6 * 2 * 1.2
    renderer.see(SEEN, ALL)
    renderer.reset()
    assert not _latent(renderer, _motion(9)).any()


def _most(track: LiveTrack, sample: int) -> float:
    latents = track.at(sample)
    assert latents is not None
    return float(latents.max())


def test_a_live_picture_is_caught_up_with_before_the_next_one() -> None:
    track, period = LiveTrack(), 4800
    assert track.at(0) is None
    track.push(np.zeros(DRIVEN, np.float32), 0)
    assert _most(track, 0) == 0
    for index in range(1, 12):
        track.push(np.full(DRIVEN, index % 2, np.float32), index * period)
        shown = [_most(track, index * period + part * period // 4) for part in range(1, 5)]
        assert abs(shown[-1] - index % 2) < 0.1
        assert np.abs(np.diff(shown)).max() < 0.6
    track.push(np.full(DRIVEN, 5, np.float32), 5 * period)  # older
    track.push(np.full(DRIVEN, np.nan, np.float32), 20 * period)
    assert _most(track, 14 * period) < 1.1
    assert track.at(11 * period + STALE + 1) is None


def test_a_factor_turned_off_is_canonical(networks: Networks) -> None:
    renderer = _renderer(networks, off=("expression", "lips"))
    _heard(renderer, 20 * FRAME)
    code = _latent(renderer, _motion(3, browInnerUp=1.0))
    assert not code[: LIPS + EXPRESSION].any()
    assert code[LIPS + EXPRESSION : LIPS + EXPRESSION + EYES].all()


def test_without_a_bridge_only_sound_moves_the_face(silent: Networks) -> None:
    renderer = _renderer(silent)
    assert not _latent(renderer, _motion(3)).any()
    _heard(renderer, 20 * FRAME)
    code = [_latent(renderer, _motion(picture)) for picture in range(4, 10)][-1]
    assert code[:LIPS].any()
    assert not code[LIPS:].any()

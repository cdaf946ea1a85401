import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract import GraphRequest, GraphSpec
from engine.media import AudioChunk, Emission, VideoFrame
from engine.session import Session
from engine.timeline import MOTION_STEP, Timeline
from tests.unit.fakes import DirectMixer, GreyRenderer, LoudnessVoice


def make(fps: int = 25, look_ahead: int = 2 * MOTION_STEP, room_ms: float = 400) -> Session:
    voice = LoudnessVoice(look_ahead)
    return Session(Timeline(fps=fps), GreyRenderer(), DirectMixer(voice), voice, room_ms)


def listening() -> tuple[Session, "_Listening"]:
    voice, renderer = LoudnessVoice(), _Listening()
    return Session(Timeline(), renderer, DirectMixer(voice), voice), renderer


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)


def grey(emission: Emission) -> int:
    return int(emission.video.rgb[0, 0, 0])


def play(session: Session, sound: np.ndarray, cuts: list[int]) -> list[tuple[int, bytes, int]]:
    """Push `sound` in pieces of the given lengths, ticking whenever the session is ready."""
    out: list[tuple[int, bytes, int]] = []
    rest = sound
    while len(rest):
        cut = cuts[len(out) % len(cuts)]
        piece = rest[:cut]
        rest = rest[session.push(piece) :]
        while session.ready:
            emission = session.tick()
            out.append((emission.index, emission.audio.samples.tobytes(), grey(emission)))
    return out


@pytest.mark.parametrize("fps", [25, 30, 50, 60])
def test_sound_leaves_as_it_came_in_whole_frames(fps: int) -> None:
    session, sound = make(fps), noise(48_000)
    emissions = play(session, sound, [960])
    heard = b"".join(audio for _, audio, _ in emissions)
    assert heard == sound.tobytes()[: len(heard)]
    assert [index for index, _, _ in emissions] == list(range(len(emissions)))
    assert len(heard) // 4 >= len(sound) - session.lead - session.timeline.samples_per_frame


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=20))
def test_emissions_do_not_depend_on_how_sound_was_cut(cuts: list[int]) -> None:
    sound = noise(24_000)
    assert play(make(), sound, cuts) == play(make(), sound, [960])


def test_consecutive_chunks_touch() -> None:
    session = make()
    first, second = session.tick(), session.tick()
    assert first.audio.end == second.audio.start
    assert not second.audio.samples.flags.writeable


def test_the_clock_does_not_wait_for_missing_sound() -> None:
    session = make()
    session.push(noise(1000))
    emission = session.tick()
    assert emission.index == 0
    assert len(emission.audio.samples) == 1920
    assert emission.missing == 1920 + session.lead - 1000
    following = session.tick()
    assert (following.index, following.missing) == (1, 1920)


def test_a_late_tick_repeats_the_picture_while_the_sound_moves_on() -> None:
    session = make()
    sound = noise(9600)
    session.push(sound)
    first = session.tick()
    picture = first.video.rgb.copy()
    late = session.tick(late=True)
    assert not late.fresh
    assert np.array_equal(late.video.rgb, picture)
    assert np.array_equal(late.audio.samples, sound[1920:3840])
    assert session.tick().fresh


def test_the_first_picture_is_drawn_even_when_late() -> None:
    assert make().tick(late=True).fresh


def test_room_is_bounded_and_nothing_is_dropped() -> None:
    session, sound = make(room_ms=100), noise(48_000)
    taken = session.push(sound)
    assert taken < len(sound)
    assert session.held_ms <= 100 + 40 + session.timeline.milliseconds(session.lead)
    session.tick()
    assert session.push(sound[taken:]) == 1920


def test_interrupt_clears_sound_and_motion_at_once() -> None:
    session = make()
    session.push(np.ones(9600, np.float32))
    assert grey(session.tick()) > 0
    session.interrupt()
    emission = session.tick()
    assert not emission.audio.samples.any()
    assert grey(emission) == 0
    assert emission.index == 1


def test_after_an_interrupt_new_sound_is_heard_from_its_beginning() -> None:
    session, sound = make(), noise(9600)
    session.push(noise(9600, seed=1))
    session.tick()
    session.interrupt()
    session.push(sound)
    assert np.array_equal(session.tick().audio.samples, sound[:1920])


def test_end_of_utterance_lets_all_sound_out() -> None:
    session, sound = make(), noise(5000)
    session.push(sound)
    heard = np.concatenate([session.tick().audio.samples for _ in range(session.end_utterance())])
    assert np.array_equal(heard[:5000], sound)
    assert not heard[5000:].any()
    assert len(heard) == 3 * 1920


def test_end_of_an_empty_utterance_is_nothing() -> None:
    assert make().end_utterance() == 0


class _UpsideDown:
    spec = GraphSpec("upside-down", (), ())

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        return {"jaw": np.float32(1) - np.asarray(inputs["jaw"], np.float32)}


class _Listening(GreyRenderer):
    """Keeps what it hears, and asks twice for a graph that turns the jaw upside down, the second time for half of it."""

    def __init__(self) -> None:
        super().__init__(graph=_UpsideDown())
        self.heard: list[AudioChunk] = []
        self.half = False

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        self.heard.append(sound)

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame | GraphRequest:
        self.half = not self.half
        if self.half:
            assert outputs is not None
            return GraphRequest(_UpsideDown(), {"jaw": np.asarray(outputs["jaw"], np.float32) / 2})
        return super().finish(outputs)

    def reset(self) -> None:
        super().reset()
        self.half = False


def answered(session: Session, request: GraphRequest | None) -> None:
    while request is not None:
        request = session.answer(request.graph.run(request.inputs))


def test_a_tick_runs_the_graphs_that_the_renderer_asks_for() -> None:
    session, _ = listening()
    assert grey(session.tick()) == 128  # 1 - (1 - 0) / 2


def test_a_tick_in_steps_equals_one_at_once() -> None:
    (stepped, _), (whole, _) = listening(), listening()
    for each in (stepped, whole):
        each.push(noise(19_200))
    for _ in range(5):
        request = stepped.prepare()
        assert stepped.drawing
        answered(stepped, request)
        emission, same = stepped.finish(), whole.tick()
        assert (emission.index, emission.fresh, grey(emission)) == (same.index, same.fresh, grey(same))
        assert emission.audio.samples.tobytes() == same.audio.samples.tobytes()


def test_a_picture_that_is_not_there_in_time_belongs_to_the_next_tick() -> None:
    session, _ = listening()
    session.push(np.full(9600, 0.4, np.float32))
    session.tick()
    asked = session.prepare()
    assert asked is not None
    repeated = session.finish()
    assert not repeated.fresh
    assert session.prepare() is None  # that picture is still under way
    answered(session, asked)
    following = session.finish()
    assert following.fresh
    assert (repeated.index, following.index) == (1, 2)
    assert repeated.audio.end == following.audio.start
    assert session.prepare() is not None


def test_a_late_tick_asks_for_no_graph() -> None:
    session, _ = listening()
    assert session.tick(late=True).fresh
    assert session.prepare(late=True) is None
    assert not session.finish().fresh


def test_an_interrupt_gives_the_picture_under_way_up() -> None:
    session, _ = listening()
    session.push(np.full(9600, 0.4, np.float32))
    session.tick()
    assert session.prepare() is not None
    session.interrupt()
    assert not session.drawing
    silenced = session.finish()
    assert not silenced.fresh
    assert not silenced.audio.samples.any()
    assert session.tick().fresh


def test_a_renderer_hears_all_sound_and_where_it_belongs() -> None:
    session, renderer = listening()
    session.push(noise(3000))
    session.tick()  # 1 frame and the look-ahead: silence is put in
    session.push(noise(500))
    assert [chunk.start for chunk in renderer.heard] == [0, *(chunk.end for chunk in renderer.heard[:-1])]
    assert renderer.heard[0].samples.tobytes() == noise(3000).tobytes()
    session.interrupt()
    session.push(noise(10))
    assert renderer.heard[-1].start == session.sample


def test_two_interleaved_sessions_equal_two_separate_ones() -> None:
    a, b, alone_a, alone_b = make(), make(), make(), make()
    sounds = noise(19_200, 1), noise(19_200, 2)
    interleaved: list[list[int]] = [[], []]
    for k in range(8):
        for j, session in enumerate((a, b)):
            session.push(sounds[j][k * 1920 : (k + 1) * 1920])
            interleaved[j].append(grey(session.tick()))
    for j, session in enumerate((alone_a, alone_b)):
        separate: list[int] = []
        for k in range(8):
            session.push(sounds[j][k * 1920 : (k + 1) * 1920])
            separate.append(grey(session.tick()))
        assert separate == interleaved[j]


def test_lead_covers_the_look_ahead_at_every_rate() -> None:
    for fps, steps in itertools.product((25, 30, 50, 60), (1, 2, 4, 8)):
        session = make(fps, look_ahead=steps * MOTION_STEP)
        session.push(np.ones(session.timeline.samples_per_frame * 8 + session.lead, np.float32))
        assert [session.tick().missing for _ in range(8)] == [0] * 8


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="room"):
        make(room_ms=0)
    with pytest.raises(ValueError, match="float32"):
        make().push(np.zeros(10))  # pyright: ignore[reportArgumentType]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.timeline import Timeline


@pytest.mark.parametrize("fps", [25, 30, 50, 60])
def test_allowed_rates_cut_into_whole_samples(fps: int) -> None:
    timeline = Timeline(fps=fps)
    assert timeline.samples_per_frame * fps == 48_000
    assert timeline.frame_start(fps) == 48_000


@pytest.mark.parametrize(("rate", "fps"), [(48_000, 29), (16_000, 30), (44_100, 24), (48_000, 0), (-1, 25)])
def test_other_rates_are_refused(rate: int, fps: int) -> None:
    with pytest.raises(ValueError, match=r"does not divide|positive"):
        Timeline(rate, fps)


def test_the_refusal_names_the_cure() -> None:
    with pytest.raises(ValueError, match=r"16000 Hz does not divide into 30 fps; 48000 Hz does"):
        Timeline(16_000, 30)


@given(st.sampled_from([25, 30, 50, 60]), st.integers(0, 10**9))
def test_every_sample_belongs_to_the_frame_that_starts_at_or_before_it(fps: int, sample: int) -> None:
    timeline = Timeline(fps=fps)
    frame = timeline.frame_at(sample)
    assert timeline.frame_start(frame) <= sample < timeline.frame_start(frame + 1)
    assert timeline.frame_at(timeline.frame_centre(frame)) == frame


def test_milliseconds_and_samples_agree() -> None:
    assert Timeline().samples(20) == 960
    assert Timeline().milliseconds(960) == 20


@pytest.mark.parametrize(("fps", "samples"), [(25, 960), (30, 800), (50, 960), (60, 800), (24, 500), (1, 960)])
def test_a_frames_sound_is_taken_in_equal_pieces_of_20_ms_at_most(fps: int, samples: int) -> None:
    assert Timeline(fps=fps).samples_per_piece == samples

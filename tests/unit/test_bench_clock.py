"""The clock in the picture: what is painted is read back, and a click in the sound is found."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import clock
from benchmarks.clock import BITS, ROW_PX, TICK, Clock
from engine.media import AudioChunk, Emission, VideoFrame


@given(value=st.integers(0, 2**BITS - 1), size=st.sampled_from([256, 384, 512, 768]))
def test_gray_code_survives_painting_and_reading(value: int, size: int) -> None:
    row = np.zeros((ROW_PX, size, 3), np.uint8)
    clock.paint(row, value)
    assert clock.read(row[..., 0]) == value


@given(value=st.integers(0, 2**BITS - 2))
def test_neighbours_differ_in_one_cell(value: int) -> None:
    rows = np.zeros((2, ROW_PX, 256), np.uint8)
    for row, number in zip(rows, (value, value + 1), strict=True):
        clock.paint(row, number)
    cells = np.flatnonzero((rows[0] != rows[1])[0])
    assert len(cells) == 256 // BITS


def test_gray_code_survives_noise() -> None:
    row = np.zeros((ROW_PX, 512), np.uint8)
    clock.paint(row, 0xABCDE)
    noisy = np.clip(row + np.random.default_rng(0).normal(0, 25, row.shape), 0, 255).astype(np.uint8)
    assert clock.read(noisy) == 0xABCDE


def emission(index: int, sound: np.ndarray) -> Emission:
    picture = VideoFrame(index * 1920 + 960, np.zeros((256, 256, 3), np.uint8))
    return Emission(index, picture, AudioChunk(index * 1920, sound.astype(np.float32)))


def test_the_clock_shows_the_instant_of_the_picture_and_of_the_latest_click() -> None:
    marks = Clock()
    click = np.zeros(1920)
    click[333:573] = 0.7 * np.sin(2 * np.pi * 2000 * np.arange(240) / 48_000)
    found = int(np.flatnonzero(np.abs(click) > clock.CLICK_LEVEL)[0])
    for index in range(12):
        made = emission(index, click if index in (5, 6) else np.zeros(1920))
        marks.mark(made, 5000.25)
        luma = made.video.rgb[..., 0]
        assert clock.read(luma[:ROW_PX]) == (index * 1920 + 960) // TICK
        expected = 5 * 1920 + found if index >= 5 else 0  # that of frame 6 comes too soon after it
        assert clock.read(luma[ROW_PX : 2 * ROW_PX]) == expected // TICK
        assert clock.read(luma[2 * ROW_PX : 3 * ROW_PX]) == 5000.25 * 3000


def test_a_repeated_picture_keeps_its_clock() -> None:
    marks = Clock()
    first = emission(3, np.zeros(1920))
    marks.mark(first, 1.0)
    shown = first.video.rgb.copy()
    marks.mark(Emission(4, first.video, AudioChunk(4 * 1920, np.ones(1920, np.float32)), fresh=False), 2.0)
    np.testing.assert_array_equal(first.video.rgb, shown)


SPAN = 2.0**BITS


def test_numbers_go_on_where_they_begin_anew() -> None:
    media = SPAN - 500 + np.arange(0.0, 1200.0, 120.0)
    click = media - 300
    click[6] = media[6] + 40  # a click of the picture's own sound
    np.testing.assert_array_equal(clock.unwrapped(media % SPAN, click % SPAN), (media, click))


def test_a_session_opened_anew_stays_at_its_beginning() -> None:
    media = np.array([9e6, 9e6 + 120, 0.0, 120.0])
    np.testing.assert_array_equal(clock.unwrapped(media, media)[0], media)


def test_what_does_not_go_on_as_the_pictures_do_is_misread() -> None:
    rtp = (2.0**32 - 9000 + 3600 * np.arange(50.0)) % 2**32
    media = 1000 + 120 * np.arange(50.0)
    media[30:] -= media[30]  # opened anew
    seen = media.copy()
    seen[[7, 21, 22]] = 12_345_678, 0, 9e6
    np.testing.assert_array_equal(np.flatnonzero(~clock.legible(seen, rtp)), [7, 21, 22])
    assert len(clock.legible(np.zeros(0), np.zeros(0))) == 0

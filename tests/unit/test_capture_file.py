import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from engine.errors import AudioError
from streaming.capture import file as capture
from streaming.capture.file import FileVoice, SoundReader, read_all
from streaming.capture.sample import samples


def write_wav(path: Path, rate: int, channels: int, seconds: float = 0.5, level: float = 0.5) -> Path:
    t = np.arange(round(rate * seconds)) / rate
    tone = np.repeat((level * np.sin(2 * np.pi * 440 * t))[:, None], channels, axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(np.clip(tone, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def pitch_hz(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * 48_000 / len(sound))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_becomes_48_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    sound = read_all(write_wav(tmp_path / "a.wav", rate, channels))
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(24_000, abs=60)
    assert pitch_hz(sound) == pytest.approx(440, abs=3)
    assert np.abs(sound[2000:-2000]).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kind", ["mp3", "opus", "flac", "m4a"])
def test_compressed_files_are_read(tmp_path: Path, kind: str) -> None:
    codec = {"mp3": "libmp3lame", "opus": "libopus", "flac": "flac", "m4a": "aac"}[kind]
    path = tmp_path / f"a.{kind}"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(
            np.rint(16_000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.int16)[None], "s16", "mono"
        )
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    assert pitch_hz(read_all(path)) == pytest.approx(440, abs=3)


def test_reading_does_not_depend_on_the_cut(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", 44_100, 2)
    reader, parts = SoundReader(path), list[np.ndarray]()
    while len(part := reader.read(777)):
        parts.append(part)
    reader.close()
    np.testing.assert_array_equal(np.concatenate(parts), read_all(path))


def not_sound(path: Path) -> Path:
    path.write_text("dear diary")
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def no_samples(path: Path) -> Path:
    return write_wav(path, 48_000, 1, seconds=0)


def silent_film(path: Path) -> Path:
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        for packet in (*stream.encode(picture), *stream.encode(None)):
            container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p, "there is no sound file a.wav"),
        (lambda p: p.parent, "is a folder"),
        (not_sound, "a.wav cannot be read as sound"),
        (empty, "a.wav cannot be read as sound"),
        (no_samples, "a.wav"),
        (silent_film, "a.wav holds no sound"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    with pytest.raises(AudioError, match=says) as caught:
        read_all(make(tmp_path / "a.wav"))
    assert "\n" not in str(caught.value)


def test_an_address_is_named_without_its_secrets() -> None:
    with pytest.raises(AudioError) as caught:
        read_all("http://me:secret@127.0.0.1:9/live?key=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("level", "says"), [(0.0, "is silent"), (3.0, "is clipped")])
def test_silence_and_clipping_are_said(tmp_path: Path, level: float, says: str, caplog: pytest.LogCaptureFixture) -> None:
    read_all(write_wav(tmp_path / "a.wav", 48_000, 1, level=level))
    assert says in caplog.text


class Time:
    """A clock that moves by sleeping."""

    def __init__(self) -> None:
        self.at = 50.0

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(capture, "now", clock)
    monkeypatch.setattr(capture.asyncio, "sleep", clock.sleep)
    return clock


async def test_a_file_speaks_in_real_time(tmp_path: Path, time: Time) -> None:
    pushed = list[tuple[int, float]]()
    await FileVoice(write_wav(tmp_path / "a.wav", 16_000, 1)).feed(lambda sound, at: pushed.append((len(sound), at)))
    heard = 0
    for length, at in pushed:
        assert length <= 960
        heard += length
        assert at - 50.0 == pytest.approx(heard / 48_000, abs=1e-3)
    assert heard == pytest.approx(24_000, abs=60)


async def test_a_file_that_is_repeated_goes_on_without_a_gap(tmp_path: Path, time: Time) -> None:
    class EnoughError(Exception):
        pass

    heard = 0

    def push(sound: np.ndarray, at: float) -> None:
        nonlocal heard
        heard += len(sound)
        assert at - 50.0 == pytest.approx(heard / 48_000, abs=1e-3)
        if heard > 100_000:
            raise EnoughError

    with pytest.raises(EnoughError):
        await FileVoice(write_wav(tmp_path / "a.wav", 48_000, 1), loop=True).feed(push)


async def test_a_voice_without_samples_says_so_instead_of_spinning(tmp_path: Path, time: Time) -> None:
    with pytest.raises(AudioError, match="holds no sound"):
        await FileVoice(no_samples(tmp_path / "a.wav"), loop=True).feed(lambda *_: None)


def test_samples_are_named_by_their_files(tmp_path: Path) -> None:
    write_wav(tmp_path / "hello.wav", 16_000, 1)
    (tmp_path / "notes.md").write_text("about hello")
    found = samples(tmp_path)
    assert list(found) == ["hello"]
    assert len(found["hello"]) == pytest.approx(24_000, abs=60)

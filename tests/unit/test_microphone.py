import asyncio
import builtins
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.errors import AudioError, MissingDependency
from streaming.capture.microphone import Device, Microphone, devices, find

KNOWN = [
    Device(0, "HDA Intel: ALC257", 2, 44_100, False),
    Device(3, "USB Audio: headset", 1, 48_000, True),
    Device(4, "USB Audio: webcam", 1, 16_000, False),
]


@pytest.mark.parametrize(("wanted", "index"), [("", 3), ("0", 0), ("headset", 3), ("intel", 0), ("USB Audio: webcam", 4)])
def test_a_device_is_found_by_number_name_or_part_of_it(wanted: str, index: int) -> None:
    assert find(wanted, KNOWN).index == index


@pytest.mark.parametrize(
    ("wanted", "known", "says"),
    [
        ("", [], "no microphone was found"),
        ("9", KNOWN, "there are: 0 HDA"),
        ("usb", KNOWN, "more than one"),
        ("x", KNOWN, "'x'"),
    ],
)
def test_a_device_that_is_not_there_is_named_in_one_line(wanted: str, known: list[Device], says: str) -> None:
    with pytest.raises(AudioError, match=says) as caught:
        find(wanted, known)
    assert "\n" not in str(caught.value)


def test_without_portaudio_the_command_that_installs_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"(apt-get|brew) install"):
        devices()


class FakePortAudio(SimpleNamespace):
    """One stereo-only input; plays two blocks and then is unplugged."""

    class PortAudioError(Exception):
        pass

    default = SimpleNamespace(device=(1, 0))

    def query_devices(self) -> list[dict[str, Any]]:
        names = ("speaker", 0), ("stereo mic", 2)
        return [{"name": n, "max_input_channels": c, "default_samplerate": 48_000.0} for n, c in names]

    def InputStream(self, **options: Any) -> Any:  # noqa: N802
        if options["channels"] != 2:
            raise self.PortAudioError("Invalid number of channels\nmore")
        assert options["samplerate"] == 48_000
        assert options["blocksize"] == 480
        return FakeStream(options["callback"], options["finished_callback"])


class FakeStream:
    def __init__(self, hear: Callable[..., None], end: Callable[[], None]) -> None:
        self._hear, self._end = hear, end

    def __enter__(self) -> None:
        for level in (0.2, 0.4):
            self._hear(np.column_stack((np.full(480, level), np.zeros(480))).astype(np.float32), 480, None, None)
        self._end()

    def __exit__(self, *_: object) -> None:
        pass


async def test_blocks_come_as_mono_and_an_unplugged_device_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio())
    heard = list[np.ndarray]()
    with pytest.raises(AudioError, match="stereo mic has ended"):
        await Microphone().feed(lambda sound, at: heard.append(sound))
    await asyncio.sleep(0)
    assert [len(sound) for sound in heard] == [480, 480]
    assert [float(sound[0]) for sound in heard] == pytest.approx([0.1, 0.2])
    assert heard[0].dtype == np.float32


def test_only_inputs_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio())
    assert devices() == [Device(1, "stereo mic", 2, 48_000, True)]

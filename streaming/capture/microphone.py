"""The microphone of this machine, through PortAudio."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import AudioError, MissingDependency
from engine.timeline import SAMPLE_RATE_HZ
from streaming.contract import now

log = logging.getLogger(__name__)

BLOCK_MS: Final = 10
_CURE = "brew install portaudio" if sys.platform == "darwin" else "sudo apt-get install libportaudio2"

Push = Callable[[NDArray[np.float32], float], None]


@dataclass(frozen=True, slots=True)
class Device:
    """A sound input of this machine."""

    index: int
    name: str
    channels: int
    rate_hz: int  # its own
    default: bool


def devices() -> list[Device]:
    """All microphones and other inputs; none when there is none.

    Raises:
        MissingDependency: if PortAudio is not installed.
    """
    sounddevice = _sounddevice()
    chosen = sounddevice.default.device[0]
    return [
        Device(i, d["name"], d["max_input_channels"], round(d["default_samplerate"]), i == chosen)
        for i, d in enumerate(sounddevice.query_devices())
        if d["max_input_channels"] > 0
    ]


def find(wanted: str, known: Sequence[Device]) -> Device:
    """The device of that index or name ("" is the default one); part of a name is enough when only one has it.

    Raises:
        AudioError: if there is none, or more than one.
    """
    if not known:
        raise AudioError("no microphone was found; connect one, or use the browser's, or --audio FILE")
    if not wanted:
        return next((d for d in known if d.default), known[0])
    if wanted.isdigit():
        fitting = [d for d in known if d.index == int(wanted)]
    else:
        fitting = [d for d in known if d.name == wanted] or [d for d in known if wanted.lower() in d.name.lower()]
    names = "; ".join(f"{d.index} {d.name}" for d in known)
    if not fitting:
        raise AudioError(f"no microphone is called {wanted!r}; there are: {names}")
    if len(fitting) > 1:
        raise AudioError(f"{wanted!r} fits more than one microphone, give its number: {names}")
    return fitting[0]


class Microphone:
    """A microphone that feeds a session in blocks of 10 ms."""

    def __init__(self, wanted: str = "") -> None:
        self._wanted = wanted

    async def feed(self, push: Push) -> None:
        """Push sound as it is recorded, until cancelled.

        Raises:
            AudioError: if there is no such microphone, it cannot be opened, or it is unplugged.
            MissingDependency: if PortAudio is not installed.
        """
        sounddevice = _sounddevice()
        device = find(self._wanted, devices())
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def hear(block: NDArray[np.float32], *_: Any) -> None:
            mono, instant = block.mean(axis=1, dtype=np.float32), now()
            with contextlib.suppress(RuntimeError):  # the loop closed in this moment
                loop.call_soon_threadsafe(push, mono, instant)

        def end() -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

        with _open(sounddevice, device, hear, end):
            log.info("listening to %s", device.name)
            await ended.wait()
        raise AudioError(f"the microphone {device.name} has ended; is it still connected?")


def _open(sounddevice: ModuleType, device: Device, hear: Callable[..., None], end: Callable[[], None]) -> Any:
    """An input stream at 48 kHz, with as many channels as the device insists on."""
    refusal: Exception | None = None
    for channels in dict.fromkeys((1, min(2, device.channels), device.channels)):
        try:
            return sounddevice.InputStream(
                samplerate=SAMPLE_RATE_HZ,
                blocksize=SAMPLE_RATE_HZ * BLOCK_MS // 1000,
                device=device.index,
                channels=channels,
                dtype="float32",
                latency="low",
                callback=hear,
                finished_callback=end,
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            refusal = refusal or error
    raise AudioError(f"the microphone {device.name} cannot be opened at 48 kHz: {_line(refusal)}")


def _line(error: Exception | None) -> str:
    return str(error).splitlines()[0] if error and str(error) else type(error).__name__


def _sounddevice() -> ModuleType:
    try:
        import sounddevice  # pyright: ignore[reportMissingTypeStubs] it has none
    except OSError as error:  # what it raises when it finds no library
        raise MissingDependency(f"the microphone needs PortAudio: {_CURE}") from error
    return sounddevice

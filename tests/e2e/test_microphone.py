"""A microphone without hardware: PulseAudio's null sink, its monitor remapped to a source."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.errors import MissingDependency
from streaming.capture.microphone import Microphone, devices

TONE_HZ = 500


@pytest.fixture
def virtual_microphone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for program in ("pulseaudio", "pacat", "pactl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    home = Path("/tmp") / f"mien-pulse-{os.getpid()}"  # a socket's path must be short
    home.mkdir(mode=0o700, exist_ok=True)
    for name, value in {"XDG_RUNTIME_DIR": home, "PULSE_RUNTIME_PATH": home / "pulse", "HOME": home}.items():
        monkeypatch.setenv(name, str(value))
    server = subprocess.Popen(
        [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=error",
            "-L", "module-native-protocol-unix",
            "-L", "module-null-sink sink_name=vmic rate=48000 channels=1",
            "-L", "module-remap-source master=vmic.monitor source_name=mic",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        if not _answers(server):
            pytest.skip("PulseAudio does not start here")
        subprocess.run(["pactl", "set-default-source", "mic"], check=True)
        subprocess.run(["pactl", "set-default-sink", "vmic"], check=True)
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def _answers(server: "subprocess.Popen[bytes]") -> bool:
    for _ in range(50):
        if server.poll() is not None:
            return False
        if subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode == 0:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    return False


async def test_a_microphone_is_heard(virtual_microphone: None, tmp_path: Path) -> None:
    try:
        known = devices()
    except MissingDependency as missing:
        pytest.skip(str(missing))
    if not any("pulse" in device.name for device in known):
        pytest.skip("PortAudio has no PulseAudio here; libasound2-plugins brings it")
    tone = tmp_path / "tone.wav"
    with wave.open(str(tone), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        t = np.arange(48_000 * 60) / 48_000
        file.writeframes(np.rint(16_000 * np.sin(2 * np.pi * TONE_HZ * t)).astype("<i2").tobytes())
    speaker = subprocess.Popen(["pacat", "--playback", "--device=vmic", "--file-format=wav", str(tone)])
    heard = list[np.ndarray]()
    arrivals = list[float]()

    def push(sound: np.ndarray, at: float) -> None:
        heard.append(sound)
        arrivals.append(at)

    try:
        listening = asyncio.create_task(Microphone("pulse").feed(push))
        async with asyncio.timeout(60):
            while sum(map(len, heard)) < 48_000 * 3:
                assert not listening.done(), listening.exception()
                await asyncio.sleep(0.05)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    finally:
        speaker.kill()
        speaker.wait()
    sound = np.concatenate(heard)[-48_000:]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert {len(block) for block in heard} == {480}
    assert int(spectrum.argmax()) == pytest.approx(TONE_HZ, abs=2)
    assert arrivals == sorted(arrivals)

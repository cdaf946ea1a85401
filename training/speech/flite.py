"""CMU Flite on the command line: English that sounds more natural, with its phones' ends. A tool of the build."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from training.speech.errors import SpeechError
from training.speech.phones import BREATH, VOICELESS, Phone, from_arpabet, spread

VOICES: Final = ("slt", "rms", "awb", "kal16")
"""A woman, two men (one of them a Scot), and diphones."""


@dataclass(frozen=True, slots=True)
class FliteVoice:
    """One of `VOICES`; `stretch` of all durations; the fundamental's mean in Hz, 0 for the voice's own."""

    name: str
    stretch: float = 1.0
    pitch_hz: float = 0.0


def say(text: str, voice: FliteVoice) -> tuple[int, NDArray[np.float32], list[Phone]]:
    """Rate in Hz, float32[N], and its phones.

    Raises:
        SpeechError: if Flite is missing or says nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        words = ["flite", "-voice", voice.name, "--setf", f"duration_stretch={voice.stretch:.3f}"]
        if voice.pitch_hz:
            words += ["--setf", f"int_f0_target_mean={voice.pitch_hz:.1f}"]
        try:
            told = subprocess.run([*words, "-psdur", "-t", text, "-o", str(path)], capture_output=True, check=True, text=True)
        except FileNotFoundError as error:
            raise SpeechError("flite is missing: apt-get install flite") from error
        except subprocess.CalledProcessError as error:
            raise SpeechError(f"flite failed on '{text[:40]}': {error.stderr.strip()[:80]}") from error
        rate_hz, sound = wavfile.read(path)
    floats = sound.astype(np.float32) / np.float32(32768)
    return int(rate_hz), floats, _phones(told.stdout, floats, int(rate_hz))


def _phones(told: str, sound: NDArray[np.float32], rate_hz: int) -> list[Phone]:
    """Phones of `-psdur`'s lines `name:end name:end ...`; a voiceless stop is cut at its burst, as espeak-ng's are."""
    phones: list[Phone] = []
    start = 0.0
    for name, end_text in re.findall(r"(\S+):(\d+\.\d+)", told):
        end = min(float(end_text), len(sound) / rate_hz)
        classes = from_arpabet(name)
        if end <= start or not classes:
            continue
        if classes[0] in VOICELESS and len(classes) == 1 and name != "ch":
            released = burst(sound, rate_hz, start, end)
            released = released if end - released > 0.012 else end
            phones.append(Phone(start, released, classes[0]))
            phones += [Phone(released, end, BREATH)] if end > released else []
        else:
            phones += spread(start, end, classes)
        start = end
    if not phones:
        raise SpeechError("flite said nothing")
    return phones


def burst(sound: NDArray[np.float32], rate_hz: int, start_s: float, end_s: float) -> float:
    """Seconds, just after the burst of a voiceless stop: the largest rise of high frequencies over 10 ms in it."""
    hop = rate_hz // 200
    first, last = int(start_s * rate_hz), int(end_s * rate_hz)
    high = np.diff(sound[first:last], prepend=np.float32(0))
    frames = len(high) // hop
    if frames < 5:
        return end_s
    level = 10 * np.log10(np.mean(high[: frames * hop].reshape(frames, hop) ** 2, axis=1) + 1e-8)
    rise = level[2:] - level[:-2]
    # the phone before fades into the closure: look for the burst after the closure's quietest place
    quiet = int(level[: max(3 * frames // 4, 3)].argmin())
    after = rise[max(quiet - 1, 0) :]
    if not len(after) or after.max() < 3:
        return end_s
    return min(start_s + (max(quiet - 1, 0) + int(after.argmax()) + 2) * hop / rate_hz + 0.005, end_s)

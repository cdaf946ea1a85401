"""From where each factor of a rendered face comes: the voice, clips, or nowhere."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import MotionSource
from engine.errors import MienError
from engine.face.stream import FaceFollower
from engine.motion.compositor import FACTORS
from engine.timeline import SAMPLE_RATE_HZ
from streaming.capture.clip import Clip
from streaming.capture.file import read_all
from streaming.driving import ClipMotion, Several, Tell, Watched, watch

WORDS: Final = ("voice", "still", "file")
"""What may be chosen for a factor; the name of a clip may stand in the place of "file"."""

SHORT_S: Final = 0.5
"""A clip that ends before the film by less than this is not worth a word."""

Origin = Path | str
"""A clip, "voice" or "still"."""


@dataclass(frozen=True, slots=True, eq=False)
class Driven:
    """What moves a rendered face, and what is heard.

    Attributes:
        sound: float32[N] at 48 kHz, as long as the film.
        factors: for `Compositor.choose`.
        clip: motion in the place of a camera's; None if no clip moves anything.
        notes: one line each on what the user should know.
        clips: by factor, the clip that moves it and what was seen in it.
    """

    sound: NDArray[np.float32]
    factors: Mapping[str, str]
    clip: MotionSource | None = None
    notes: tuple[str, ...] = ()
    clips: Mapping[str, tuple[Clip, Watched]] = field(default_factory=dict[str, tuple[Clip, Watched]])


def origins(driving: Path | None, words: Mapping[str, str | None]) -> dict[str, Origin | None]:
    """From where each of `FACTORS` comes; None for lips about which nothing was said.

    Args:
        driving: the clip that "file" means, and that drives all but the lips where nothing else was said.
        words: by factor: one of `WORDS`, the name of a clip, or None if nothing was said.

    Raises:
        MienError: if a word means nothing here.
    """
    return {factor: _origin(factor, driving, words.get(factor)) for factor in FACTORS}


def _origin(factor: str, driving: Path | None, word: str | None) -> Origin | None:
    if word is None:
        return None if factor == "lips" and driving else driving or "voice"
    if word in ("voice", "still"):
        return word
    if word == "file" and driving:
        return driving
    if word == "file":
        raise MienError(f"--{factor}-from file means the clip of --driving, which was not given; name a clip instead")
    if word == "camera":
        raise MienError(f"--{factor}-from camera is for ./mien serve, which is live; here name a clip instead")
    if not Path(word).exists() and (near := get_close_matches(word, WORDS, 1)):
        raise MienError(f"--{factor}-from: there is no clip {word}; did you mean '{near[0]}'?")
    return Path(word)


def drive(
    sound_file: Path | None,
    driving: Path | None,
    words: Mapping[str, str | None],
    follower: Callable[[], FaceFollower],
    tell: Callable[[str], Tell],
) -> Driven:
    """Read all that drives a face.

    Args:
        sound_file: what is said; None for the sound of a clip.
        driving: see `origins`.
        words: see `origins`.
        follower: makes what follows a face; called if a clip is to be watched.
        tell: called with the name of each clip that is watched, for one that is told how far it is.

    Raises:
        MienError: in one line, whatever cannot be read or does not go together.
    """
    wanted = origins(driving, words)
    named = (wanted["lips"], driving, *wanted.values())
    clips = {path: Clip(path) for path in dict.fromkeys(o for o in named if isinstance(o, Path))}
    if sound_file is None and not clips:
        raise MienError("there is nothing to render: give a SOUND, a clip with --driving CLIP, or both")
    speaker = next((path for path, clip in clips.items() if clip.has_sound), None)
    if wanted["lips"] is None:
        wanted["lips"] = "voice" if sound_file or speaker else driving
    if wanted["lips"] == "voice" and not (sound_file or speaker):
        raise MienError("--lips-from voice needs a voice: give a SOUND, or a clip with sound")
    eyes = follower() if any(isinstance(o, Path) for o in wanted.values()) else None
    watched = {path: watch(clip, eyes, tell(clip.name)) for path, clip in clips.items() if eyes and path in wanted.values()}
    sound = read_all(sound_file) if sound_file else _sound_of(speaker or next(iter(clips)), clips, watched)
    notes = [note for one in watched.values() for note in one.notes]
    notes += _short(watched.values(), len(sound) / SAMPLE_RATE_HZ)
    factors = {factor: "camera" if isinstance(o, Path) else str(o) for factor, o in wanted.items()}
    moved = {factor: (clips[path], watched[path]) for factor, path in wanted.items() if isinstance(path, Path)}
    return Driven(sound, factors, _motion(wanted, watched), tuple(notes), moved)


def _sound_of(path: Path, clips: Mapping[Path, Clip], watched: Mapping[Path, Watched]) -> NDArray[np.float32]:
    """The sound of a clip, silence if it has none; as long as its pictures if they were watched."""
    sound = clips[path].sound()
    if path not in watched:
        return sound
    length = round(watched[path].length_s * SAMPLE_RATE_HZ)
    return np.pad(sound[:length], (0, max(length - len(sound), 0)))


def _motion(origins: Mapping[str, Origin | None], watched: Mapping[Path, Watched]) -> MotionSource | None:
    """The motion of all clips together; None if there is none."""
    motions = {path: ClipMotion(one, speaks=origins["lips"] == path) for path, one in watched.items()}
    sources = {g: motions[o] for f, o in origins.items() if isinstance(o, Path) for g in FACTORS[f]}
    return Several(sources) if sources else None


def _short(watched: Iterable[Watched], length_s: float) -> Iterator[str]:
    for one in watched:
        if one.length_s < length_s - SHORT_S:
            yield f"{one.name} ends after {one.length_s:.1f} s of {length_s:.1f} s; then the voice and idle life move the face"

"""Speech with its phones and what a mouth does for it, in files of many utterances."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from engine.motion.visemes import ARTICULATORS
from training.data.splits import Split
from training.data.tracks import STEP_SAMPLES
from training.speech.errors import SpeechError
from training.speech.phones import Phone, per_step

_TEXTS: Final = ("name", "language", "voice", "source", "split")


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A stretch of speech, or of silence.

    Attributes:
        name: of its own in its source.
        language: such as `de`; "" for none.
        voice: who speaks.
        source: `espeak`, `flite`, `silence`, or the folder of recordings.
        split: part of the data; held-out voices speak held-out texts.
        sound: int16[N] at 16 kHz, through the live path's own decimator.
        phones: in order, without overlap; what they leave out is silence.
        articulators: float16[N // 320, 9] at n 20 ms; see `engine.motion.visemes.ARTICULATORS`.
    """

    name: str
    language: str
    voice: str
    source: str
    split: Split
    sound: NDArray[np.int16]
    phones: tuple[Phone, ...]
    articulators: NDArray[np.float16]

    @property
    def classes(self) -> NDArray[np.int8]:
        """int8[N // 320]: the phone at n 20 ms, a place in `training.speech.phones.PHONES`."""
        return per_step(self.phones, self.steps)

    @property
    def steps(self) -> int:
        """Motion steps of 20 ms."""
        return len(self.sound) // STEP_SAMPLES

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.sound) / 16_000


def save(path: Path, utterances: Sequence[Utterance]) -> None:
    """Write a shard; a reader sees all of it or nothing."""
    arrays: dict[str, Any] = {key: np.array([getattr(u, key) for u in utterances]) for key in _TEXTS}
    arrays["sound_ends"] = np.cumsum([len(u.sound) for u in utterances])
    arrays["phone_ends"] = np.cumsum([len(u.phones) for u in utterances])
    arrays["sound"] = np.concatenate([u.sound for u in utterances])
    arrays["articulators"] = np.concatenate([u.articulators for u in utterances])
    spans = [(p.start_s, p.end_s) for u in utterances for p in u.phones]
    arrays["spans"] = np.array(spans, np.float32).reshape(-1, 2)
    arrays["phones"] = np.array([p.index for u in utterances for p in u.phones], np.int8)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.replace(path)


def load(path: Path) -> list[Utterance]:
    """Read a shard.

    Raises:
        SpeechError: if the file is damaged or of another kind.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        texts = list(zip(*(arrays[key].tolist() for key in _TEXTS), strict=True))
        ends = list(zip(arrays["sound_ends"].tolist(), arrays["phone_ends"].tolist(), strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise SpeechError(f"{path} is no speech, or damaged: make it again ({error})") from error
    out: list[Utterance] = []
    sound = phone = step = 0
    for row, (sound_end, phone_end) in zip(texts, ends, strict=True):
        steps = (sound_end - sound) // STEP_SAMPLES
        spans = arrays["spans"][phone:phone_end].tolist()
        classes = arrays["phones"][phone:phone_end].tolist()
        phones = tuple(Phone(a, b, c) for (a, b), c in zip(spans, classes, strict=True))
        moved = arrays["articulators"][step : step + steps]
        out.append(Utterance(*row, sound=arrays["sound"][sound:sound_end], phones=phones, articulators=moved))
        sound, phone, step = sound_end, phone_end, step + steps
    assert arrays["articulators"].shape == (step, len(ARTICULATORS))
    return out


def utterances_in(folder: Path, splits: Iterable[Split] = ("train",)) -> Iterator[Utterance]:
    """All utterances of some splits in a folder's shards, in the order of their paths.

    Raises:
        SpeechError: if there are no shards.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise SpeechError(f"no speech in {folder}: make it with python -m training speech --out {folder}")
    wanted = set(splits)
    for path in paths:
        yield from (utterance for utterance in load(path) if utterance.split in wanted)

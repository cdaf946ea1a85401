"""Stage 2 (section 3.2): lips, eyes and pose, each from the unified motion feature.

E_app and E_mot are frozen; E_lip, E_eye, E_pose and E_aud learn. Lips are
contrasted with their sound (Eq. 2 and 3), eyes with a composite that has them
(Eq. 4), pose is regressed (Eq. 5). The public code's eye latent is gaze in two
fixed dims and the lids in four, which Eq. 4 alone cannot bring about: here it
is also regressed to what the tracker saw, lightly, in the terms of `codes`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.pdfgc.augment import discoloured
from training.pdfgc.clips import Clip, ClipError, ClipSource, draw_clip
from training.pdfgc.codes import code_matrix
from training.pdfgc.losses import contrast_eyes, contrast_lips, crossmodal_error, pose_error
from training.pdfgc.networks import Networks, Parts, pictures
from training.pdfgc.self_driving import people_of
from training.pdfgc.stage import Batch, Outcome, joined
from training.pdfgc.swap import with_eyes_of
from training.pdfgc.teachers import Teachers
from training.run import Stateful

WEIGHTS: Final[Mapping[str, float]] = {"lips": 1.0, "crossmodal": 1.0, "eyes": 0.5, "pose": 1.0, "eyes_seen": 0.5}
FRAMES: Final = 4
"""Of a clip: the negatives of Eq. 2 and 3 are those of the same clip and of all others."""
APART: Final = 4
"""Frames between them: nearer ones show about the same mouth."""


class FineGrained:
    """See the module.

    Args:
        networks: E_mot as stage 1 left it.
        clips: with sound.
        teachers: of pose, if there is one; otherwise it is that of the clips.
        size: batch, a multiple of `FRAMES`.
        seed: of the batches.
    """

    def __init__(self, networks: Networks, clips: ClipSource, teachers: Teachers, size: int, seed: int) -> None:
        motion = networks.motion
        self.networks = networks
        self.discriminator: nn.Module | None = None
        self.state: Mapping[str, Stateful] = {}
        self.weights: Mapping[str, float] = WEIGHTS
        lips, eyes = (motion.to_mouth, motion.mouth_embed), (motion.to_eye, motion.eye_embed)
        self.trained: Sequence[nn.Module] = [*lips, *eyes, motion.to_headpose, motion.headpose_embed, networks.audio]
        self._clips, self._teachers, self._size, self._seed = clips, teachers, size, seed
        self._people = people_of(clips, "train")
        self._seen = networks.widths.encoder_size
        self._matrix = torch.from_numpy(code_matrix().T.copy())

    def batch(self, index: int, rank: int, count: int) -> Mapping[str, NDArray[np.generic]]:
        """See `Stage`; see `group`."""
        own = self._size // FRAMES // count
        rngs = [np.random.default_rng((self._seed, index, number)) for number in range(rank * own, (rank + 1) * own)]
        return joined([group(draw_clip(self._clips, self._people, rng), self._seen, rng) for rng in rngs])

    def losses(self, batch: Batch, step: int) -> Outcome:
        """See `Stage`."""
        motion = self.networks.motion
        drivers = pictures(batch["drivers"])
        said = Parts.of(batch["motion"] @ self._matrix.to(drivers.device), self.networks.widths.latent)
        with torch.no_grad():
            unified, swapped = motion.unify(drivers), motion.unify(pictures(batch["swapped"]))
            pose = self._teachers.pose(drivers) if self._teachers.pose else said.pose
        video, audio = motion.lip(unified), self.networks.audio(batch["mel"]).lip
        both = motion.eye(torch.cat([unified, swapped]))
        eyes, anchor = both[: len(unified)], both[len(unified) :]
        other = eyes[torch.arange(len(eyes), device=eyes.device) + batch["rest"]]
        return Outcome({
            "lips": contrast_lips(audio, video),
            "crossmodal": crossmodal_error(audio, video),
            "eyes": contrast_eyes(eyes, other, anchor),
            "pose": pose_error(motion.pose(unified), pose),
            "eyes_seen": functional.smooth_l1_loss(eyes, said.eye),
        })  # fmt: skip

    def show(self, networks: Networks) -> Mapping[str, Tensor]:
        """See `Stage`: what the eyes are contrasted with."""
        rngs = [np.random.default_rng((0, number)) for number in range(2)]
        arrays = joined([group(draw_clip(self._clips, self._people, rng), self._seen, rng) for rng in rngs])
        rows = {name: pictures(torch.from_numpy(arrays[name])) for name in ("drivers", "swapped")}
        return {"pictures": rows["drivers"], "the next ones with their eyes": rows["swapped"]}


def group(clip: Clip, pixels: int, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """`FRAMES` frames of a clip, `APART`.

    Returns:
        drivers: uint8[4, S, S, 3]. swapped: the frame `rest` rows further on with this one's eyes.
        mel: float32[4, 1, 80, 20]. motion: float32[4, 58].

    Raises:
        ClipError: if the clip is too short, or has no sound.
    """
    heard, windows = clip.heard()
    room = min(heard.stop, len(clip)) - heard.start - APART * (FRAMES - 1)
    if room < 1:
        raise ClipError(f"a clip of {clip.person} has {len(clip)} pictures; stage 2 needs {4 + APART * (FRAMES - 1) + 1}")
    gaps = np.sort(rng.integers(room, size=FRAMES))
    rows = heard.start + gaps + APART * np.arange(FRAMES)
    frames, following = clip.read(rows.tolist(), pixels), (np.arange(FRAMES) + 1) % FRAMES
    pairs = zip(range(FRAMES), following.tolist(), strict=True)
    swapped = [with_eyes_of(frames[a], frames[b], clip.eyes[rows[a]], clip.eyes[rows[b]]) for a, b in pairs]
    return {
        "drivers": np.stack([discoloured(frame, rng) for frame in frames]),
        "swapped": np.stack([discoloured(frame, rng) for frame in swapped]),
        "rest": following - np.arange(FRAMES),
        "mel": windows[rows - heard.start],
        "motion": clip.motion[rows],
    }

"""PD-FGC's networks as its judges use them: of a training run in PyTorch, or exported in ONNX Runtime as live.

Lips are those of the sound, everything else of pictures. A `pdfgc.safetensors`
also says what lips do in a picture (V_lip), which only the matrix asks for.
"""

# pyright: basic
# cv2 types its images as unions

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.contract.graph import Graph
from engine.errors import ModelError
from engine.face.align import as_input
from engine.render.pdfgc import networks as exported
from engine.render.pdfgc.face import Appearance
from engine.render.pdfgc.latent import Gains, Latents, kept, to_8bit
from training.networks.pdfgc import bundle
from training.pdfgc.networks import Networks, pictures
from training.pdfgc.trainer import WEIGHTS
from training.synthesis.factors import FACTORS, LIP

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

AS_TRAINED: Final = Gains(1, 1, 1, 1)
BATCH: Final = 16
IN_CODE: Final = {"lip": "lips", "pose": "pose", "gaze": "gaze", "blink": "blink", "expression": "expression"}
"""What `engine.render.pdfgc.latent` calls each of `training.synthesis.factors.FACTORS`."""


class Model(Protocol):
    """Networks that go together."""

    @property
    def size(self) -> int:
        """Side of the pictures made, px."""
        ...

    @property
    def seen(self) -> int:
        """Side of the pictures that the encoders see, px."""
        ...

    @property
    def gains(self) -> Gains:
        """By which latents are multiplied before they are drawn."""
        ...

    def appearance(self, rgb: Image) -> Appearance:
        """Who is in a picture uint8[S, S, 3]."""
        ...

    def lips(self, windows: Floats) -> Floats:
        """float32[T, 500] of windows of sound float32[T, 1, 80, 20]."""
        ...

    def motion(self, rgb: Image) -> tuple[Floats, Floats, Floats]:
        """Expression float32[T, 30], eyes [T, 6] and pose [T, 6] of pictures uint8[T, S, S, 3]."""
        ...

    def draw(self, who: Appearance, codes: Floats) -> Image:
        """uint8[T, size, size, 3]: somebody in motions float32[T, 542]."""
        ...


class TorchModel:
    """The averaged weights of a run, or of a folder that `mien export` made.

    Args:
        networks: of one width.
        gains: see `Model`.
        device: to compute on.
    """

    def __init__(self, networks: Networks, gains: Gains = AS_TRAINED, device: str = "cpu") -> None:
        self._networks = networks.to(device).eval().requires_grad_(False)
        self._device = device
        self.gains = gains
        self.size, self.seen = networks.widths.size, networks.widths.encoder_size

    @classmethod
    def load(cls, folder: Path, gains: Gains = AS_TRAINED, device: str = "cpu") -> "TorchModel":
        """From the folder's `pdfgc.safetensors`.

        Raises:
            ModelError: if there is none, it is damaged, or holds the networks of stage 1.
        """
        path = folder / WEIGHTS
        if not path.exists():
            raise ModelError(f"{path} is missing: {folder} is no run of python -m training pdfgc that has saved anything")
        widths, weights = bundle.load(path)
        return cls(Networks.filled(widths, weights, str(path)), gains, device)

    def appearance(self, rgb: Image) -> Appearance:
        """See `Model`."""
        with torch.no_grad():
            found = self._networks.appearance(self._given(rgb[None]))
        return Appearance(found.feature[0].float().cpu().numpy(), found.map.float().cpu().numpy())

    def lips(self, windows: Floats) -> Floats:
        """See `Model`."""
        return self._joined(self._networks.audio(torch.from_numpy(part).to(self._device)).lip for part in _parts(windows))

    def motion(self, rgb: Image) -> tuple[Floats, Floats, Floats]:
        """See `Model`."""
        motion = self._networks.motion
        with torch.no_grad():
            unified = [motion.unify(self._given(part)) for part in _parts(rgb)]
        expression, eyes, pose = (
            self._joined(head(part) for part in unified) for head in (motion.expression, motion.eye, motion.pose)
        )
        return expression, eyes, pose

    def lips_seen(self, rgb: Image) -> Floats:
        """float32[T, 500]: what lips do in pictures uint8[T, S, S, 3]."""
        motion = self._networks.motion
        return self._joined(motion.lip(motion.unify(self._given(part))) for part in _parts(rgb))

    def draw(self, who: Appearance, codes: Floats) -> Image:
        """See `Model`."""
        generator, noise = self._networks.generator, self._networks.generator.frozen_noise()
        feature, start = (torch.from_numpy(part).to(self._device) for part in (who.feature[None], who.map))

        def drawn(part: Floats) -> Tensor:
            code = torch.from_numpy(part).to(self._device)
            latent = torch.cat([feature.expand(len(code), -1), code], 1)
            return generator(latent, start.expand(len(code), -1, -1, -1), noise)

        return to_8bit(self._joined(drawn(part) for part in _parts(codes)))

    def _given(self, rgb: Image) -> Tensor:
        return pictures(torch.from_numpy(np.ascontiguousarray(rgb)).to(self._device))

    @torch.no_grad()
    def _joined(self, parts: Iterator[Tensor]) -> Floats:
        return np.concatenate([part.float().cpu().numpy() for part in parts])


class OnnxModel:
    """Exported networks, run one picture at a time as live.

    Args:
        networks: of one folder.
        motion: the folder's motion encoder.
    """

    def __init__(self, networks: exported.Networks, motion: Graph) -> None:
        self._networks, self._motion = networks, motion
        self.gains, self.size, self.seen = networks.gains, networks.sizes.image, networks.sizes.seen

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> "OnnxModel":
        """From a folder of `python -m export pdfgc` or `import-pdfgc`.

        Raises:
            ModelError: if a file is missing, damaged or does not fit the others.
        """
        networks = exported.Networks.load(folder, threads)
        if networks.motion is None:
            raise ModelError(f"{folder} has no pdfgc_motion.onnx, by which a clip drives: {exported.CURE}")
        return cls(networks, networks.motion)

    def appearance(self, rgb: Image) -> Appearance:
        """See `Model`."""
        said = self._networks.appearance.run({"image": as_input(rgb[None])})
        return Appearance(np.asarray(said["feature"][0], np.float32), np.asarray(said["map"], np.float32))

    def lips(self, windows: Floats) -> Floats:
        """See `Model`."""
        audio = self._networks.audio
        return np.concatenate([np.asarray(audio.run({"mel": window[None]})["lips"], np.float32) for window in windows])

    def motion(self, rgb: Image) -> tuple[Floats, Floats, Floats]:
        """See `Model`."""
        said = [self._motion.run({"image": as_input(one[None])}) for one in rgb]
        expression, eyes, pose = (
            np.concatenate([np.asarray(one[part], np.float32) for one in said]) for part in ("expression", "eyes", "pose")
        )
        return expression, eyes, pose

    def draw(self, who: Appearance, codes: Floats) -> Image:
        """See `Model`."""
        latents = np.concatenate([np.repeat(who.feature[None], len(codes), 0), codes], 1)
        generator = self._networks.generator
        made = [generator.run({"latent": latent[None], "map": who.map})["image"] for latent in latents]
        return to_8bit(np.concatenate([np.asarray(one, np.float32) for one in made]))


class FromPictures:
    """A face whose five factors come from five pictures; see `training.evaluate.pdfgc_matrix.Generator`."""

    def __init__(self, model: TorchModel) -> None:
        self._model = model
        self.size = max(model.size, model.seen)
        """px of the pictures that it takes and gives."""

    def __call__(self, person: Image, drivers: Image) -> Image:
        """uint8[N, size, size, 3] of uint8[size, size, 3] and uint8[N, 5, size, size, 3]."""
        made = self._model.draw(self._model.appearance(person), self._codes(drivers))
        if made.shape[1] == self.size:
            return made
        whole = (self.size, self.size)
        return np.stack([np.asarray(cv2.resize(one, whole, interpolation=cv2.INTER_CUBIC), np.uint8) for one in made])

    def _codes(self, drivers: Image) -> Floats:
        model, zero = self._model, np.zeros((len(drivers), 500), np.float32)
        code = 0.0
        for number, factor in enumerate(FACTORS):
            rgb = drivers[:, number]
            lips = model.lips_seen(rgb) if number == LIP else zero
            code = code + only(IN_CODE[factor]) * Latents(lips, *model.motion(rgb)).joined(model.gains)
        return np.asarray(code, np.float32)


def only(factor: str) -> Floats:
    """float32[542], 1 or 0: what of a motion code is one of `engine.render.pdfgc.latent.FACTORS`."""
    return 1 - kept([factor])


def _parts(rows: NDArray) -> Iterator[NDArray]:
    for first in range(0, len(rows), BATCH):
        yield rows[first : first + BATCH]

"""The motion encoder in the camera process, beside the loop that follows faces."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.contract import Graph
from engine.render.pdfgc.driver import encode, seen_px
from engine.render.pdfgc.networks import motion_encoder
from streaming.camera.messages import Encoded
from streaming.worker.loader import Loader

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    arrived: float
    rgb: NDArray[np.uint8]
    matrix: NDArray[np.float64]


class Encoding:
    """Has the motion encoder see pictures, one at a time, of each camera the newest that was followed.

    It does so in a thread: a reading waits for no encoder, and a large one takes longer than from a picture to the next.

    Args:
        encoder: `pdfgc_motion.onnx`.
    """

    def __init__(self, encoder: Graph) -> None:
        self._encoder = encoder
        self._loader = Loader()
        self._waiting: dict[int, _Sight] = {}
        self._failed = False

    @classmethod
    def load(cls, models: Path) -> "Encoding":
        """With the encoder of a folder, run once.

        Raises:
            ModelError, MissingDependency: if it cannot be loaded.
        """
        encoder = motion_encoder(models)
        encoder.run(encoder.spec.fake_inputs(0))
        return cls(encoder)

    @property
    def size(self) -> int:
        """Side of the encoder's square in px."""
        return seen_px(self._encoder)

    def fileno(self) -> int:
        """For `select`: readable when there is something to `take`."""
        return self._loader.fileno()

    def put(self, key: int, arrived: float, rgb: NDArray[np.uint8], matrix: NDArray[np.float64]) -> None:
        """See a camera's picture uint8[H, W, 3], which float64[2, 3] maps to the square, instead of one that still waits."""
        if not self._failed:
            self._waiting[key] = _Sight(arrived, rgb, matrix)
            self._go_on()

    def take(self) -> list[Encoded]:
        """What was said since the last call. An encoder that fails says so once, and no more."""
        said: list[Encoded] = []
        for loaded in self._loader.take():
            if loaded.error is None:
                said.append(loaded.value)
            else:
                self._failed = True
                self._waiting.clear()
                log.error("the motion encoder failed, cameras drive by controls alone: %s", loaded.error)
        self._go_on()
        return said

    def _go_on(self) -> None:
        if self._waiting and not self._loader.busy:
            key = min(self._waiting, key=lambda key: self._waiting[key].arrived)
            sight = self._waiting.pop(key)
            self._loader.submit(key, lambda: Encoded(key, sight.arrived, encode(self._encoder, sight.rgb, sight.matrix)))

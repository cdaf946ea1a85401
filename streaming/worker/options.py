"""What a worker process is started with."""

import dataclasses
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streaming.worker.studio import Studio

STUDIOS: Final[Mapping[str, str]] = {
    "mesh": "streaming.worker.mesh:MeshStudio",
    "pdfgc": "streaming.worker.pdfgc:PdfgcStudio",
}
"""By renderer."""

PLACES: Final = 16
"""Sessions that one worker has memory for; how many it takes is a matter of their cost."""
BEHIND_MOST_S: Final = 0.4
"""A session further behind than this (the machine slept) leaves the frames between out instead of hurrying through them."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options of all workers of a pool.

    Attributes:
        studio: "module:callable" that makes the `Studio`, one of `STUDIOS`; tests and benchmarks put their own here.
        models: folder of the networks that the studio is made with, or "" for one that needs none.
        threads: of the networks that are run for every picture.
        device: where networks run, see `engine.runtime.placement`.
        served: address of the device process that runs those of pictures (`streaming.device`), or "" to run them here.
        inject_ppm: run the worker's clock this much too fast, to prove what the drift control does.
        inject_stall_ms: hold up every 25th frame of a session by this much, to prove that the measurements notice.
        warm: portrait file that is loaded and drawn before the worker says it is ready, or "".
        sizes: picture sizes to warm up, px; the cost of a frame is measured at the last.
        canonical: those of `engine.render.pdfgc.latent.FACTORS` that stay canonical, where networks have them.
    """

    studio: str = STUDIOS["mesh"]
    models: str = ""
    threads: int = 1
    device: str = "cpu"
    served: str = ""
    inject_ppm: float = 0.0
    inject_stall_ms: float = 0.0
    warm: str = ""
    sizes: tuple[int, ...] = (512,)
    canonical: tuple[str, ...] = ()

    def encode(self) -> str:
        """One line of JSON for the worker's command line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def decode(cls, text: str) -> "WorkerOptions":
        """Inverse of `encode`."""
        fields = json.loads(text)
        return cls(**fields | {name: tuple(fields[name]) for name in ("sizes", "canonical")})

    def make_studio(self) -> "Studio":
        """The studio that these options name."""
        module, _, name = self.studio.partition(":")
        make = getattr(importlib.import_module(module), name)
        if not self.models:
            return make()
        return make(Path(self.models), self.threads, self.device, self.served, self.canonical)

    def period_s(self, fps: int) -> float:
        """Seconds from one frame to the next on the worker's clock."""
        return 1 / fps / (1 + self.inject_ppm * 1e-6)

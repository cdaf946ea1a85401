"""The studio of the `pdfgc` renderer: any portrait, and a folder of networks."""

from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

from engine.contract import MotionSource
from engine.render.pdfgc.face import Appearance, appearance_of
from engine.render.pdfgc.networks import Networks
from engine.render.pdfgc.renderer import GENERATOR, PdfgcRenderer
from engine.rig.avatar import Avatar
from streaming.contract import SessionSettings
from streaming.worker.mesh import Avatars, voice_of
from streaming.worker.studio import Clock, Performance


class PdfgcStudio:
    """Builds performances drawn by `PdfgcRenderer`; a portrait's appearance is encoded once.

    Args:
        models: folder of the networks; read when the first performance is built.
        threads: that the generator runs on.
    """

    def __init__(self, models: Path, threads: int = 1) -> None:
        self._models, self._threads = models, threads
        self._avatars = Avatars()
        self._appearances: WeakKeyDictionary[Avatar, Appearance] = WeakKeyDictionary()

    @cached_property
    def _networks(self) -> Networks:
        return Networks.load(self._models, self._threads)

    def build(self, settings: SessionSettings, portrait: str, clock: Clock, clip: MotionSource | None = None) -> Performance:
        """See `Studio`."""
        graphs = {GENERATOR: self._networks.generator}
        return Performance(settings, self.renderer(settings, portrait), voice_of(settings), clock, clip, graphs)

    def renderer(self, settings: SessionSettings, portrait: str) -> PdfgcRenderer:
        """See `Studio`."""
        avatar = self._avatars.load(Path(portrait))
        if avatar not in self._appearances:
            self._appearances[avatar] = appearance_of(avatar, self._networks)
        return PdfgcRenderer(self._networks, self._appearances[avatar], settings.size, settings.look_ahead_ms)

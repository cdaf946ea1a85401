"""The studio of the `pdfgc` renderer: any portrait, and a folder of networks."""

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

from engine.contract import MotionSource
from engine.render.pdfgc.driver import Track
from engine.render.pdfgc.face import Appearance, appearance_of
from engine.render.pdfgc.networks import Networks
from engine.render.pdfgc.renderer import PdfgcRenderer
from engine.rig.avatar import Avatar
from streaming.contract import SessionSettings
from streaming.device.link import Caller
from streaming.worker.mesh import Avatars, voice_of
from streaming.worker.studio import Clock, Performance


class PdfgcStudio:
    """Builds performances drawn by `PdfgcRenderer`; a portrait's appearance is encoded once.

    Args:
        models: folder of the networks; read when they are needed first.
        threads: that the generator runs on, where that is a CPU.
        device: where networks run, see `engine.runtime.placement`.
        served: address of the device process that runs what many sessions share, or "" if that is done here.
        canonical: factors of the latent that stay canonical, see `engine.render.pdfgc.latent.FACTORS`.
    """

    scales = False  # the networks' pictures have one size

    def __init__(
        self, models: Path, threads: int = 1, device: str = "cpu", served: str = "", canonical: Collection[str] = ()
    ) -> None:
        self._models, self._threads, self._device, self._served = models, threads, device, served
        self._canonical = canonical
        self._avatars = Avatars()
        self._appearances: WeakKeyDictionary[Avatar, Appearance] = WeakKeyDictionary()
        self.driven: Mapping[str, Track] = {}
        """By part of the latent: what a driving face does in the renderers built from now on."""

    @cached_property
    def networks(self) -> Networks:
        """Those of the folder.

        Raises:
            ModelError: if they cannot be used.
            DeviceError: if the device cannot.
        """
        if self._served:
            return Networks.of(self._models, Caller(self._served).graphs())
        return Networks.load(self._models, self._threads, self._device)

    def build(self, settings: SessionSettings, portrait: str, clock: Clock, clip: MotionSource | None = None) -> Performance:
        """See `Studio`."""
        return Performance(settings, self.renderer(settings, portrait), voice_of(settings), clock, clip)

    def renderer(self, settings: SessionSettings, portrait: str) -> PdfgcRenderer:
        """See `Studio`."""
        avatar = self._avatars.load(Path(portrait))
        if avatar not in self._appearances:
            self._appearances[avatar] = appearance_of(avatar, self.networks)
        appearance, ahead = self._appearances[avatar], settings.look_ahead_ms
        return PdfgcRenderer(self.networks, appearance, settings.size, ahead, self._canonical, self.driven)

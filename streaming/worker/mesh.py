"""The studio of the mesh renderer: any portrait, no network."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Final

from engine.contract import MotionSource
from engine.motion.head import load_style
from engine.motion.voice import VoiceSource
from engine.render.mesh import MeshRenderer
from engine.rig.archive import load
from engine.rig.avatar import Avatar
from streaming.contract import SessionSettings
from streaming.worker.studio import Clock, Performance


def voice_of(settings: SessionSettings) -> VoiceSource:
    """What moves mouth and head to the voice.

    Raises:
        ModelError: if a network or the style cannot be read.
    """
    style = load_style(Path(settings.head_style)) if settings.head_style else None
    return VoiceSource(settings.look_ahead_ms, head_style=style, seed=settings.seed)


AVATARS_KEPT: Final = 12  # about 10 MB each


class Avatars:
    """The last `AVATARS_KEPT` portraits, in memory; may be asked by several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Avatar] = OrderedDict()
        self._lock = Lock()

    def load(self, file: Path) -> Avatar:
        """The avatar of a portrait file as it is now.

        Raises:
            PortraitError: if the file cannot be used.
        """
        key = (str(file), file.stat().st_mtime_ns if file.exists() else 0)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = load(file)
            self._kept.move_to_end(key)
            while len(self._kept) > AVATARS_KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


class MeshStudio:
    """Builds performances drawn by `MeshRenderer`."""

    scales = True

    def __init__(self) -> None:
        self._avatars = Avatars()

    def build(self, settings: SessionSettings, portrait: str, clock: Clock, clip: MotionSource | None = None) -> Performance:
        """See `Studio`."""
        return Performance(settings, self.renderer(settings, portrait), voice_of(settings), clock, clip)

    def renderer(self, settings: SessionSettings, portrait: str) -> MeshRenderer:
        """See `Studio`."""
        return MeshRenderer(self._avatars.load(Path(portrait)), settings.size)

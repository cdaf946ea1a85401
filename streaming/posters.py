"""What a face looks like before it is live: the first frame that a worker would show of it."""

import asyncio
import contextlib
import io
import logging
from collections.abc import AsyncGenerator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import MienError
from streaming.contract import CapacityReached, LiveSession, LiveSessions, SessionSettings

log = logging.getLogger(__name__)

SIZE: Final = 512  # px
WAIT_S: Final = 5.0
KEPT: Final = 64
QUALITY: Final = 90


class Posters:
    """Draws posters on the workers, one at a time, and keeps the last `KEPT`.

    A poster is drawn only while nobody is live, and is given up for who wants to be (`aside`): it is not worth disturbing
    anyone.

    Args:
        sessions: where to draw.
        cheap: a session costs little; one that may fill the machine must not stand in the way of who comes next.
    """

    def __init__(self, sessions: LiveSessions, *, cheap: bool = True) -> None:
        self._sessions = sessions
        self._cheap = cheap
        self._kept: dict[tuple[str, int], bytes] = {}
        self._one = asyncio.Lock()
        self._drawing: asyncio.Task[bytes | None] | None = None
        self._coming = 0  # who is about to be live

    @contextlib.asynccontextmanager
    async def aside(self) -> AsyncGenerator[None]:
        """No poster is drawn meanwhile; one that is being drawn makes room first."""
        self._coming += 1
        try:
            if self._drawing is not None:
                self._drawing.cancel()
                await asyncio.wait([self._drawing])
            yield
        finally:
            self._coming -= 1

    async def get(self, portrait: str, version: int = 0, *, badge: bool = True) -> bytes | None:
        """A JPEG, or None when it cannot be drawn now."""
        key = (portrait, version)
        async with self._one:
            if key not in self._kept and self._is_welcome():
                if (drawn := await self._drawn(SessionSettings(portrait, size=SIZE, badge=badge))) is not None:
                    self._kept[key] = drawn
                if len(self._kept) > KEPT:
                    self._kept.pop(next(iter(self._kept)))
            return self._kept.get(key)

    def _is_welcome(self) -> bool:
        return self._cheap and self._sessions.ready and not self._coming and not self._sessions.all()

    async def _drawn(self, settings: SessionSettings) -> bytes | None:
        self._drawing = drawing = asyncio.create_task(self._draw(settings))
        try:
            await asyncio.wait([drawing])
        finally:
            drawing.cancel()  # nobody waits for it any more
            self._drawing = None
        return None if drawing.cancelled() else drawing.result()

    async def _draw(self, settings: SessionSettings) -> bytes | None:
        session: LiveSession | None = None
        try:
            session = await self._sessions.open(settings)
            async with asyncio.timeout(WAIT_S):
                async for outgoing in session.subscribe():
                    return jpeg(outgoing.video)
        except (CapacityReached, MienError, TimeoutError) as error:
            log.info("a poster was not drawn", extra={"portrait": settings.portrait, "reason": str(error)})
        finally:
            if session is not None:
                with contextlib.suppress(MienError):
                    await session.close()
        return None


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """An I420 picture uint8[size * 3 // 2, size] (BT.601, limited range) as a JPEG."""
    rgb = cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420)
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()

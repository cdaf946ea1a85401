"""One worker process, seen from the event loop."""

from collections.abc import Callable
from typing import Final

from streaming.child import Child
from streaming.worker.arena import Arena
from streaming.worker.messages import LANGUAGE, Look, Message, Sound
from streaming.worker.options import WorkerOptions

SOUND_WAITING_BYTES: Final = 200_000
"""Sound is left out while this much (about a second of one session's) waits for a worker that does not read."""


class WorkerProcess(Child[Message]):
    """A running worker. `hear` gets its messages, `gone` is called once when it has ended or hung up."""

    def __init__(self, hear: Callable[[Message], None], gone: Callable[[], None]) -> None:
        super().__init__(LANGUAGE, hear, gone)

    async def start(self, options: WorkerOptions, arena: Arena) -> None:
        """Start the process; returns at once, the worker says `Ready` when it is."""
        words = ["--arena", str(arena.descriptor), "--options", options.encode()]
        await self.launch("streaming.worker", words, [arena.descriptor])

    def send(self, message: Message) -> None:
        """Send; sound that would pile up is left out, and so are looks."""
        if not (isinstance(message, Sound | Look) and self.waiting_bytes > SOUND_WAITING_BYTES):
            super().send(message)

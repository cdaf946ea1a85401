"""One worker process, seen from the event loop."""

from typing import Final

from streaming.child import Child
from streaming.worker.messages import Encoded, Look, Message, Sound

SOUND_WAITING_BYTES: Final = 200_000
"""Sound is left out while this much (about a second of one session's) waits for a worker that does not read."""


class WorkerProcess(Child[Message]):
    """A running worker. `hear` gets its messages, `gone` is called once when it has ended or hung up."""

    def send(self, message: Message) -> None:
        """Send; sound that would pile up is left out, and so are looks."""
        if not (isinstance(message, Sound | Look | Encoded) and self.waiting_bytes > SOUND_WAITING_BYTES):
            super().send(message)

"""What can go wrong with speech."""

from engine.errors import MienError


class SpeechError(MienError):
    """A tool that is missing, or speech without phones."""

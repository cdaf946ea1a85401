"""What can go wrong with the factorial set."""

from engine.errors import MienError


class SynthesisError(MienError):
    """The factorial set cannot be made or read."""

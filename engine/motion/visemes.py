"""What a mouth in speech is described by."""

from typing import Final

VISEMES: Final = ("sil", "mm", "ff", "aa", "eh", "ee", "oh", "oo", "sh", "ss", "dd", "kk", "rr")
"""What lips can tell apart: silence; m b p; f v; a; e; i; o; u w; sh ch; s z; t d n l th; k g ng h; r."""

ARTICULATORS: Final = ("jaw", "close", "press", "funnel", "pucker", "stretch", "lower", "upper", "roll")
"""jawOpen, the share of it that mouthClose takes back, mouthPress, mouthFunnel, mouthPucker, mouthStretch, mouthLowerDown,
mouthUpperUp, mouthRollLower."""

"""Head styles of clips, learned once: a session names the file, so that any worker can read it."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError, ModelError
from engine.motion.head import ENCODER, load_style, save_style

log = logging.getLogger(__name__)

Learn = Callable[[Path], NDArray[np.float32]]
"""From a clip to its style, float32[6, 33]; raises a MienError when the clip does not show it."""

SUFFIX: Final = ".npz"


def style_file(clip: Path, learn: Learn) -> Path:
    """The file that holds the style of a clip: the clip itself if it is a style already, else one in the user's cache.

    Raises:
        MienError: if the clip cannot be read, or does not show how a head moves.
        ModelError: if it is a style of another version.
    """
    if clip.suffix == SUFFIX:
        load_style(clip)
        return clip.resolve()
    file = cache_root() / f"{_digest(clip)}{SUFFIX}"
    with contextlib.suppress(ModelError):
        load_style(file)
        return file
    style = learn(clip)
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_style(part, style)
        os.replace(part, file)
    except OSError as error:
        raise MienError(f"the head's style cannot be kept in {file.parent}: {error.strerror}; set XDG_CACHE_HOME") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return file


def chosen(clip: Path | None) -> Path | None:
    """The file for a clip named on the command line; says so if learning it takes time. None if none was named.

    Raises:
        MienError: see `style_file`.
    """
    if clip is None:
        return None

    def learn(clip: Path) -> NDArray[np.float32]:
        from streaming.head_style import head_style_of  # heavy, and needs the face tracker

        log.warning("learning how the head moves from %s (once) ...", clip.name)
        return head_style_of(clip)

    return style_file(clip, learn)


def cache_root() -> Path:
    """Where learned styles are kept: `$XDG_CACHE_HOME/mien/head-styles`, by default in `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(home) if os.path.isabs(home) else Path.home() / ".cache"
    return cache / "mien" / "head-styles"


def _digest(clip: Path) -> str:
    """Of the clip's bytes and of the network that reads them."""
    digest = hashlib.sha256()
    try:
        with clip.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if ENCODER.exists():
            digest.update(ENCODER.read_bytes())
    except OSError as error:
        raise MienError(f"--head-style {clip}: {error.strerror}; give a clip of a talking person, or a style file") from error
    return digest.hexdigest()[:32]

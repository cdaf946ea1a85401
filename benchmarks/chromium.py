"""A headless Chromium with a microphone of its own, driven by Playwright."""

import shutil
import tempfile
import wave
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.errors import MissingDependency
from engine.timeline import SAMPLE_RATE_HZ

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


def browser_tools() -> tuple[Any, str | None]:
    """What starts Playwright, and Chromium's path if it is known.

    Raises:
        MissingDependency: without Playwright.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingDependency("suite browser drives Chromium by Playwright: pip install playwright") from error
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return sync_playwright, chromium


@contextmanager
def launched(tools: Any, chromium: str | None) -> Generator[Any]:
    """A running headless Chromium.

    Raises:
        MissingDependency: if it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "microphone.wav"
        _write_wav(sound)
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={sound}"]
        try:
            browser = tools.chromium.launch(executable_path=chromium, headless=True, args=flags)
        except Exception as error:  # Playwright's own class, which is not imported where it may be missing
            cure = "install Debian's chromium, or run: playwright install chromium"
            raise MissingDependency(f"Chromium does not start; {cure}") from error
        try:
            yield browser
        finally:
            browser.close()


def _write_wav(file: Path) -> None:
    """Two seconds of syllables, which Chromium's fake microphone repeats."""
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    voiced = np.sin(2 * np.pi * 120 * t) + 0.5 * np.sin(2 * np.pi * 720 * t) + 0.3 * np.sin(2 * np.pi * 1200 * t)
    sound = 0.25 * voiced * np.clip(np.sin(2 * np.pi * 3 * t), 0, 1)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((sound * 32767).astype("<i2").tobytes())

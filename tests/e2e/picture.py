"""Makes the README's picture of the page: `python -m tests.e2e.picture [OUT] [--face ID] [--scheme dark]`.

The real server, a real face, the project's own sample as the microphone, one
of the built-in people before the camera; the numbers in the picture are what
this machine measured. Of several pictures it
keeps one in which the voice is about as loud as speech is on average.
"""

import argparse
import io
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.chromium import FLAGS
from streaming.capture.sample import samples
from tests.e2e.conftest import CHROMIUM
from tests.e2e.sitter import write_sitter
from tests.e2e.test_page_live import Serve

SIZE = {"width": 1360, "height": 850}
SETTLE_MS = 6000  # until medians mean something
PICTURES = 12
SPEECH_DB = -20  # of the meter
STEP = 3  # levels of grey that become one: the file stays below 400 kB and no eye sees it


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs/pictures/page.png"))
    parser.add_argument("--face", default="amara")
    parser.add_argument("--sitter", default="samuel", help="who sits before the camera")
    parser.add_argument("--scheme", default="light", choices=("light", "dark"))
    parser.add_argument("--take", type=int, help=f"which of the {PICTURES} to keep, when the one chosen shows a blink")
    parser.add_argument("--all", type=Path, help="folder for all of them")
    args = parser.parse_args()
    server = Serve()
    try:
        server.wait_until_warm()
        with tempfile.TemporaryDirectory() as folder:
            voice = Path(folder) / "voice.wav"
            write_voice(voice)
            sitter = write_sitter(Path(folder) / "sitter.mjpeg", args.sitter)
            shots = pictures(server.url, voice, sitter, args.face, args.scheme)
        server.end()
    finally:
        server.close()
    for i, (_, shot) in enumerate(shots if args.all else []):
        (args.all / f"{i}.png").write_bytes(shot)
    _, best = min(shots, key=lambda shot: abs(shot[0] - SPEECH_DB)) if args.take is None else shots[args.take]
    with Image.open(io.BytesIO(best)) as picture:
        coarse = np.minimum((np.asarray(picture.convert("RGB"), np.uint16) + STEP // 2) // STEP * STEP, 255).astype(np.uint8)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).save(args.out, optimize=True)


def write_voice(file: Path) -> None:
    """The first sample as a WAV, for Chromium's fake microphone."""
    pcm = next(iter(samples().values()))
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())


def pictures(url: str, voice: Path, sitter: Path, face: str, scheme: Any) -> list[tuple[float, bytes]]:
    """PNG files with the level of the voice in each."""
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={voice}", f"--use-file-for-fake-video-capture={sitter}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = browser.new_context(viewport=SIZE, color_scheme=scheme, permissions=["microphone", "camera"])  # pyright: ignore
        page = context.new_page()
        page.goto(url)
        page.click(f"label:has(input[value={face}])")
        page.click("#webcam")
        page.click("#start:enabled")
        page.wait_for_selector("#stage[data-state=live]")
        page.wait_for_selector("#webcam-state:text('Following')")
        page.mouse.move(2, SIZE["height"] - 2)
        page.wait_for_timeout(SETTLE_MS)
        shots: list[tuple[float, bytes]] = []
        for _ in range(PICTURES):
            page.wait_for_timeout(310)
            level = float(page.get_attribute("#meter", "aria-valuenow") or -60)
            shots.append((level, page.screenshot()))
        browser.close()
    return shots


if __name__ == "__main__":
    main()

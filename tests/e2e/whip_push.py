"""FFmpeg's own WHIP muxer as a voice and a camera: `python -m tests.e2e.whip_push URL CERTIFICATE KEY SECONDS`.

A process of its own: the muxer waits for the server inside one call, and the server is the test's.
"""

import sys
import time

import av
import numpy as np

FPS, RATE_HZ, SIZE = 25, 48_000, 256
PACKET = RATE_HZ // 50


def push(url: str, certificate: str, key: str, seconds: int) -> None:
    """Send a grey picture and a tone; a certificate of its own, as the muxer's automatic one fails DTLS."""
    with av.open(url, "w", format="whip", options={"cert_file": certificate, "key_file": key}) as out:
        video = out.add_stream(
            "libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        )
        video.width = video.height = SIZE
        video.pix_fmt, video.gop_size = "yuv420p", FPS
        audio = out.add_stream("libopus", rate=RATE_HZ, layout="stereo")
        tone = (8000 * np.sin(2 * np.pi * 300 * np.arange(PACKET) / RATE_HZ)).astype(np.int16)
        began = time.monotonic()
        for index in range(seconds * FPS):
            picture = av.VideoFrame(SIZE, SIZE, "yuv420p")
            picture.pts = index
            out.mux(video.encode(picture))
            for half in range(2):
                sound = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="s16", layout="stereo")
                sound.sample_rate, sound.pts = RATE_HZ, (2 * index + half) * PACKET
                out.mux(audio.encode(sound))
            time.sleep(max(0.0, began + (index + 1) / FPS - time.monotonic()))


if __name__ == "__main__":
    push(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))

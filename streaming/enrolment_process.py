"""The process in which one stranger's photo is decoded and enrolled; it ends with it.

It first loads all it needs, then gives up what it does not (files, memory, CPU
time), says that it is ready, and only then reads the photo. Messages are a
letter, four bytes of length (big-endian), and the body:

    in    J  JSON {"name", "label", "consent"}, then  P  the photo
    out   R  ready            L  a line about what is being done
          F  the portrait file          E  JSON {"error": class, "message": line, "where": place in our code}
"""

import json
import os
import resource
import struct
import sys
import traceback
from dataclasses import asdict, dataclass
from typing import BinaryIO, Final

PHOTO_BYTES_AT_MOST: Final = 128 << 20
TOO_MUCH: Final = "this photo needs more memory or time than enrolling may use; save it smaller and try again"
HEADER: Final = struct.Struct(">cI")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process may use from the moment it is ready.

    Attributes:
        memory_mb: of address space, beyond what it has then.
        cpu_s: of CPU time, likewise.
        files: open at once; it may write to none.
        local: whether the photo is the user's own, from the command line, and may be larger.
    """

    memory_mb: int = 1536
    cpu_s: int = 20
    files: int = 32
    local: bool = False


def command(limits: Limits) -> list[str]:
    """The command that starts the process."""
    return [sys.executable, "-P", "-m", "streaming.enrolment_process", json.dumps(asdict(limits))]


def environment() -> dict[str, str]:
    """All that the process learns of its surroundings: where Python and this program are."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB", "NUMBA")}
    return {**kept, **single, "PYTHONPATH": root, "LANG": "C.UTF-8", "HOME": "/nonexistent"}


def main(argument: str) -> int:
    """Enrol the photo on standard input; everything goes to standard output as messages."""
    limits = Limits(**json.loads(argument))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no message
    try:
        _serve(limits, sys.stdin.buffer, out)
    except BrokenPipeError:
        return 1
    except BaseException as error:  # the process's boundary: it ends here, and says why
        told = {"error": type(error).__name__, "message": _line(error), "where": _where(error)}
        if _out_of_memory(error):
            told |= {"error": "PortraitError", "message": TOO_MUCH}
        _send(out, b"E", json.dumps(told).encode())
    return 0


def _serve(limits: Limits, source: BinaryIO, out: BinaryIO) -> None:
    import cv2

    from engine.enrol.enrol import portrait_of
    from engine.enrol.framing import frame_face
    from engine.enrol.photo import LOCAL, UPLOAD, decode_photo
    from engine.face.finder import Finder
    from engine.rig.archive import Card, pack

    cv2.setNumThreads(1)
    tracker = Finder.load()
    os.nice(10)
    restrict(limits)
    _send(out, b"R", b"")
    about, photo = json.loads(_receive(source, b"J")), _receive(source, b"P")
    _send(out, b"L", b"Looking for a face")
    framed = frame_face(decode_photo(photo, LOCAL if limits.local else UPLOAD), tracker)
    _send(out, b"L", b"Building the face")
    portrait = portrait_of(framed, Card(about["name"], about["label"], about["consent"], origin="a photo"))
    _send(out, b"L", b"Storing the portrait")
    _send(out, b"F", pack(portrait))


def restrict(limits: Limits) -> None:
    """Give up all but `limits`. What a system does not limit (address space on macOS) stays as it is."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + 1 + limits.cpu_s
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: limits.files,
        resource.RLIMIT_CPU: cpu_s,
    }
    if address_space := _address_space():
        wanted[resource.RLIMIT_AS] = address_space + (limits.memory_mb << 20)
    for what, amount in wanted.items():
        _, hard = resource.getrlimit(what)
        most = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(what, (most, most))


def _address_space() -> int:
    """Bytes of address space in use, or 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _send(out: BinaryIO, kind: bytes, body: bytes) -> None:
    out.write(HEADER.pack(kind, len(body)) + body)
    out.flush()


def _receive(source: BinaryIO, kind: bytes) -> bytes:
    header = source.read(HEADER.size)
    if not header:
        sys.exit(0)  # the parent is gone, or needs no photo enrolled after all
    found, length = HEADER.unpack(header)
    if found != kind or length > PHOTO_BYTES_AT_MOST:
        raise ValueError(f"expected {kind!r} of at most {PHOTO_BYTES_AT_MOST} bytes, got {found!r} of {length}")
    return source.read(length)


def _out_of_memory(error: BaseException) -> bool:
    """Whether that is what it was: OpenCV and ONNX Runtime say so in errors of their own."""
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in ("alloc", "insufficient memory"))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


def _where(error: BaseException) -> str:
    """File and line at which it was raised; no values, so nothing of the photo."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

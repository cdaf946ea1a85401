import asyncio
import json
import sys
from pathlib import Path

import pytest

from engine.errors import MissingDependency, NoFace, PortraitError, SeveralFaces, UnreadablePhoto
from engine.rig.archive import Card, unpack
from streaming.enrolment import AT_ONCE, WAITING, Enroller, EnrolmentBusy
from streaming.enrolment_process import HEADER, Limits, environment

CARD = Card("Me", "a photo", "I agree. Signed: me.")
PICTURES = Path(__file__).parents[2] / "engine" / "models" / "portraits" / "source"

READ = "h = i.read(5); i.read(int.from_bytes(h[1:], 'big')); h = i.read(5); photo = i.read(int.from_bytes(h[1:], 'big'))"


def process(*steps: str) -> list[str]:
    """A stand-in for the enrolling process: `say(kind, body)` sends, READ takes the photo."""
    prelude = "import sys, time; i, o = sys.stdin.buffer, sys.stdout.buffer"
    say = "def say(k, b): o.write(k + len(b).to_bytes(4, 'big') + b); o.flush()"
    return [sys.executable, "-c", "\n".join([prelude, say, *steps])]


def refusal(kind: str, line: str) -> str:
    return f"say(b'E', {json.dumps({'error': kind, 'message': line}).encode()!r})"


async def test_the_photo_goes_in_and_the_portrait_comes_out() -> None:
    told: list[str] = []
    enroller = Enroller(start=process("say(b'R', b'')", READ, "say(b'L', b'Looking')", "say(b'F', photo[::-1])"))
    assert await enroller.enrol(b"photo" * 100_000, CARD, told.append) == b"otohp" * 100_000
    assert told == ["Looking"]


@pytest.mark.parametrize("kind", [NoFace, SeveralFaces, UnreadablePhoto, MissingDependency])
async def test_refusals_come_back_as_what_they_are(kind: type[Exception]) -> None:
    enroller = Enroller(start=process("say(b'R', b'')", READ, refusal(kind.__name__, "one\nline")))
    with pytest.raises(kind, match=r"^one line$"):
        await enroller.enrol(b"photo", CARD)


async def test_a_missing_tracker_is_told_before_the_photo_is_sent() -> None:
    with pytest.raises(MissingDependency, match="ONNX Runtime"):
        await Enroller(start=process(refusal("MissingDependency", "ONNX Runtime cannot be loaded"))).enrol(b"photo", CARD)


@pytest.mark.parametrize(
    "told", [refusal("KeyError", "secret"), refusal("MienError.__subclasses__", ""), "say(b'E', b'{')", "say(b'E', b'[]')"]
)
async def test_a_crash_is_told_in_general_words(told: str) -> None:
    with pytest.raises(PortraitError, match="could not be enrolled") as error:
        await Enroller(start=process("say(b'R', b'')", told)).enrol(b"photo", CARD)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "end", ["sys.exit(3)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "o.write(b'F\\0\\0'); o.flush()"]
)
async def test_a_process_that_dies_is_one_line(end: str) -> None:
    with pytest.raises(PortraitError, match="more memory or time"):
        await Enroller(start=process("say(b'R', b'')", end)).enrol(b"photo" * 200_000, CARD)


@pytest.mark.parametrize("noise", ["o.write(b'F' + b'\\xff' * 4); o.flush()", "o.write(b'hello world'); o.flush()"])
async def test_a_babbling_process_is_not_listened_to(noise: str) -> None:
    with pytest.raises(PortraitError, match="something else than a portrait"):
        await Enroller(start=process("say(b'R', b'')", READ, noise, "time.sleep(60)")).enrol(b"photo", CARD)


async def test_a_process_that_takes_too_long_is_ended() -> None:
    enroller = Enroller(start=process("say(b'R', b'')", READ, "time.sleep(60)"), work_s=0.05)
    with pytest.raises(PortraitError, match="was stopped"):
        await enroller.enrol(b"photo", CARD)
    with pytest.raises(PortraitError, match="preparing to enrol"):
        await Enroller(start=process("time.sleep(60)"), start_s=0.05).enrol(b"photo", CARD)


async def test_photos_wait_in_turn_and_no_more_than_a_few() -> None:
    enroller = Enroller(start=process("say(b'R', b'')", READ, "say(b'F', photo)"))
    jobs = [asyncio.create_task(enroller.enrol(b"%d" % i, CARD)) for i in range(AT_ONCE + WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(EnrolmentBusy, match="try again"):
        await enroller.enrol(b"one too many", CARD)
    assert await asyncio.gather(*jobs) == [b"%d" % i for i in range(AT_ONCE + WAITING)]
    assert await enroller.enrol(b"later", CARD) == b"later"


async def test_who_gives_up_frees_the_place() -> None:
    enroller = Enroller(start=process("say(b'R', b'')", READ, "time.sleep(60)"))
    job = asyncio.create_task(enroller.enrol(b"photo", CARD))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    enroller._start = process("say(b'R', b'')", READ, "say(b'F', photo)")
    assert await enroller.enrol(b"photo", CARD) == b"photo"


async def test_a_process_started_ahead_is_used_once() -> None:
    enroller = Enroller(start=process("import os", "say(b'R', b'')", READ, "say(b'F', str(os.getpid()).encode())"))
    await enroller.prepare()
    spare = enroller._spare
    assert spare is not None
    assert await enroller.enrol(b"photo", CARD) == str(spare.pid).encode()
    assert await enroller.enrol(b"photo", CARD) != str(spare.pid).encode()
    await enroller.prepare()
    spare = enroller._spare
    assert spare is not None
    await enroller.close()
    assert spare.returncode is not None


async def test_preparing_twice_at_once_starts_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    enroller = Enroller(start=process("say(b'R', b'')", READ))
    spawned: list[asyncio.subprocess.Process] = []

    async def counted() -> asyncio.subprocess.Process:
        spawned.append(await spawn())
        return spawned[-1]

    spawn = enroller._spawn
    monkeypatch.setattr(enroller, "_spawn", counted)
    await asyncio.gather(enroller.prepare(), enroller.prepare(), enroller.prepare())
    assert len(spawned) == 1
    await enroller.close()


def test_the_process_learns_little_of_its_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    told = environment()
    assert "SECRET_TOKEN" not in told
    assert set(told) <= {
        "PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "PYTHONPATH", "LANG", "HOME",
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_NUM_THREADS", "NUMBA_NUM_THREADS",
    }  # fmt: skip


def test_messages_have_a_letter_and_a_length() -> None:
    assert HEADER.pack(b"P", 258) == b"P\0\0\1\2"


async def test_a_real_photo_becomes_a_portrait_that_holds_its_consent() -> None:
    told: list[str] = []
    portrait = unpack(await Enroller(start_s=120, work_s=120).enrol((PICTURES / "ravi.png").read_bytes(), CARD, told.append))
    assert portrait.card.name == "Me"
    assert portrait.card.consent == "I agree. Signed: me."
    assert portrait.avatar.landmarks.shape == (478, 3)
    assert told == ["Looking for a face", "Building the face", "Storing the portrait"]


async def test_the_real_process_refuses_in_one_line_and_within_its_limits() -> None:
    with pytest.raises(UnreadablePhoto, match="not a JPEG"):
        await Enroller(start_s=120).enrol(b"Dear diary", CARD)
    with pytest.raises(PortraitError, match="memory"):
        await Enroller(Limits(memory_mb=1), start_s=120).enrol((PICTURES / "ravi.png").read_bytes(), CARD)

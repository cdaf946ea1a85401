import asyncio
import contextlib
from pathlib import Path

import av
import pytest
from av.error import FFmpegError

from streaming.camera.decoder import Decoder
from streaming.capture import camera as module
from streaming.capture.camera import CameraError, CameraFeed, PictureReader, Place, find
from streaming.contract import CodedPicture
from tests.unit.films import HEIGHT, WIDTH, bar, film


@pytest.mark.parametrize(
    ("wanted", "platform", "place"),
    [
        ("", "linux", Place("/dev/video0", "v4l2", "video0")),
        ("2", "linux", Place("/dev/video2", "v4l2", "video2")),
        ("/dev/video7", "linux", Place("/dev/video7", "v4l2", "video7")),
        ("a/film.mp4", "linux", Place("a/film.mp4", "", "film.mp4")),
        ("rtsp://me:secret@door/stream?key=1", "linux", Place("rtsp://me:secret@door/stream?key=1", "", "door/stream")),
        ("", "darwin", Place("0:none", "avfoundation", "camera 0")),
        ("FaceTime", "darwin", Place("FaceTime:none", "avfoundation", "camera FaceTime")),
        ("Integrated Camera", "win32", Place("video=Integrated Camera", "dshow", "Integrated Camera")),
    ],
)
def test_a_camera_is_named_as_its_system_does(wanted: str, platform: str, place: Place) -> None:
    assert find(wanted, platform) == place


def test_windows_has_no_first_camera() -> None:
    with pytest.raises(CameraError, match="give the camera's name"):
        find("", "win32")


def test_a_films_pictures_come_as_they_are_coded(tmp_path: Path) -> None:
    reader = PictureReader(find(str(film(tmp_path / "a.mp4", [bar(0.1 * i) for i in range(8)]))))
    decoder, times, pictures = None, [], 0
    while (got := reader.read()) is not None:
        time_s, picture = got
        decoder = decoder or Decoder(picture.codec)
        times.append(time_s)
        frame = decoder.decode(picture.data)
        pictures += frame is not None
        assert frame is None or (frame.width, frame.height) == (WIDTH, HEIGHT)
    reader.close()
    assert times == sorted(times)
    assert len(times) == 8
    assert pictures > 0


@contextlib.contextmanager
def says(line: str):
    with pytest.raises(CameraError, match=line) as caught:
        yield
    assert "\n" not in str(caught.value)


def test_what_is_no_film_is_said_in_one_line(tmp_path: Path) -> None:
    with says("there is no film none.mp4"):
        PictureReader(find(str(tmp_path / "none.mp4")))
    with says("is a folder|cannot be read as pictures"):
        PictureReader(find(str(tmp_path)))
    (tmp_path / "text.mp4").write_text("no film at all")
    with says("text.mp4 cannot be read as pictures: it is no film"):
        PictureReader(find(str(tmp_path / "text.mp4")))
    sound = Path(next(iter(sorted(Path("engine/models/samples").glob("*.opus")))))
    with says("has no pictures"):
        PictureReader(find(str(sound)))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "gone"), "there is no camera video9"),
        (PermissionError(13, "no"), "video9 may not be opened: sudo usermod"),
        (OSError(16, "busy"), "video9 is used by another program"),
        (OSError(5, "Input/output error"), "video9 cannot be read as pictures: Input/output error"),
    ],
)
def test_what_is_wrong_with_a_device_is_said_in_one_line(error: OSError, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(av, "open", refuse)
    with says(line):
        PictureReader(find("9", "linux"))


def test_a_device_is_asked_for_less_when_it_refuses_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file, asked, real = film(tmp_path / "a.mp4", [bar(0.5)]), [], av.open

    def pick(*_: object, options: dict[str, str], **__: object) -> object:
        asked.append(options)
        if options:
            raise ValueError("Invalid argument")
        return real(str(file))

    monkeypatch.setattr(av, "open", pick)
    PictureReader(find("0", "linux")).close()
    assert [len(options) for options in asked] == [3, 1, 0]


async def test_a_film_plays_in_real_time_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = CameraFeed(str(film(tmp_path / "a.mp4", [bar(0.5)] * 3, fps=100)))
    feed.check()
    pushed: list[CodedPicture] = []
    enough = asyncio.Event()

    def push(picture: CodedPicture) -> None:
        pushed.append(picture)
        if len(pushed) == 7:
            enough.set()

    task = asyncio.create_task(feed.feed(push))
    await asyncio.wait_for(enough.wait(), 20)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert [picture.arrived for picture in pushed] == sorted(picture.arrived for picture in pushed)
    assert pushed[0].key
    assert pushed[3].key


async def test_a_device_that_vanishes_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, real = film(tmp_path / "a.mp4", [bar(0.5)] * 3), av.open
    monkeypatch.setattr(av, "open", lambda *_, **__: real(str(file)))
    with says("video0 has ended; is it still connected"):
        await CameraFeed("0" if module.sys.platform == "linux" else "/dev/video0").feed(lambda _: None)


def test_a_stream_that_breaks_off_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PictureReader(find(str(film(tmp_path / "a.mp4", [bar(0.5)] * 3))))

    def broken() -> None:
        raise FFmpegError(5, "Input/output error")

    monkeypatch.setattr(reader, "_packets", iter(broken, 1))
    with says("a.mp4 has ended: Input/output error"):
        reader.read()
    reader.close()

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import NoFace, PortraitError
from engine.rig.archive import Card
from streaming import portraits
from streaming.portraits import BUILTIN, PORTRAIT_ID, PortraitLibrary, default_root

MEI = BUILTIN / "mei.mien"


class Copying:
    """Enrols every photo as one of the built-in people."""

    def __init__(self) -> None:
        self.cards: list[Card] = []

    async def enrol(self, photo: bytes, card: Card, progress: Callable[[str], None]) -> bytes:
        if not photo:
            raise NoFace("no face was found")
        self.cards.append(card)
        progress("Building the face")
        return MEI.read_bytes()

    async def close(self) -> None: ...


@pytest.fixture
def library(tmp_path: Path) -> PortraitLibrary:
    return PortraitLibrary(tmp_path / "own", enroller=Copying())  # type: ignore[arg-type]


def own(library: PortraitLibrary) -> list[str]:
    return [info.id for info in library.all() if not info.builtin]


def test_the_built_in_people_are_there(library: PortraitLibrary) -> None:
    listed = library.all()
    assert [info.id for info in listed] == ["amara", "edith", "marco", "mei", "ravi", "samuel"]
    for info in listed:
        assert info.builtin
        assert info.name
        assert info.label
        assert "synthetic" in info.consent.lower()


def test_a_thumbnail_is_a_small_png(library: PortraitLibrary) -> None:
    body, media_type = library.thumbnail("mei")
    assert body.startswith(b"\x89PNG")
    assert media_type == "image/png"
    assert len(body) < 200_000


def test_a_stored_portrait_is_listed_first_and_private(library: PortraitLibrary) -> None:
    info = library.store(MEI.read_bytes(), "Zoë am Meer!")
    assert info.id.startswith("zoe-am-meer-")
    assert PORTRAIT_ID.match(info.id)
    assert library.all()[0] == info
    assert library.path(info.id).read_bytes() == MEI.read_bytes()
    assert stat.S_IMODE(library.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(library.path(info.id).stat().st_mode) == 0o600
    assert [file.name for file in library.root.iterdir()] == [f"{info.id}.mien"]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "日本", "a" * 300, "--", "x\0y"])
def test_any_name_makes_a_harmless_id(library: PortraitLibrary, name: str) -> None:
    info = library.store(MEI.read_bytes(), name)
    assert PORTRAIT_ID.match(info.id)
    assert library.path(info.id).parent == library.root


@pytest.mark.parametrize("name", ["../mei", "/etc/passwd", "mei.mien", "", "MEI", "nobody", "a" * 65, "mei\n"])
def test_ids_that_are_no_portrait_are_refused(library: PortraitLibrary, name: str) -> None:
    for call in (library.path, library.get, library.thumbnail, library.remove):
        with pytest.raises(PortraitError, match="there is no portrait"):
            call(name)


async def test_enrolling_stores_what_the_page_sent(library: PortraitLibrary) -> None:
    told: list[str] = []
    info = await library.enrol(b"photo", " Me ", " I agree. Signed: me, 2026-11-21. ", told.append)
    enroller = library._enroller
    assert isinstance(enroller, Copying)
    assert enroller.cards[0].name == "Me"
    assert enroller.cards[0].consent == "I agree. Signed: me, 2026-11-21."
    assert own(library) == [info.id]
    assert told == ["Building the face"]


async def test_without_consent_no_photo_is_used(library: PortraitLibrary) -> None:
    with pytest.raises(PortraitError, match="agrees"):
        await library.enrol(b"photo", "Me", "  ", lambda line: None)
    assert own(library) == []


async def test_a_photo_that_fails_leaves_nothing(library: PortraitLibrary) -> None:
    with pytest.raises(NoFace):
        await library.enrol(b"", "Me", "I agree", lambda line: None)
    assert not library.root.exists()


def test_only_own_portraits_can_be_removed(library: PortraitLibrary) -> None:
    info = library.store(MEI.read_bytes(), "me")
    library.remove(info.id)
    assert own(library) == []
    with pytest.raises(PortraitError, match="stays"):
        library.remove("mei")
    assert MEI.exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(library: PortraitLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(portraits.os, "fsync", full)
    with pytest.raises(PortraitError, match="No space left on device") as refusal:
        library.store(MEI.read_bytes(), "me")
    assert "\n" not in str(refusal.value)
    assert list(library.root.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    library = PortraitLibrary(tmp_path / "file" / "portraits", enroller=Copying())  # type: ignore[arg-type]
    assert len(library.all()) == 6
    with pytest.raises(PortraitError, match="cannot be stored"):
        library.store(MEI.read_bytes(), "me")


def test_damaged_and_foreign_files_are_left_out(library: PortraitLibrary) -> None:
    info = library.store(MEI.read_bytes(), "me")
    (library.root / "broken.mien").write_bytes(MEI.read_bytes()[:5000])
    (library.root / "text.mien").write_text("hello")
    (library.root / "notes.txt").write_text("hello")
    (library.root / "folder.mien").mkdir()
    (library.root / "Bad Name.mien").write_bytes(MEI.read_bytes())
    (library.root / "mei.mien").write_bytes(MEI.read_bytes())  # does not hide the built-in one
    assert own(library) == [info.id]


def test_a_file_that_changed_is_read_again(library: PortraitLibrary) -> None:
    info = library.store(MEI.read_bytes(), "me")
    assert library.get(info.id).name == "Mei"
    library.path(info.id).write_bytes((BUILTIN / "ravi.mien").read_bytes())
    assert library.get(info.id).name == "Ravi"


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_root() == tmp_path / "mien" / "portraits"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".local" / "share" / "mien" / "portraits"

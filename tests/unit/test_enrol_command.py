import argparse
import datetime
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import MienError, PortraitError, UnreadablePhoto
from engine.rig.archive import unpack
from streaming.cli import enrol
from streaming.portraits import BUILTIN, PortraitLibrary

MEI = BUILTIN / "mei.mien"


class Terminal(io.StringIO):
    """A terminal at which these lines are typed."""

    def isatty(self) -> bool:
        return True


def parsed(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    enrol.add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(["enrol", *map(str, words)])


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    async def copied(photo: bytes, card: object) -> bytes:
        return MEI.read_bytes()

    monkeypatch.setattr(enrol, "_enrol", copied)
    file = tmp_path / "me.jpg"
    file.write_bytes(b"a photo")
    return file


def test_a_portrait_is_stored_among_the_users_own(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enrol.run(parsed(photo, "--consent", "I agree", "--portraits", tmp_path / "own", "--name", "Me")) == 0
    (info,) = (info for info in PortraitLibrary(tmp_path / "own").all() if not info.builtin)
    assert info.id.startswith("me-")
    assert f"--portrait {info.id}" in capsys.readouterr().out


def test_a_portrait_can_be_written_anywhere(photo: Path, tmp_path: Path) -> None:
    assert enrol.run(parsed(photo, "--consent", "I agree", "--out", tmp_path / "x.mien")) == 0
    assert (tmp_path / "x.mien").read_bytes() == MEI.read_bytes()


def test_a_preview_shows_every_look(tmp_path: Path) -> None:
    enrol.draw_preview(unpack(MEI.read_bytes()), tmp_path / "p.png")
    picture = np.asarray(Image.open(tmp_path / "p.png"))
    assert picture.shape == (enrol.PREVIEW_SIZE, enrol.PREVIEW_SIZE * len(enrol.LOOKS), 3)
    looks = np.split(picture, len(enrol.LOOKS), axis=1)
    assert all(np.abs(look.astype(int) - looks[0]).max() > 40 for look in looks[1:])


@pytest.mark.parametrize("option", ["--out", "--preview"])
def test_a_folder_that_is_not_there_is_told_before_the_work(photo: Path, tmp_path: Path, option: str) -> None:
    with pytest.raises(MienError, match=f"no folder.*{option}"):
        enrol.run(parsed(photo, "--consent", "I agree", option, tmp_path / "nowhere" / "x"))


@pytest.mark.parametrize("name", ["absent.jpg", "."])
def test_a_photo_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadablePhoto, match="give the path of a photo") as error:
        enrol.run(parsed(tmp_path / name, "--consent", "I agree"))
    assert "\n" not in str(error.value)


def test_without_a_terminal_the_consent_is_an_option(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("me\n"))
    with pytest.raises(PortraitError, match="add --consent"):
        enrol.run(parsed(photo))


def test_in_a_terminal_the_consent_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("  Ada \n"))
    before = datetime.date.today()
    signed = enrol.consent_of("")
    days = {before.isoformat(), datetime.date.today().isoformat()}  # it may be midnight
    assert signed in {f"{enrol.STATEMENT} Signed: Ada, {day}." for day in days}


@pytest.mark.parametrize("typed", ["\n", ""])
def test_what_is_not_signed_is_not_used(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    with pytest.raises(PortraitError, match="not signed"):
        enrol.consent_of("")

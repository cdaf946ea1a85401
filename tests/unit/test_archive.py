import contextlib
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.enrol.people import FOLDER
from engine.errors import PortraitError
from engine.rig.archive import FILE_LIMIT, load, pack, read_card, save, unpack

MEI = FOLDER / "mei.mien"


def rewritten(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The bytes of a portrait file whose entries were changed by hand."""
    with zipfile.ZipFile(MEI) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    change(entries)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def signed(entries: dict[str, bytes], name: str, data: bytes) -> None:
    """Replace an entry and its hash, as a forger would."""
    entries[name] = data
    manifest = json.loads(entries["manifest.json"])
    manifest["entries"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    entries["manifest.json"] = json.dumps(manifest).encode()


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=allow_pickle)
    return out.getvalue()


def edited(**fields: object) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        entries["manifest.json"] = json.dumps(json.loads(entries["manifest.json"]) | fields).encode()

    return change


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    portrait = unpack(MEI.read_bytes())
    save(tmp_path / "again.mien", portrait)
    again = unpack((tmp_path / "again.mien").read_bytes())
    assert pack(again) == pack(portrait)
    assert again.card == portrait.card
    assert again.avatar.shapes == portrait.avatar.shapes
    np.testing.assert_array_equal(again.avatar.deltas, portrait.avatar.deltas)
    np.testing.assert_array_equal(again.avatar.texture, portrait.avatar.texture)
    assert list(tmp_path.iterdir()) == [tmp_path / "again.mien"]


def test_the_card_is_read_without_the_rest() -> None:
    card, notes, thumbnail = read_card(MEI)
    assert card.name == "Mei"
    assert card.consent
    assert card.licence == "CC0-1.0"
    assert notes == ()
    assert thumbnail.startswith(b"\x89PNG")


def test_six_portraits_are_small() -> None:
    files = sorted(FOLDER.glob("*.mien"))
    assert len(files) == 6
    assert sum(f.stat().st_size for f in files) < 9.5e6


@pytest.mark.parametrize(
    "change",
    [
        edited(version=99),
        edited(format="something else"),
        edited(shapes=["a"] * 1000),
        edited(eyes={}),
        edited(rotation_limit_deg=[1, 2]),
        edited(eye_distance="wide"),
        edited(overlays=[{"control": "os.system", "full_at": 1}]),
        edited(card={"name": 7}),
        lambda e: e.pop("manifest.json"),
        lambda e: e.pop("vertices.npy"),
        lambda e: e.update({"uv.npy": e["uv.npy"][:-1] + b"x"}),
        lambda e: signed(e, "vertices.npy", npy(np.zeros((3, 3), np.float64))),
        lambda e: signed(e, "vertices.npy", npy(np.full((500, 3), np.nan, np.float32))),
        lambda e: signed(e, "triangles.npy", npy(np.full((9, 3), 65_000, np.uint16))),
        lambda e: signed(e, "background.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + (1 << 30).to_bytes(4, "big") * 2),
        lambda e: signed(e, "texture_rgb.png", b"not a picture"),
        lambda e: e.update({"more.npy": b"\0" * (30 << 20)}),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change: Callable[[dict[str, bytes]], None]) -> None:
    with pytest.raises(PortraitError) as refusal:
        unpack(rewritten(change))
    assert "\n" not in str(refusal.value)


class Trap:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return pytest.fail, ("a pickle was executed",)


def test_pickles_are_never_loaded() -> None:
    trap = np.empty(1, object)
    trap[0] = Trap()
    for data in (npy(trap, allow_pickle=True), pickle.dumps(Trap())):
        with pytest.raises(PortraitError):
            unpack(rewritten(lambda e, data=data: signed(e, "vertices.npy", data)))


@pytest.mark.parametrize("data", [b"", b"PK", b"hello", b"\0" * 100])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(PortraitError, match="portrait file"):
        unpack(data)


def test_truncated_and_oversized_files_are_refused(tmp_path: Path) -> None:
    data = MEI.read_bytes()
    for cut in (100, len(data) // 2, len(data) - 10):
        with pytest.raises(PortraitError):
            unpack(data[:cut])
    with pytest.raises(PortraitError, match="MiB"):
        unpack(b"\0" * (FILE_LIMIT + 1))
    with pytest.raises(PortraitError, match=r"gone\.mien"):
        load(tmp_path / "gone.mien")


@pytest.mark.parametrize("position", range(0, 1_400_000, 97_001))
def test_a_flipped_byte_never_ends_in_another_error(position: int) -> None:
    data = bytearray(MEI.read_bytes())
    data[position % len(data)] ^= 0xFF
    with contextlib.suppress(PortraitError):  # a byte that nothing depends on may pass
        unpack(bytes(data))

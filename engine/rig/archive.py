"""`portrait.mien`: an enrolled portrait as one file.

A zip of stored or deflated entries: `manifest.json` (format, version, card,
scalars, and size and SHA-256 of every other entry), `*.npy` arrays (loaded
without pickle) and `*.png` pictures. Displacements are kept sparse, in steps
of 1/64 px. Nothing in the file is executed; every size is checked against a
bound before anything is unpacked; what does not fit is refused in one line.
"""

import hashlib
import io
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import PortraitError
from engine.rig.avatar import FRAME, Avatar, Eye, Overlay

FORMAT: Final = "mien portrait"
VERSION: Final = 1
FILE_LIMIT: Final = 8 << 20  # bytes of the whole file
ENTRY_LIMIT: Final = 6 << 20  # bytes of one entry, unpacked
TOTAL_LIMIT: Final = 24 << 20  # bytes of all entries, unpacked
ENTRIES_LIMIT: Final = 96
VERTICES_LIMIT: Final = 40_000
SHAPES_LIMIT: Final = 128
OVERLAYS_LIMIT: Final = 16
TEXTURE_SIDE_LIMIT: Final = 4096  # px
TEXT_LIMIT: Final = 4000  # characters of a text of the card
STEP: Final = 1 / 64  # px, quantum of displacements
UV_STEP: Final = 1 / 64  # px, quantum of places in overlays
THUMBNAIL: Final = 192  # px
COMPRESSION: Final = 6  # of 9; 9 takes a second more for 2 % less
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the same portrait makes the same bytes


@dataclass(frozen=True, slots=True)
class Card:
    """What a portrait says about itself.

    Attributes:
        name: what its owner calls it.
        label: what it shows, in a few words.
        consent: the statement by which its use was allowed.
        origin: where the picture comes from.
        licence: under what it may be used.
    """

    name: str
    label: str
    consent: str
    origin: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """An avatar with its card and its picture in small, uint8[h, w, 3] RGB."""

    avatar: Avatar
    card: Card
    thumbnail: NDArray[np.uint8]


def load(file: Path) -> Avatar:
    """The avatar of a portrait file.

    Raises:
        PortraitError: if the file cannot be used; the line says why.
    """
    return unpack(_read(file)).avatar


def save(file: Path, portrait: Portrait) -> None:
    """Write a portrait file; it appears whole or not at all."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(pack(portrait))
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def read_card(file: Path) -> tuple[Card, tuple[str, ...], bytes]:
    """Card, notes and thumbnail (PNG bytes) of a portrait file, without unpacking the rest.

    Raises:
        PortraitError: if the file cannot be used.
    """
    with _Reader(_read(file)) as reader:
        return reader.card(), reader.notes(), reader.bytes("thumbnail.png")


def pack(portrait: Portrait) -> bytes:
    """The bytes of a portrait file."""
    avatar = portrait.avatar
    entries = {f"{name}.npy": _npy(array) for name, array in _arrays(avatar).items()}
    entries["texture_rgb.png"] = _png(avatar.texture[..., :3])
    entries["texture_alpha.png"] = _png(avatar.texture[..., 3])
    entries["background.png"] = _png(avatar.background)
    entries["thumbnail.png"] = _png(portrait.thumbnail)
    for i, overlay in enumerate(avatar.overlays):
        entries[f"overlay{i}.png"] = _png(overlay.texture)
    card = portrait.card
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "card": {f: getattr(card, f) for f in ("name", "label", "consent", "origin", "licence")},
        "notes": list(avatar.notes),
        "shapes": list(avatar.shapes),
        "eye_distance": float(avatar.eye_distance),
        "rotation_limit_deg": [float(x) for x in avatar.rotation_limit_deg],
        "eyes": {s: {"centre": e.centre.tolist(), "first": e.first, "last": e.last} for s, e in avatar.eyes.items()},
        "overlays": [{"control": o.control, "full_at": float(o.full_at)} for o in avatar.overlays],
        "entries": {n: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in sorted(entries.items())},
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        _put(archive, "manifest.json", json.dumps(manifest, indent=1).encode())
        for name, data in sorted(entries.items()):
            _put(archive, name, data)
    return out.getvalue()


def unpack(data: bytes) -> Portrait:
    """The portrait in the bytes of a portrait file.

    Raises:
        PortraitError: if they are damaged, too large, of another version, or not a portrait file at all.
    """
    with _Reader(data) as reader:
        try:
            portrait = Portrait(_avatar(reader), reader.card(), reader.picture("thumbnail.png", 3))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _damaged(f"{type(error).__name__}: {error}") from error
    return portrait


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(FILE_LIMIT + 1)
    except OSError as error:
        raise PortraitError(f"{file.name}: {error.strerror or error}; give the path of a .mien file") from error
    if len(data) > FILE_LIMIT:
        raise PortraitError(f"{file.name}: larger than {FILE_LIMIT >> 20} MiB, no portrait is; enrol the photo again")
    return data


def _damaged(why: str) -> PortraitError:
    return PortraitError(f"damaged portrait file ({' '.join(why.split())[:160]}); enrol the photo again")


class _Reader:
    """Entries of a portrait file, each checked for size and hash before it is used."""

    def __init__(self, data: bytes) -> None:
        if len(data) > FILE_LIMIT:
            raise PortraitError(f"larger than {FILE_LIMIT >> 20} MiB, no portrait is; enrol the photo again")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            infos = self._zip.infolist()
            if len(infos) > ENTRIES_LIMIT or sum(i.file_size for i in infos) > TOTAL_LIMIT:
                raise _damaged("more or larger entries than a portrait has")
            self._infos = {i.filename: i for i in infos}
            self._manifest = self._parse()
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, NotImplementedError, EOFError) as error:
            raise PortraitError("not a portrait file, or a damaged one; enrol the photo again") from error

    def _parse(self) -> dict[str, Any]:
        manifest: Any = json.loads(self._raw("manifest.json"))
        if not isinstance(manifest, dict) or cast("dict[str, Any]", manifest).get("format") != FORMAT:
            raise PortraitError("not a portrait file; give a file that `mien enrol` wrote")
        fields = cast("dict[str, Any]", manifest)
        if fields.get("version") != VERSION:
            found = str(fields.get("version"))[:20]
            raise PortraitError(f"portrait file of version {found}, this program reads {VERSION}; enrol the photo again")
        return fields

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def __getitem__(self, name: str) -> Any:
        return self._manifest[name]

    def _raw(self, name: str) -> bytes:
        info = self._infos[name]
        if info.file_size > ENTRY_LIMIT:
            raise _damaged(f"{name} is too large")
        try:
            with self._zip.open(info) as stream:
                data = stream.read(ENTRY_LIMIT + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise _damaged(f"{name}: {error}") from error
        if len(data) > ENTRY_LIMIT:
            raise _damaged(f"{name} is too large")
        return data

    def bytes(self, name: str) -> bytes:
        """An entry whose hash is as the manifest says."""
        try:
            expected = self._manifest["entries"][name]["sha256"]
            data = self._raw(name)
        except (KeyError, TypeError) as error:
            raise _damaged(f"{name} is missing") from error
        if hashlib.sha256(data).hexdigest() != expected:
            raise _damaged(f"{name} is not as it was written")
        return data

    def array(self, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> NDArray[Any]:
        """An array of exactly this dtype and shape; None stands for any length."""
        array = np.load(io.BytesIO(self.bytes(f"{name}.npy")), allow_pickle=False)
        fits = array.ndim == len(shape) and all(b is None or a == b for a, b in zip(array.shape, shape, strict=False))
        if array.dtype != dtype or not fits:
            raise _damaged(f"{name}: {array.dtype}{list(array.shape)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _damaged(f"{name}: not finite")
        return array

    def picture(self, name: str, channels: int) -> NDArray[np.uint8]:
        """uint8[h, w, channels] RGB(A), or [h, w] for one channel."""
        data = self.bytes(name)
        if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
            raise _damaged(f"{name} is no PNG")
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        if not (0 < width <= TEXTURE_SIDE_LIMIT and 0 < height <= TEXTURE_SIDE_LIMIT):
            raise _damaged(f"{name} is {width} x {height} px")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        found = None if image is None else (1 if image.ndim == 2 else image.shape[2])
        if image is None or found != channels or image.dtype != np.uint8:
            raise _damaged(f"{name} cannot be decoded")
        code = {1: None, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[channels]
        return np.asarray(image if code is None else cv2.cvtColor(image, code), np.uint8)

    def card(self) -> Card:
        """The card; texts only, none longer than `TEXT_LIMIT`."""
        found = self._manifest.get("card", {})
        texts = [found.get(f, "") for f in ("name", "label", "consent", "origin", "licence")]
        if not all(isinstance(t, str) and len(t) <= TEXT_LIMIT for t in texts):
            raise _damaged("card")
        return Card(*texts)

    def notes(self) -> tuple[str, ...]:
        """What was seen in the photo."""
        return tuple(str(n)[:200] for n in list(self._manifest.get("notes", []))[:16])


def _arrays(avatar: Avatar) -> dict[str, NDArray[Any]]:
    moved = [np.flatnonzero(np.abs(d).max(1) >= STEP / 2) for d in avatar.deltas]
    values: list[NDArray[Any]] = [np.round(d[i] / STEP) for d, i in zip(avatar.deltas, moved, strict=True)]
    arrays: dict[str, NDArray[Any]] = {
        "vertices": avatar.vertices,
        "uv": avatar.uv,
        "shade": avatar.shade.astype(np.float16),
        "triangles": avatar.triangles.astype(np.uint16 if len(avatar.vertices) <= 1 << 16 else np.uint32),
        "part": avatar.part,
        "head_weight": avatar.head_weight.astype(np.float16),
        "pivot": avatar.pivot,
        "landmarks": avatar.landmarks,
        "delta_count": np.array([len(i) for i in moved], np.uint32),
        "delta_vertex": np.concatenate([np.diff(i, prepend=0) for i in moved]).astype(np.uint16),
        "delta_step": np.concatenate([*values, np.zeros((0, 3))]).T.astype(np.int16),
    }
    for i, overlay in enumerate(avatar.overlays):
        vertex = np.flatnonzero(overlay.mask > 0)
        arrays[f"overlay{i}_vertex"] = vertex.astype(np.uint16)
        arrays[f"overlay{i}_uv"] = np.round(overlay.uv[vertex] / UV_STEP).astype(np.uint16)
        arrays[f"overlay{i}_mask"] = overlay.mask[vertex].astype(np.float16)
    return arrays


def _avatar(reader: _Reader) -> Avatar:
    vertices = reader.array("vertices", np.float32, (None, 3))
    count = len(vertices)
    shapes = tuple(str(s) for s in reader["shapes"])
    if not 468 <= count <= VERTICES_LIMIT or not 0 < len(shapes) <= SHAPES_LIMIT:
        raise _damaged(f"{count} vertices, {len(shapes)} shapes")
    triangles = reader.array("triangles", np.uint16, (None, 3)).astype(np.int32)
    if not triangles.size or triangles.max() >= count:
        raise _damaged("triangles")
    colour, alpha = reader.picture("texture_rgb.png", 3), reader.picture("texture_alpha.png", 1)
    limits = tuple(float(x) for x in reader["rotation_limit_deg"])
    if len(limits) != 3 or not all(0 <= x <= 90 for x in limits):
        raise _damaged("rotation_limit_deg")
    background = reader.picture("background.png", 3)
    if background.shape != (FRAME, FRAME, 3):
        raise _damaged("background")
    distance = float(reader["eye_distance"])
    if not 1 <= distance <= FRAME:
        raise _damaged("eye_distance")
    return Avatar(
        vertices=vertices,
        shapes=shapes,
        deltas=_deltas(reader, len(shapes), count),
        uv=reader.array("uv", np.float32, (count, 2)),
        shade=reader.array("shade", np.float16, (count, 3)).astype(np.float32),
        triangles=triangles,
        part=_parts(reader, len(triangles)),
        head_weight=reader.array("head_weight", np.float16, (count,)).astype(np.float32),
        pivot=reader.array("pivot", np.float32, (3,)),
        eyes={side: _eye(reader, side, count) for side in ("Left", "Right")},
        texture=np.dstack([colour, alpha]),
        overlays=_overlays(reader, shapes, count),
        background=background,
        landmarks=reader.array("landmarks", np.float32, (478, 3)),
        eye_distance=distance,
        rotation_limit_deg=(limits[0], limits[1], limits[2]),
        notes=reader.notes(),
    )


def _parts(reader: _Reader, count: int) -> NDArray[np.uint8]:
    part = reader.array("part", np.uint8, (count,))
    if part.min() < 1 or part.max() > 5:
        raise _damaged("part")
    return part


def _eye(reader: _Reader, side: str, count: int) -> Eye:
    found = reader["eyes"][side]
    centre, first, last = np.array(found["centre"], np.float32), int(found["first"]), int(found["last"])
    if centre.shape != (3,) or not np.isfinite(centre).all() or not 0 <= first < last <= count:
        raise _damaged("eyes")
    return Eye(centre, first, last)


def _deltas(reader: _Reader, shapes: int, count: int) -> NDArray[np.float32]:
    counts = reader.array("delta_count", np.uint32, (shapes,)).astype(np.int64)
    total = int(counts.sum())
    gaps = reader.array("delta_vertex", np.uint16, (total,)).astype(np.int64)
    steps = reader.array("delta_step", np.int16, (3, total))
    deltas = np.zeros((shapes, count, 3), np.float32)
    first = 0
    for k, n in enumerate(counts.tolist()):
        vertex = np.cumsum(gaps[first : first + n])
        if n and vertex[-1] >= count:
            raise _damaged("delta_vertex")
        deltas[k, vertex] = steps[:, first : first + n].T * np.float32(STEP)
        first += n
    return deltas


def _overlays(reader: _Reader, shapes: tuple[str, ...], count: int) -> tuple[Overlay, ...]:
    found = list(reader["overlays"])
    if len(found) > OVERLAYS_LIMIT:
        raise _damaged("overlays")
    overlays: list[Overlay] = []
    for i, about in enumerate(found):
        vertex = reader.array(f"overlay{i}_vertex", np.uint16, (None,)).astype(np.intp)
        control, full_at = str(about["control"]), float(about["full_at"])
        if control not in shapes or not 0 < full_at <= 10 or (vertex.size and vertex.max() >= count):
            raise _damaged(f"overlay {i}")
        uv, mask = np.zeros((count, 2), np.float32), np.zeros(count, np.float32)
        uv[vertex] = reader.array(f"overlay{i}_uv", np.uint16, (len(vertex), 2)) * np.float32(UV_STEP)
        mask[vertex] = reader.array(f"overlay{i}_mask", np.float16, (len(vertex),))
        overlays.append(Overlay(reader.picture(f"overlay{i}.png", 4), uv, mask, control, full_at))
    return tuple(overlays)


def _npy(array: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _png(image: NDArray[np.uint8]) -> bytes:
    code = {2: None, 3: cv2.COLOR_RGB2BGR}.get(image.ndim) if image.ndim == 2 or image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    stored = image if code is None else cv2.cvtColor(image, code)
    done, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION])
    assert done
    return data.tobytes()


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
    archive.writestr(info, data, compresslevel=COMPRESSION)

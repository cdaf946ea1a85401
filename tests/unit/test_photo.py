import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from engine.enrol.photo import LOCAL, UPLOAD, WORKING_SIDE, PhotoLimits, decode_photo
from engine.errors import MienError, UnreadablePhoto


def gradient(height: int = 40, width: int = 60) -> np.ndarray:
    """RGB picture whose corners all differ: red grows to the right, green downwards, blue is 60."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 60)]).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def as_jpeg(array: np.ndarray, **options: object) -> bytes:
    return encoded(Image.fromarray(array), "JPEG", quality=95, subsampling=0, **options)


def heic(array: np.ndarray, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return encoded(Image.fromarray(array), "HEIF", quality=95, **options)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_common_formats_decode_to_the_same_picture(kind: str) -> None:
    photo = encoded(Image.fromarray(gradient()), kind, quality=95)
    assert close(decode_photo(photo), gradient(), 4)


def test_heic_decodes() -> None:
    assert close(decode_photo(heic(gradient(64, 96)), LOCAL), gradient(64, 96), 6)


def test_a_turned_heic_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.rot90(gradient(64, 96)).copy()  # what a phone held upright stores
    assert close(decode_photo(heic(stored, exif=exif.tobytes()), LOCAL), gradient(64, 96), 6)


def test_a_wide_gamut_heic_becomes_srgb() -> None:
    p3 = np.full((64, 64, 3), (192, 147, 122), np.uint8)
    rgb = decode_photo(heic(p3, icc_profile=wide_gamut_profile()), LOCAL)
    assert np.abs(rgb[32, 32].astype(int) - (201, 145, 117)).max() <= 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    turns = Image.Transpose
    undo = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE,
            6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270}  # fmt: skip
    stored = Image.fromarray(gradient())
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert close(decode_photo(encoded(stored, "JPEG", quality=95, subsampling=0, exif=exif)), gradient(), 4)


def test_damaged_exif_costs_only_the_orientation() -> None:
    photo = as_jpeg(gradient(), exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff garbage")
    assert close(decode_photo(photo), gradient(), 4)


def wide_gamut_profile() -> bytes:
    """An RGB profile with Display P3's primaries and sRGB's curve, made by editing littleCMS's own sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # D50-adapted Display P3 primaries, as s15Fixed16 (Apple's published profile).
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for i in range(struct.unpack(">I", profile[128:132])[0]):
        tag, offset, _ = struct.unpack(">4sII", profile[132 + 12 * i : 144 + 12 * i])
        if tag in primaries:
            profile[offset + 8 : offset + 20] = struct.pack(">3i", *(round(v * 65536) for v in primaries[tag]))
    profile[84:100] = bytes(16)  # the checksum no longer holds; zero means "not computed"
    return bytes(profile)


def test_display_p3_becomes_srgb() -> None:
    # The same skin tone in sRGB and in P3 (matrices of the two standards): P3's numbers are less saturated.
    p3 = np.full((16, 16, 3), (192, 147, 122), np.uint8)
    rgb = decode_photo(encoded(Image.fromarray(p3), "PNG", icc_profile=wide_gamut_profile()))
    assert np.abs(rgb[8, 8].astype(int) - (201, 145, 117)).max() <= 3


def test_a_damaged_profile_is_ignored() -> None:
    photo = encoded(Image.fromarray(gradient()), "PNG", icc_profile=b"not a profile")
    assert close(decode_photo(photo), gradient(), 0)


def test_transparency_is_laid_over_grey() -> None:
    rgba = np.dstack([gradient(), np.zeros((40, 60), np.uint8)])
    rgba[:, 30:, 3] = 255
    rgb = decode_photo(encoded(Image.fromarray(rgba), "PNG"))
    assert (rgb[:, :30] == 128).all()
    assert (rgb[:, 30:] == gradient()[:, 30:]).all()


def test_palette_with_a_transparent_colour() -> None:
    image = Image.fromarray(gradient()).quantize(16)
    rgb = decode_photo(encoded(image, "PNG", transparency=0))
    assert rgb.shape == (40, 60, 3)
    assert (rgb == 128).all(axis=2).any()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    rgb = decode_photo(encoded(Image.fromarray(ramp), "PNG"))
    assert np.abs(rgb[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    image = Image.fromarray(gradient()).convert(mode)
    rgb = decode_photo(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert rgb.shape == (40, 60, 3)
    assert rgb.dtype == np.uint8
    assert close(rgb, np.asarray(image.convert("RGB")), 6)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.fromarray(gradient()), Image.fromarray(np.zeros_like(gradient()))]
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert close(decode_photo(photo), gradient(), 1)


def test_a_phones_double_jpeg_gives_its_first_picture() -> None:
    frames = [Image.fromarray(gradient()), Image.fromarray(np.zeros_like(gradient()))]
    photo = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95, subsampling=0)
    assert close(decode_photo(photo), gradient(), 4)


def test_large_pictures_shrink_to_the_working_side() -> None:
    rgb = decode_photo(as_jpeg(np.zeros((100, 3 * WORKING_SIDE, 3), np.uint8)))
    assert rgb.shape[1] == WORKING_SIDE


def test_a_wholly_foreign_file_is_refused_in_one_line() -> None:
    with pytest.raises(UnreadablePhoto, match="not a JPEG, PNG or WebP picture") as refusal:
        decode_photo(b"Dear diary, today I looked at the sea.\n" * 10)
    assert "\n" not in str(refusal.value)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(UnreadablePhoto, match="empty"):
        decode_photo(b"")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_truncated_files_are_refused(kind: str, part: float) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    photo = encoded(Image.fromarray(noise), kind)
    with pytest.raises(UnreadablePhoto, match="damaged or cut short"):
        decode_photo(photo[: int(len(photo) * part)])


def test_truncated_heic_is_refused() -> None:
    photo = heic(np.random.default_rng(1).integers(0, 255, (128, 128, 3), dtype=np.uint8))
    with pytest.raises(UnreadablePhoto):
        decode_photo(photo[: len(photo) // 2], LOCAL)


def test_heic_is_for_the_command_line() -> None:
    with pytest.raises(UnreadablePhoto, match="save it as JPEG"):
        decode_photo(heic(gradient(64, 96)))


@pytest.mark.parametrize("size", [(10_000, 10_000), (100_000, 1000), (30_000, 30_000)])
@pytest.mark.parametrize("limits", [UPLOAD, LOCAL])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int], limits: PhotoLimits) -> None:
    with pytest.raises(UnreadablePhoto, match="million pixels"):
        decode_photo(png_header(*size), limits)


def test_a_phones_48_megapixels_are_for_the_command_line() -> None:
    with pytest.raises(UnreadablePhoto, match="damaged or cut short"):  # there are no pixels behind this header
        decode_photo(png_header(8064, 6048), LOCAL)
    with pytest.raises(UnreadablePhoto, match="more than 25 million pixels"):
        decode_photo(png_header(5001, 5000))


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(UnreadablePhoto, match="MB"):
        decode_photo(b"\xff\xd8" + bytes(UPLOAD.megabytes * 2**20))


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def decodes_or_is_refused(photo: bytes) -> None:
    """Anything but a `MienError` of one line fails the test."""
    refusal = ""
    try:
        assert decode_photo(photo, LOCAL).ndim == 3
    except MienError as error:
        refusal = str(error)
    assert "\n" not in refusal


@fuzz
@given(st.binary(max_size=400))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    for start in (b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x24\0\0\0WEBP", b"\0\0\0\x18ftypheic"):
        decodes_or_is_refused(start + data)


SEEDS = [
    as_jpeg(gradient()),
    encoded(Image.fromarray(gradient()), "JPEG", progressive=True, icc_profile=wide_gamut_profile()),
    encoded(Image.fromarray(gradient()), "PNG", icc_profile=wide_gamut_profile()),
    encoded(Image.fromarray(gradient()), "WEBP"),
]
EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=12)


@fuzz
@given(st.sampled_from(SEEDS), EDITS, st.integers(0, 40))
def test_mutated_files_decode_or_are_refused(seed: bytes, edits: list[tuple[int, int]], cut: int) -> None:
    photo = bytearray(seed)
    for where, value in edits:
        photo[(where if where % 3 else where % 120) % len(photo)] = value  # a third of the edits go for the header
    decodes_or_is_refused(bytes(photo[: len(photo) - cut * 7]))

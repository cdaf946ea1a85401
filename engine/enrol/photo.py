"""A stranger's bytes become an upright sRGB picture, or one clear line.

What phones, scanners and editors store is undone here: EXIF orientation, wide
or foreign colour profiles, CMYK, 16 bits, transparency, several frames. The
header is judged before a pixel is decoded, so a decompression bomb costs
nothing; only the decoders named in `_FORMATS` are ever tried.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from engine.errors import UnreadablePhoto

WORKING_SIDE: Final = 2560  # px, longest side that leaves this module: a face of 1/4 of it still fills the 512 px frame
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_NEUTRAL: Final = 128  # what shows through transparency
_EXIF_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """What may be read at all.

    Attributes:
        megabytes: size of the file.
        megapixels: pixels that would be decoded; a JPEG is decoded at a half, a quarter or an eighth when that suffices.
        jpeg_megapixels: pixels in the header of a JPEG.
        heif: whether HEIC, whose decoder is the largest by far, is read.
    """

    megabytes: int
    megapixels: int
    jpeg_megapixels: int
    heif: bool


UPLOAD: Final = PhotoLimits(megabytes=10, megapixels=25, jpeg_megapixels=25, heif=False)
LOCAL: Final = PhotoLimits(megabytes=100, megapixels=64, jpeg_megapixels=150, heif=True)


def decode_photo(data: bytes, limits: PhotoLimits = UPLOAD) -> NDArray[np.uint8]:
    """The picture in `data` as uint8[H, W, 3] sRGB, upright, its longest side at most `WORKING_SIDE`.

    Of an animation or a burst it is the first frame; transparency is laid over neutral grey.

    Raises:
        UnreadablePhoto: not a JPEG, PNG or WebP (or HEIC, where it is read); truncated or damaged; over the limits.
    """
    if not data:
        raise UnreadablePhoto("the photo is empty (0 bytes); choose the file again")
    if len(data) > limits.megabytes * 2**20:
        raise UnreadablePhoto(
            f"the photo has {len(data) / 2**20:.0f} MB, more than {limits.megabytes} MB; save it smaller (2000 px is plenty)"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata are nobody's concern here
        try:
            return _decode(data, limits)
        except UnreadablePhoto:
            raise
        except UnidentifiedImageError as error:
            known = "JPEG, PNG, WebP or HEIC" if limits.heif else "JPEG, PNG or WebP"
            raise UnreadablePhoto(f"this is not a {known} picture; choose a photo in one of these") from error
        except Image.DecompressionBombError as error:
            raise _too_many_pixels(limits.megapixels) from error
        except MemoryError as error:
            raise UnreadablePhoto("the photo needs too much memory to decode; save it smaller (2000 px is plenty)") from error
        except Exception as error:  # the decoders raise whatever a damaged file makes them stumble over
            raise UnreadablePhoto("the photo is damaged or cut short; export or download it again") from error


def _decode(data: bytes, limits: PhotoLimits) -> NDArray[np.uint8]:
    image = _open(data, limits)
    _judge_header(image, limits)
    image.load()
    turn = _orientation(image)
    profile: bytes | None = image.info.get("icc_profile")
    plain = _eight_bits(image)
    plain.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    srgb = _flatten(plain, profile)
    if turn is not None:
        srgb = srgb.transpose(turn)
    return np.ascontiguousarray(np.asarray(srgb, np.uint8))


def _open(data: bytes, limits: PhotoLimits) -> ImageFile.ImageFile:
    if data[4:8] == b"ftyp" and not limits.heif:
        raise UnreadablePhoto("this is a HEIC or AVIF picture; save it as JPEG, PNG or WebP, or use ./mien enrol FILE")
    if data[4:8] == b"ftyp":
        # Imported for the few who need it, and registered late: registration is global to Pillow.
        import pillow_heif

        pillow_heif.register_heif_opener()  # pyright: ignore[reportUnknownMemberType]
        return Image.open(io.BytesIO(data), formats=("HEIF",))
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def _judge_header(image: ImageFile.ImageFile, limits: PhotoLimits) -> None:
    """Refuse what is too large, and have a large JPEG decoded at a fraction of its size."""
    width, height = image.size
    shrinks = image.format in ("JPEG", "MPO")
    if width * height > (limits.jpeg_megapixels if shrinks else limits.megapixels) * 1e6:
        raise _too_many_pixels(limits.megapixels, width, height)
    scale = WORKING_SIDE / max(width, height)
    if shrinks and scale < 1:
        image.draft(image.mode, (max(int(width * scale), 1), max(int(height * scale), 1)))
    if image.size[0] * image.size[1] > limits.megapixels * 1e6:
        raise _too_many_pixels(limits.megapixels, width, height)


def _too_many_pixels(megapixels: int, width: int = 0, height: int = 0) -> UnreadablePhoto:
    has = f"has {width} x {height} pixels, " if width else "has "
    return UnreadablePhoto(f"the photo {has}more than {megapixels} million pixels; save it smaller (2000 px is plenty)")


def _orientation(image: Image.Image) -> Image.Transpose | None:
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block costs the orientation, not the photo
        return None
    return _UPRIGHT.get(value) if isinstance(value, int) else None


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image in a mode of 8 bits a channel: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips it instead of scaling
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray((np.clip(wide, 0, 65535) >> 8).astype(np.uint8))
    if image.mode in ("P", "1", "PA") or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") else image.convert("RGB")


def _flatten(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB: the profile undone, transparency laid over grey."""
    if image.mode in ("LA", "RGBA"):
        opaque = _to_srgb(image.convert("RGB" if image.mode == "RGBA" else "L"), profile)
        grey = Image.new("RGB", image.size, (_NEUTRAL,) * 3)
        return Image.composite(opaque, grey, image.getchannel("A"))
    return _to_srgb(image, profile)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _srgb_profile(), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a damaged profile, or one for another mode: the pixels are most likely sRGB
        else:
            if converted is not None:
                return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _srgb_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

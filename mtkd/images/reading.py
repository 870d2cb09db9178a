"""The one reader: a file of any kind becomes a :class:`~mtkd.images.picture.Picture`, or one line says why not."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mtkd.errors import UserError
from mtkd.images import coded, deep, formats, profiles
from mtkd.images.metadata import is_adobe_rgb, metadata_of
from mtkd.images.picture import Metadata, Picture, Samples, UInt8Image, parts
from mtkd.memory import check_memory

BYTES = 12
"""Memory for a pixel while it is read: as decoded, turned, and as samples; of more than 8 bits twice that."""
_guard = threading.RLock()


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        limit: pixels at most; None: as many as the memory takes.
        stretch: the sample values that become black and white; "min-max": the least and greatest that there are.
        frame: of an animation or a file of several pages, from 0; None: there must be one alone.
    """

    limit: int | None = None
    stretch: tuple[float, float] | Literal["min-max"] | None = None
    frame: int | None = None


AS_IT_IS = Reading()


def file_content(path: str | Path) -> bytes:
    """The bytes of a file.

    Raises:
        UserError: missing, a folder, or unreadable.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder, not an image")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def read_picture(path: str | Path, how: Reading = AS_IT_IS) -> Picture:
    """Read an image file with all that belongs to it.

    Raises:
        UserError: missing, unreadable, or anything :func:`decoded` refuses.
    """
    return decoded(file_content(path), str(path), how)


def read_image(path: str | Path, limit: int | None = None) -> UInt8Image:
    """Read an image file as (H, W, 3) uint8 RGB; see :func:`decode`."""
    return read_picture(path, Reading(limit)).rgb8()


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an upright picture, from the head of its file.

    Raises:
        UserError: no picture that can be read.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings(), _no_bomb_guard(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            head = file.read(64)
            file.seek(0)
            try:
                image = Image.open(file, formats=formats.readable(head, str(path)))
            except UnidentifiedImageError:
                if not head.startswith(deep.TIFF):
                    raise
                return deep.tiff_size(path.read_bytes())
            with image:
                # Pillow gives the upright size of a TIFF; of a PNG without EXIF in front it would decode the pixels
                known = image.format != "TIFF" and (image.format != "PNG" or {"exif", "xmp"} & set(image.info))
                turned = known and image.getexif().get(0x0112) in (5, 6, 7, 8)
                return image.size[::-1] if turned else image.size
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image in a supported format ({formats.NAMES})") from error
    except Exception as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def decode(file: str | Path | IO[bytes], name: str | None = None, limit: int | None = None) -> UInt8Image:
    """Decode one image to (H, W, 3) uint8 RGB in sRGB, upright.

    EXIF orientation is applied, colour profiles are converted to sRGB, grey is replicated to three channels,
    transparent images are placed on white, and 16 bits per channel are reduced to 8.

    Raises:
        UserError: not an image, truncated, animated, floating point, or more pixels than the ``limit`` or the memory.
    """
    if isinstance(file, (str, Path)):
        return decoded(file_content(file), name or str(file), Reading(limit)).rgb8()
    return decoded(file.read(), name or "image", Reading(limit)).rgb8()


def decoded(data: bytes, name: str, how: Reading = AS_IT_IS) -> Picture:
    """The picture in the bytes of a file that people call ``name``.

    Raises:
        UserError: no picture that can be read.
    """
    with _opened(data, name, how.limit) as image:
        numbers = _frames(image, data)
        frame = how.frame
        if frame is None and len(numbers) > 1:
            raise UserError(
                f"{name}: an animation or multi-page file ({len(numbers)} pictures); `mtkd upscale --frames all` takes "
                "all of it, --frames 1 the first; elsewhere save the one frame you want as an image"
            )
        frame = frame or 0
        if not 0 <= frame < len(numbers):
            raise UserError(f"{name}: it has {len(numbers)} frames or pages; there is no number {frame + 1}")
        return _picture(image, data, numbers[frame], how)


@dataclass(frozen=True)
class Frames:
    """The pictures of an animation or a file of several pages, in turn; ``loop`` as Pillow has it, None: once."""

    count: int
    size: tuple[int, int]
    loop: int | None
    pictures: Iterator[Picture]


@contextlib.contextmanager
def frames(data: bytes, name: str, how: Reading = AS_IT_IS) -> Iterator[Frames]:
    """All pictures of a file; a telephone's further views of a photo do not count.

    Raises:
        UserError: as :func:`decoded`.
    """
    with _opened(data, name, how.limit) as image:
        numbers = _frames(image, data)
        loop = None if image is None else image.info.get("loop")
        size = deep.tiff_size(data) if image is None else image.size
        pictures = (_picture(image, data, number, how) for number in numbers)
        yield Frames(len(numbers), size, loop if isinstance(loop, int) else None, pictures)


@contextlib.contextmanager
def _opened(data: bytes, name: str, limit: int | None) -> Iterator[Image.Image | None]:
    """The file, opened by Pillow; None for a TIFF that only tifffile knows. What it cannot do is one line."""
    try:
        with warnings.catch_warnings(), contextlib.ExitStack() as stack:
            warnings.simplefilter("ignore")  # remarks on odd metadata; the size is checked below
            image = _by_pillow(data, name, limit, stack)
            if image is None:
                check_size(deep.tiff_size(data), name, limit, 2 * BYTES)
            else:
                twice = 2 if is_deep(image, data) else 1
                check_size(image.size, name, limit, twice * BYTES)
            yield image
    except UserError as error:
        raise (error if name in str(error) else UserError(f"{name}: {error}")) from error
    except Image.DecompressionBombError as error:
        most = (limit or 0) // 1_000_000
        raise UserError(f"{name}: more pixels than the limit is, {most} million. Cut it into parts") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{name}: {formats.no_image(data)}") from error
    except MemoryError as error:
        raise UserError(f"{name}: not enough memory to read it; cut it into parts") from error
    except Exception as error:  # damaged files make decoders raise almost anything
        raise UserError(f"{name}: damaged or truncated image ({error})") from error


def _by_pillow(data: bytes, name: str, limit: int | None, stack: contextlib.ExitStack) -> Image.Image | None:
    kinds = formats.readable(data, name)
    try:
        return stack.enter_context(Image.open(io.BytesIO(data), formats=kinds))
    except Image.DecompressionBombError:
        if limit is not None:
            raise
        stack.enter_context(_no_bomb_guard())  # the memory is checked instead
        return stack.enter_context(Image.open(io.BytesIO(data), formats=kinds))
    except UnidentifiedImageError:
        if not data.startswith(deep.TIFF):
            raise
        return None


@contextlib.contextmanager
def _no_bomb_guard() -> Iterator[None]:
    """Without Pillow's own limit of pixels; one thread at a time."""
    with _guard:
        usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = usual


def check_size(size: tuple[int, int], name: str, limit: int | None, each: int = BYTES) -> None:
    """
    Raises:
        UserError: more pixels than the ``limit``; without one, than the memory takes at ``each`` bytes a pixel.
    """
    pixels = size[0] * size[1]
    if limit is None:
        check_memory(each * pixels, f"{name}: {size[0]} x {size[1]} pixels", "cut it into parts")
    elif pixels > limit:
        raise UserError(
            f"{name}: {size[0]} x {size[1]} pixels; the limit is {limit // 1_000_000} million. Cut it into parts"
        )


# --- frames


def _frames(image: Image.Image | None, data: bytes) -> Sequence[int]:
    """The numbers of the frames that are pictures of their own."""
    if image is None:
        return deep.tiff_pages(data)
    count = getattr(image, "n_frames", 1)
    if image.format in ("MPO", "HEIF") or count == 1:  # the first is the photo, others are further views of it
        return [image.tell()]
    if image.format == "TIFF":
        return deep.tiff_pages(data)
    return range(int(getattr(image, "default_image", False)), count)  # a PNG's for programs that show no animation


# --- samples


def _picture(image: Image.Image | None, data: bytes, number: int, how: Reading) -> Picture:
    if image is None:
        raw, metadata, orientation = deep.tiff(data, number), *deep.tiff_metadata(data, number)
        return _from_deep(raw, metadata, orientation, how, False)
    if image.tell() != number:
        image.seek(number)
    metadata = metadata_of(image)
    if not metadata.profile:
        profile = profiles.adobe_rgb() if is_adobe_rgb(image) else coded.profile(image, data)
        metadata = replace(metadata, profile=profile)
    if is_deep(image, data):
        orientation, whole = image.getexif().get(0x0112, 1), image.format in ("PPM", "HEIF")
        raw = coded.heif(image, data) if coded.is_deep_heif(image) else deep.read(image, data)
        picture = _from_deep(raw, metadata, orientation, how, whole)
    else:
        deep.by_libtiff(image)
        image.load()
        upright = ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) in range(2, 9) else image
        picture = _from_eight(upright, metadata, how)
    duration = image.info.get("duration")
    seconds = duration / 1000 if isinstance(duration, (int, float)) and duration > 0 else None
    return replace(picture, seconds=seconds, notes=(*picture.notes, *coded.notes(image, data)))


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether an opened file holds more than 8 bits a sample, which Pillow would reduce."""
    return coded.is_deep_heif(image) or deep.is_deep(image, data)


def _from_eight(image: Image.Image, metadata: Metadata, how: Reading) -> Picture:
    """Of what Pillow gives with 8 bits a sample, a part at a time."""
    grey = image.mode in ("1", "L", "LA", "La") or (image.mode == "P" and _grey_palette(image))
    clear = image.has_transparency_data
    inks = image.mode == "CMYK" and bool(metadata.profile)
    channels = 1 if grey else 4 if inks else 3
    colour = np.empty((image.height, image.width, channels), np.uint8)
    alpha = np.empty((image.height, image.width), np.uint8) if clear else None
    mode = "RGBA" if clear else image.mode if inks or image.mode == "LAB" else "L" if grey else "RGB"
    for rows in parts(image.height, image.width):
        part = image.crop((0, rows.start, image.width, rows.stop))
        samples = np.asarray(part if part.mode == mode else part.convert(mode))
        samples = samples[..., None] if samples.ndim == 2 else samples
        colour[rows] = samples[..., :channels]
        if alpha is not None:
            alpha[rows] = samples[..., 3]
    if image.mode == "LAB":
        own = metadata.profile if metadata.profile and profiles.space_of(metadata.profile) == "LAB" else profiles.lab()
        metadata = replace(metadata, profile=own)
    if alpha is not None and alpha.all() and alpha.min() == 255:
        alpha = None
    picture = Picture(colour, alpha, metadata)
    return _in_srgb(_stretched(picture, how), "CMYK" if inks else image.mode)


def _grey_palette(image: Image.Image) -> bool:
    palette = np.array(image.getpalette("RGB") or [], np.uint8)
    colours = palette[: len(palette) // 3 * 3].reshape(-1, 3)
    used = colours[np.flatnonzero(image.histogram()[: len(colours)])]
    return bool((used == used[:, :1]).all())


def _from_deep(raw: deep.Raw, metadata: Metadata, orientation: int, how: Reading, scaled: bool) -> Picture:
    colour, alpha = raw.colour, raw.alpha
    notes: tuple[str, ...] = ()
    if colour.dtype != np.uint8:
        if how.stretch is None:
            colour, notes = deep.as_uint16(colour, scaled)
        else:
            colour = stretched(colour, *_limits(colour, how.stretch), np.uint16)
        alpha = None if alpha is None else deep.as_uint16(alpha, True)[0]
    elif how.stretch is not None:
        colour = stretched(colour, *_limits(colour, how.stretch), np.uint8)
    if raw.inverted:
        colour = np.iinfo(colour.dtype).max - colour
    if not raw.upright:
        colour = turned(colour, orientation)
        alpha = None if alpha is None else turned(alpha, orientation)
    picture = Picture(np.ascontiguousarray(colour), alpha, metadata, notes=notes)
    return _in_srgb(picture, raw.space)


def turned(samples: Samples, orientation: int) -> Samples:
    """Samples upright, from the orientation that EXIF gives them."""
    turns: dict[int, Callable[[Samples], Samples]] = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }
    return np.ascontiguousarray(turns[orientation](samples)) if orientation in turns else samples


def stretched(samples: Samples, black: float, white: float, depth: type) -> Samples:
    """Samples of any kind with these values as black and white of the ``depth``."""
    top = np.iinfo(depth).max
    out: Samples = np.empty(samples.shape, depth)
    for rows in parts(*samples.shape[:2]):
        part = np.nan_to_num(samples[rows].astype(np.float64))
        out[rows] = ((part - black) / (white - black)).clip(0, 1) * top + 0.5
    return out


def _stretched(picture: Picture, how: Reading) -> Picture:
    if how.stretch is None:
        return picture
    return replace(picture, colour=stretched(picture.colour, *_limits(picture.colour, how.stretch), np.uint8))


def _limits(samples: Samples, stretch: tuple[float, float] | Literal["min-max"]) -> tuple[float, float]:
    """The values that become black and white; of a picture of one value alone, that value is black."""
    if stretch != "min-max":
        return stretch
    finite = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return low, high if high > low else low + 1


# --- colours


def _in_srgb(picture: Picture, space: str) -> Picture:
    """Samples of the file's colour space, as its profile describes it, in sRGB."""
    profile, colour, notes = picture.metadata.profile, picture.colour, picture.notes
    tagged = False
    if profile:
        try:
            colour, tagged = _by_profile(colour, profile, space == "LAB"), True
        except profiles.BadProfile as error:
            notes += (f"its colour profile is left out ({str(error)[:80]}): colours are taken as sRGB",)
            picture = replace(picture, metadata=replace(picture.metadata, profile=b""))
    if colour.shape[2] == 4:  # inks without a profile: as Pillow converts them
        colour = _plain_inks(colour)
    return replace(picture, colour=colour, tagged=tagged, notes=notes)


def _by_profile(colour: Samples, profile: bytes, lab: bool) -> Samples:
    space, bits, channels = profiles.space_of(profile), 8 * colour.itemsize, colour.shape[2]
    if space not in profiles.CHANNELS:
        raise profiles.BadProfile("not of RGB, grey, CMYK or L*a*b*")
    if channels == 1 and space == "RGB":
        change = profiles.converter(profile, profiles.srgb(), bits)
        return colour if change is None else np.ascontiguousarray(change(np.repeat(colour, 3, axis=2))[..., 1:2])
    if channels != profiles.CHANNELS[space] or (space == "LAB") != lab:
        raise profiles.BadProfile(f"it is for {space}, the picture is not")
    change = profiles.converter(profile, profiles.grey() if space == "L" else profiles.srgb(), bits)
    return colour if change is None else change(colour)


def _plain_inks(colour: Samples) -> Samples:
    if colour.dtype == np.uint8:
        image = Image.frombytes("CMYK", (colour.shape[1], colour.shape[0]), np.ascontiguousarray(colour).tobytes())
        return np.asarray(image.convert("RGB"))
    paper = (65535 - colour).astype(np.uint32)
    return ((paper[..., :3] * paper[..., 3:] + 32767) // 65535).astype(np.uint16)

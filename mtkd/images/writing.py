"""The one writer: a picture becomes a file of any format, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mtkd.errors import UserError
from mtkd.files import atomic_write
from mtkd.images import iptc, png, profiles, tiff
from mtkd.images.formats import Format, of_suffix
from mtkd.images.metadata import exif_block
from mtkd.images.picture import Metadata, Picture, Samples, beside, changed, eight_bits, flattened

QUALITY = 95
XMP_IN_JPEG = 65_000
"""Bytes of XMP that a marker of JPEG has room for, with its head."""
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Writing:
    """How a picture is written.

    Attributes:
        quality: of lossy formats, 1 to 100; WebP is lossless at 100.
        keep_profile: convert back to the profile that the picture came with, and embed that.
        keep_metadata: date, camera, copyright, resolution.
    """

    quality: int = QUALITY
    keep_profile: bool = False
    keep_metadata: bool = True


AS_USUAL = Writing()


def fitted(picture: Picture, kind: Format) -> Picture:
    """The picture as a format can hold it; what is lost is among its notes."""
    notes = picture.notes
    if picture.alpha is not None and not kind.clear:
        picture = flattened(picture, WHITE)
        notes += (f"{kind.title} holds no transparency: it lies on white (--background chooses another colour)",)
    if picture.bits > 8 and not kind.deep:
        picture = eight_bits(picture)
        notes += (f"{kind.title} holds 8 bits a channel: 16 are reduced (PNG and TIFF keep them)",)
    return replace(picture, notes=notes)


def check_side(path: Path, size: tuple[int, int], kind: Format) -> None:
    """
    Raises:
        UserError: a format cannot hold a picture of this size.
    """
    if max(size) > kind.side:
        raise UserError(
            f"{path}: {size[0]} x {size[1]} pixels, but {kind.title} holds at most {kind.side:,} a side; write PNG or "
            "TIFF"
        )


def write_picture(path: Path, picture: Picture, how: Writing = AS_USUAL) -> tuple[str, ...]:
    """Write a picture in the format of the file's name, atomically; returns what a person should know.

    Raises:
        UserError: the folder is not writable, the name has another suffix, or the format cannot hold the picture.
    """
    kind = of_suffix(path)
    if kind is None:
        raise UserError(f"{path}: results are PNG, JPEG, WebP, AVIF or TIFF files; give a name that ends so")
    if kind.name == "gif":
        return write_frames(path, [picture], None, how)
    check_side(path, picture.size, kind)
    picture = fitted(picture, kind)
    with atomic_write(path) as temporary:
        try:
            notes = _save(temporary, picture, kind, how)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    return (*picture.notes, *notes)


def write_frames(path: Path, pictures: Sequence[Picture], loop: int | None, how: Writing = AS_USUAL) -> tuple[str, ...]:
    """Write an animation, or a file of several pages; see :func:`write_picture`.

    Args:
        loop: how often it is shown, 0 for ever; None: once.

    Raises:
        UserError: as :func:`write_picture`; frames of different sizes in an animation.
    """
    kind = of_suffix(path)
    assert kind is not None and kind.frames
    if kind.name != "tiff":
        kind = replace(kind, deep=False, title=f"An animated {kind.title}" if kind.deep else kind.title)
        if len(sizes := {picture.size for picture in pictures}) > 1:
            many = f"pages of {len(sizes)} different sizes"
            raise UserError(f"{many}, which TIFF alone holds; write a TIFF, or take one with --frames N")
    pictures = [fitted(picture, kind) for picture in pictures]
    with atomic_write(path) as temporary:
        if kind.name == "tiff":
            tiff.write(temporary, [_samples(picture, how)[:3] for picture in pictures])
        else:
            _animate(temporary, pictures, kind, loop, how)
    return tuple(dict.fromkeys(note for picture in pictures for note in picture.notes))


def _animate(path: Path, pictures: Sequence[Picture], kind: Format, loop: int | None, how: Writing) -> None:
    clear = any(picture.alpha is not None for picture in pictures)
    images = [_image(_alike(picture, clear, kind)) for picture in pictures]
    _, profile, metadata, _ = _samples(replace(pictures[0], metadata=replace(pictures[0].metadata, profile=b"")), how)
    options: dict[str, Any] = {"duration": [round(1000 * (picture.seconds or 0.1)) for picture in pictures]}
    if loop is not None or kind.name in ("webp", "png"):  # a GIF without a number is shown once
        options["loop"] = 1 if loop is None else loop
    if kind.name != "gif":
        options |= {"icc_profile": profile or None, "exif": exif_block(metadata.exif, pictures[0].size)}
    if metadata.xmp and kind.name in ("webp", "avif"):
        options["xmp"] = metadata.xmp
    if kind.name == "png":
        options["pnginfo"] = PngInfo()
        for keyword, remark in _remarks(metadata).items():
            options["pnginfo"].add_itxt(keyword, remark)
    if kind.name == "gif" and clear:
        options |= {"disposal": 2}
    if kind.name == "webp" and clear:  # whole frames: a part of one may be opaque, and the file would be called so
        options |= {"kmin": 0, "kmax": 1}
    options |= _lossy(kind, how)
    names = {"gif": "GIF", "webp": "WEBP", "png": "PNG", "avif": "AVIF"}
    images[0].save(path, names[kind.name], save_all=True, append_images=images[1:], **options)


def _alike(picture: Picture, clear: bool, kind: Format) -> Picture:
    """In colours, and transparent if another frame is: frames of one file are of one kind. GIF has no half-tones."""
    colour = np.repeat(picture.colour, 3, axis=2) if picture.grey else picture.colour
    alpha = picture.alpha
    if clear:
        alpha = np.full(colour.shape[:2], 255, np.uint8) if alpha is None else alpha
        alpha = np.where(alpha < 128, 0, 255).astype(np.uint8) if kind.name == "gif" else alpha
    return replace(picture, colour=colour, alpha=alpha)


def _image(picture: Picture) -> Image.Image:
    """As Pillow's, 8 bits."""
    colour = np.repeat(picture.colour, 3, axis=2) if picture.grey and picture.alpha is not None else picture.colour
    samples = colour if picture.alpha is None else np.dstack([colour, picture.alpha])
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _samples(picture: Picture, how: Writing) -> tuple[Samples, bytes, Metadata, tuple[str, ...]]:
    """Samples with alpha as the last channel, the profile to embed, the metadata to write, and notes."""
    colour, profile = picture.colour, b""
    notes: tuple[str, ...] = ()
    metadata = picture.metadata if how.keep_metadata else Metadata()
    if picture.tagged:
        profile = profiles.grey() if picture.grey else profiles.srgb()
    if how.keep_profile and picture.metadata.profile:
        colour, profile, notes = _back(picture, profile)
    return beside(colour, picture.alpha), profile, metadata, notes


def _back(picture: Picture, otherwise: bytes) -> tuple[Samples, bytes, tuple[str, ...]]:
    """The colours in the profile that they came from."""
    source = picture.metadata.profile
    space = profiles.space_of(source)
    if space == "LAB":
        return picture.colour, otherwise, ("its L*a*b* colours stay sRGB",)
    own = profiles.grey() if picture.grey and space == "L" else profiles.srgb()
    change = profiles.converter(own, source, picture.bits)
    if picture.grey and space != "L":
        to = change or (lambda samples: samples)
        count = 1 if space == "RGB" else profiles.CHANNELS[space]
        return changed(picture.colour, lambda part: to(np.repeat(part, 3, axis=2))[..., :count], count), source, ()
    return changed(picture.colour, change, profiles.CHANNELS[space]), source, ()


def _save(path: Path, picture: Picture, kind: Format, how: Writing) -> tuple[str, ...]:
    samples, profile, metadata, notes = _samples(picture, how)
    colours = samples.shape[2] - (picture.alpha is not None)
    if colours == 4 and not kind.inks:
        raise UserError(f"{kind.title} holds no CMYK; write TIFF or JPEG, or leave out --keep-profile")
    if kind.name == "png":
        exif = exif_block(metadata.exif, picture.size)
        with path.open("wb") as file:
            png.write(file, samples, profile, exif, metadata.dpi, _remarks(metadata))
    elif kind.name == "tiff":
        tiff.write(path, [(samples, profile, metadata)])
    else:
        _save_by_pillow(path, samples, profile, metadata, picture, kind, how)
    return notes


def _remarks(metadata: Metadata) -> Mapping[str, str]:
    """By keyword, as PNG holds them."""
    blocks = {"XML:com.adobe.xmp": metadata.xmp.decode(),
              "Raw profile type iptc": iptc.as_raw_profile(metadata.iptc) if metadata.iptc else ""}  # fmt: skip
    return {**metadata.text, **{keyword: block for keyword, block in blocks.items() if block}}


def _save_by_pillow(
    path: Path, samples: Samples, profile: bytes, metadata: Metadata, picture: Picture, kind: Format, how: Writing
) -> None:
    whole = np.asarray(samples)
    colours = whole.shape[2] - (picture.alpha is not None)
    if colours == 4:
        image = Image.frombytes("CMYK", picture.size, np.ascontiguousarray(whole).tobytes())
    else:
        alpha = None if picture.alpha is None else whole[..., colours]
        image = _image(Picture(whole[..., :colours], alpha))
    options: dict[str, Any] = {"icc_profile": profile or None, **_lossy(kind, how)}
    if exif := exif_block(metadata.exif, picture.size):
        options["exif"] = exif
    if metadata.xmp and (kind.name != "jpg" or len(metadata.xmp) <= XMP_IN_JPEG):
        options["xmp"] = metadata.xmp
    if metadata.iptc and kind.name == "jpg":
        options["extra"] = iptc.marker(metadata.iptc)
    if metadata.dpi and kind.name == "jpg" and max(metadata.dpi) < 1 << 16:
        options["dpi"] = tuple(round(value) for value in metadata.dpi)
    if kind.name == "jpg":
        options |= {"subsampling": 0 if how.quality >= 90 else 2}
    if kind.name == "avif":
        options |= {"subsampling": "4:4:4" if how.quality >= 90 else "4:2:0"}
    try:
        image.save(path, {"jpg": "JPEG", "webp": "WEBP", "avif": "AVIF"}[kind.name], **options)
    except (ValueError, OSError) as error:
        if getattr(error, "errno", None):  # of the disk, not of the picture
            raise
        raise UserError(f"cannot be written as {kind.title} ({error}); write PNG or TIFF") from error


def _lossy(kind: Format, how: Writing) -> dict[str, Any]:
    if kind.name == "webp" and how.quality == 100:
        return {"lossless": True, "exact": True}
    return {"quality": how.quality} if kind.lossy else {}

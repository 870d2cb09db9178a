"""Alt text of pictures: kept in the picture, for people who do not see it."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image


def described(picture: Image.Image, text: str) -> Image.Image:
    """The picture with an alt text; a lesson stores it beside the picture."""
    picture.info["alt"] = text
    return picture


def listed(parts: Iterable[str], most: int = 12) -> str:
    """Parts of a picture in words: the first of them, and how many more there are."""
    named = [part for part in parts if part]
    more = f"; and {len(named) - most} more" if len(named) > most else ""
    return "; ".join(named[:most]) + more

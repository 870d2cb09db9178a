"""The bundled example images: small, freely licensed, in colour and detail unlike one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtkd.errors import unknown_name
from mtkd.images import UInt8Image, read_image

_FOLDER = Path(__file__).parent / "example_images"


@dataclass(frozen=True)
class Example:
    """One bundled image; ``licence`` says who made it and that it is free."""

    name: str
    title: str
    licence: str

    @property
    def path(self) -> Path:
        return _FOLDER / f"{self.name}.png"

    def read(self) -> UInt8Image:
        """The image, (H, W, 3) uint8."""
        return read_image(self.path)


EXAMPLES = (
    Example("astronaut", "Portrait", "Eileen Collins, NASA Great Images; public domain"),
    Example("chelsea", "Cat", "Chelsea the cat, Stefan van der Walt; CC0"),
    Example("coffee", "Coffee cup", "Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0"),
    Example("rocket", "Rocket", "Falcon 9 with DSCOVR, SpaceX; public domain"),
    Example("brick", "Brick wall (grey)", "Bricks25, CC0Textures; CC0"),
)
"""Cropped from the images that scikit-image ships."""


def example(name: str) -> Example:
    """One example by name.

    Raises:
        UserError: unknown name.
    """
    for entry in EXAMPLES:
        if entry.name == name:
            return entry
    raise unknown_name("example image", name, [entry.name for entry in EXAMPLES])

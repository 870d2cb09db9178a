"""The bundled example images: small, freely licensed, and different in colour and detail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mtkd.errors import unknown_name
from mtkd.images import UInt8Image, read_image

_PHOTOS, _PATTERNS = (Path(__file__).parent / folder for folder in ("example_images", "example_patterns"))


PLACE_SCALE = 4
"""The scale at which places were looked for."""


@dataclass(frozen=True)
class Place:
    """A place in an example where distillation helps most at x4.

    ``region`` is [top, left, height, width] in HR pixels: the one that
    :func:`mtkd.explore.comparison.story.most_helped` finds, which says how it chooses, or one beside it of nearly the
    same gain that shows ``what`` is lost whole.
    """

    region: tuple[int, int, int, int]
    what: str


@dataclass(frozen=True)
class Example:
    """One bundled image.

    Attributes:
        licence: its author and licence.
        place: where distillation helps most, if anywhere.
        note: what to know of the results on it.
    """

    name: str
    title: str
    licence: str
    place: Place | None = None
    note: str = ""
    folder: Path = _PHOTOS

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.png"

    def read(self) -> UInt8Image:
        """The image, (H, W, 3) uint8."""
        return read_image(self.path)

    def view(self) -> dict[str, object]:
        """The place as a saved view has it: ``region``, and ``zoom``, ``cx`` and ``cy`` that bring it into the middle.

        Without a place nothing: the whole image.
        """
        if self.place is None:
            return {}
        top, left, height, width = self.place.region
        with Image.open(self.path) as image:
            across, down = image.size
        zoom = 0.86 * min(across / width, down / height)
        cx, cy = (left + width / 2) / across, (top + height / 2) / down
        return {"zoom": round(zoom, 1), "cx": round(cx, 3), "cy": round(cy, 3), "region": self.place.region}


EXAMPLES = (
    Example("astronaut", "Portrait", "Eileen Collins, NASA Great Images; public domain",
            Place((164, 148, 48, 48), "the stripe inside the collar")),
    Example("chelsea", "Cat", "Chelsea the cat, Stefan van der Walt; CC0",
            Place((56, 64, 48, 48), "the edge of the eye")),
    Example("coffee", "Coffee cup", "Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0",
            Place((92, 4, 48, 48), "the highlight on the cup")),
    Example("rocket", "Rocket", "Falcon 9 with DSCOVR, SpaceX; public domain",
            Place((192, 60, 48, 48), "the frame beside the rocket")),
    Example("brick", "Brick wall (grey)", "Bricks25, CC0Textures; CC0",
            note="Students beat teachers here: teachers draw the joints thinner and brighter than they are."),
)  # fmt: skip
"""Cropped from the images that scikit-image ships. Their folder is also what lessons and quick trainings train on."""

PATTERNS = (
    Example("stairs", "Staircase (grey)", "Accent to the top, public-domain-image.com; public domain",
            Place((204, 72, 48, 48), "the bright edge of the post"), folder=_PATTERNS),
    Example("pavilion", "Pavilion", "Summer Palace, Daniel Büchele; CC BY 2.0, cropped and scaled to 70 %",
            Place((124, 200, 48, 48), "the corner of the roof"), folder=_PATTERNS),
)  # fmt: skip
"""With fine regular structure: cut from PyWavelets' ``ascent`` and scikit-learn's ``china``."""

PICTURES = (*EXAMPLES, *PATTERNS)
"""All that the page offers."""


def example(name: str) -> Example:
    """One example by name.

    Raises:
        UserError: unknown name.
    """
    for entry in PICTURES:
        if entry.name == name:
            return entry
    raise unknown_name("example image", name, [entry.name for entry in PICTURES])

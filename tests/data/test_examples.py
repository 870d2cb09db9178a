"""The bundled examples: each can be read, says whose it is, and its place lies in it."""

from __future__ import annotations

import pytest

from mtkd.data.examples import PICTURES, Example, example
from mtkd.explore.comparison.region import Region
from mtkd.explore.comparison.saved import SavedView


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_an_example_and_its_place(picture: Example) -> None:
    image = picture.read()
    assert image.shape[0] == 256 and image.shape[1] in (256, 320) and example(picture.name) is picture
    assert any(free in picture.licence for free in ("public domain", "CC0", "CC BY"))
    view = SavedView(example=picture.name, **picture.view())
    if picture.place is None:
        assert view.region is None and view.zoom == 1
        return
    region = Region(*picture.place.region)
    region.check(*image.shape[:2])
    assert view.region == picture.place.region
    middle = (region.left + region.width / 2, region.top + region.height / 2)
    assert (view.cx * image.shape[1], view.cy * image.shape[0]) == pytest.approx(middle, abs=0.2)
    seen = min(image.shape[:2]) / view.zoom  # pixels of the shorter side
    assert 48 < seen < 64


def test_names_and_titles_are_unique() -> None:
    assert len({picture.name for picture in PICTURES}) == len({picture.title for picture in PICTURES}) == len(PICTURES)

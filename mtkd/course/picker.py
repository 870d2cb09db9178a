"""A clickable picture in a notebook that shows attribution maps of the clicked window (extra ``notebooks``)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
from PIL import Image

from mtkd.explain.answer import Explanation, answer
from mtkd.explore.comparison.core import Comparison, data_uri
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.comparison.region import Region
from mtkd.explore.inside.attribution import models, on_image, question, window_in
from mtkd.explore.viewer.widget import Viewer
from mtkd.images import to_uint8

WIDTH, LARGEST = 460, 8
"""Total width of the maps of an answer in pixels, and the maximum magnification of a small map."""


def answer_sheet(found: Explanation, images: Mapping[str, Any]) -> Image.Image:
    """The maps of an answer over their input images, labelled with DI and share: a PIL image.

    One map per teacher for an aggregator, else one map with the name of the model.
    """
    cells = []
    for one, about in zip(found.maps, found.row()["inputs"], strict=True):
        image = images[about["input"]]
        di = "-" if about["di"] is None else f"{about['di']:.1f}"
        share = "" if len(found.maps) == 1 or about["share"] is None else f", share {about['share']:.0%}"
        title = about["input"] if len(found.maps) > 1 else found.model
        cells.append((title, f"DI {di}{share}", on_image(one, image)))
    across = sum(one.shape[1] for one in found.maps)
    return sheet(cells, zoom=max(1, min(LARGEST, WIDTH // across)))


class AttributionPicker(widgets.VBox):  # type: ignore[misc]
    """Click in the picture: ``answer`` is the LAM of that window for the chosen model, and is drawn beside it.

    Args:
        comparison: comparison of the models to choose from.
        size: side of the window, pixels of the SR image.
        steps: of the path.
    """

    def __init__(self, comparison: Comparison, size: int = 16, steps: int = 25) -> None:
        self.comparison, self.size, self.steps = comparison, size, steps
        self.answer: Explanation | None = None
        self.model = widgets.Dropdown(options=models(comparison), description="Model")
        panes = [p for p in comparison.panes(data_uri) if p["name"] == list(comparison.pictures())[-1]]
        self.viewer = Viewer(panes=panes, pick=size, columns=1, layout={"width": "440px"})
        self._drawn = widgets.Image(format="png", layout={"display": "none", "align_self": "flex-start"})
        beside = widgets.HBox([self.viewer, self._drawn], layout={"flex_flow": "row wrap"})
        super().__init__([self.model, beside])
        self.viewer.observe(self._ask, "view")
        self.model.observe(self._ask, "value")

    def _ask(self, change: Mapping[str, Any]) -> None:
        region = Region.of(self.viewer.view.get("region"))
        before = change["old"].get("region") if change["name"] == "view" else None
        if region is None or before == self.viewer.view.get("region"):
            return  # the picture was only moved
        asked = question(self.comparison, self.model.value, window_in(self.comparison, region, self.size))
        self.answer = answer(asked, steps=self.steps)
        images = {name: to_uint8(image) for name, image in zip(asked.inputs, asked.images, strict=True)}
        png = io.BytesIO()
        answer_sheet(self.answer, images).save(png, "png")
        self._drawn.value = png.getvalue()
        self._drawn.layout.display = None

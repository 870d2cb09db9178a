"""What of a comparison is seen: the viewer's panes and place, and the view that a link or a file reproduces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mtkd import __version__
from mtkd.errors import UserError
from mtkd.explore import Comparison
from mtkd.explore.comparison.core import LR, TRUTH
from mtkd.explore.comparison.region import Region
from mtkd.explore.comparison.saved import SavedView, checked
from mtkd.explore.comparison.story import story
from mtkd.explore.viewer import Pane

from ..server.queue import Turns
from ..server.session_files import PictureGroup
from ..state import Look


def panes_of(
    turns: Turns,
    comparison: Comparison,
    chosen: Sequence[str],
    group: PictureGroup,
    saved: dict[str, Pane],
    region: Region | None,
) -> list[Pane]:
    """Panes of what is done, and of what has not run yet, in the order of choice."""
    save = turns.between(group.save)
    done = {pane["name"]: pane for pane in comparison.panes(save, region, saved)}
    saved.update(done)
    waiting: dict[str, Pane] = {
        name: {"name": name, "title": text, "layers": {}, "pending": "waiting" if number else "running"}
        for number, (name, text) in enumerate(comparison.pending.items())
    }
    panes = done | waiting
    last = [LR] if LR in chosen or comparison.hr_image is None else []
    first = [TRUTH] if comparison.hr_image is not None else []
    elsewhere = [name for name in done if name not in (LR, TRUTH, *chosen)]
    names = [*first, *(name for name in chosen if name != LR), *elsewhere, *last]
    return [panes[name] for name in names if name in panes]


def viewer_value(comparison: Comparison, panes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A :class:`mtkd.explore.viewer.Value` of a comparison's panes."""
    measured = comparison.hr_image is not None
    told = story(comparison)
    source = f"MTKD explorer {__version__} · ×{comparison.scale}"
    return {
        "panes": list(panes),
        "reference": TRUTH if measured else None,
        "baseline": told.alone.name if told else None,
        "source": f"{source} · {comparison.protocol}" if measured else source,
    }


def place_in(look: Look, region: Region | None) -> dict[str, Any]:
    """Where the viewer is to look, with a region."""
    return {"view": {**look.view, "region": [*vars(region).values()] if region else None}}


def same_size(comparison: Comparison, before: Comparison | None) -> bool:
    """Whether a region of the comparison before lies in this one's image too."""
    return before is not None and before.lr_image.shape == comparison.lr_image.shape


def within(comparison: Comparison, region: Region | None) -> tuple[Region | None, str]:
    """The region, if the image has it; what is wrong with it."""
    try:
        if region:
            region.check(*(side * comparison.scale for side in comparison.lr_image.shape[:2]))
    except UserError as error:
        return None, f"{error}."
    return region, ""


def saved_view(comparison: Comparison, look: Look, example: str | None) -> SavedView:
    """The view that a link or a file reproduces."""
    region = list(vars(look.region).values()) if look.region else None
    place = {key: value for key, value in look.view.items() if key in SavedView.model_fields and value is not None}
    if place.get("focus") not in comparison.pictures():
        place["focus"] = None
    names = [r.name for r in comparison.results if r.role != "elsewhere"]
    if comparison.hr_image is not None and any(pane["name"] == LR for pane in look.panes):
        names.append(LR)
    fields = {"models": names, **place, "region": region, "scale": comparison.scale}
    held = {**_picture_of(comparison, example), "ground_truth": comparison.hr_image is not None}
    return checked({**held, **fields}, "the view")


@lru_cache(maxsize=4)
def _picture_of(comparison: Comparison, example: str | None) -> dict[str, str]:
    """The picture of a view: an upload is encoded once."""
    return SavedView.picture(example, comparison.lr_image if comparison.hr_image is None else comparison.hr_image)

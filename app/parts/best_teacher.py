"""The best teacher per pixel: which teacher is nearest to the ground truth where."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.explore import Comparison
from mtkd.explore.draw.colours import PALETTE

from ..server.session_files import PictureGroup


@dataclass(frozen=True, eq=False)
class BestTeacher:
    """Its components."""

    part: gr.Accordion
    image: gr.Image
    legend: gr.HTML

    @classmethod
    def layout(cls) -> BestTeacher:
        """Lay it out, hidden until there are teachers to compare."""
        with gr.Accordion("Best teacher per pixel", visible=False, elem_id="best-part") as part:
            image = gr.Image(
                format="png",
                interactive=False,
                show_label=False,
                height=420,
                buttons=["download", "fullscreen"],
                elem_id="best",
            )
            legend = gr.HTML(elem_id="legend")
        return cls(part, image, legend)

    @property
    def outputs(self) -> list[Any]:
        return [self.part, self.image, self.legend]

    def show(self, comparison: Comparison, group: PictureGroup) -> dict[Any, Any]:
        """The map of a comparison; hidden where it has fewer than two teachers or no ground truth."""
        best = comparison.best_teacher()
        if best is None:
            return {self.part: gr.Accordion(visible=False), self.image: None, self.legend: ""}
        picture, shares = best
        titled = {comparison[name].title: share for name, share in shares.items()}
        return {
            self.part: gr.Accordion(visible=True),
            self.image: str(group.write("best teacher", picture)),
            self.legend: _legend(titled, sum(result.role == "teacher" for result in comparison.results)),
        }


def _legend(shares: Mapping[str, float], teachers: int) -> str:
    """The colours of the teachers, and which teachers have none."""
    chips = [
        f'<span class="chip"><i style="background:{colour}"></i>{html.escape(title)} {share:.0%}</span>'
        for colour, (title, share) in zip(PALETTE, shares.items(), strict=False)
    ]
    if len(shares) < teachers:
        chips.append(f"<span>Of {teachers} teachers, the {len(shares)} of the highest PSNR.</span>")
    return f'<div class="chips">{"".join(chips)}</div>'

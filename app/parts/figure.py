"""A part of the Compare tab: what is seen as a figure for a paper (Figs. 2 and 3), PNG and PDF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from mtkd.explore import Comparison, compare
from mtkd.explore.comparison.core import LR, TRUTH
from mtkd.explore.comparison.paper_figures import PRESETS, Row, busiest_region, crops_figure, preset_images
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.printed import render

from ..server.queue import COMPUTING
from ..state import PRIVATE, Look, Shared, errors_shown
from .messages import errors_in, no_comparison, notice, telling

SIDE = 48
"""Of the region of the most detail, where none was drawn: HR pixels."""
_OWN = "Current comparison"


def build(shared: Shared) -> None:
    """Lay out the part and connect it."""
    with gr.Accordion("Paper figure", open=False, elem_id="figure"):
        gr.Markdown(
            "The whole picture with a box, then the box in every result, with its PSNR and SSIM. The box is the "
            "region of the viewer, or the place of most detail.",
            elem_classes="help",
        )
        with gr.Row():
            presets = {p.title: name for name, p in PRESETS.items() if name != "fig4"}
            source = gr.Radio(
                [(_OWN, ""), *presets.items()], value="", label="Images", scale=3, elem_id="figure-source"
            )
            make = gr.Button("Create figure", size="sm", scale=0, min_width=120, elem_id="figure-make")
        note, program = gr.HTML(visible=False, apply_default_css=False), gr.Button(visible=False)
        picture = gr.Image(
            format="png",
            interactive=False,
            show_label=False,
            visible=False,
            buttons=["fullscreen"],
            elem_id="figure-image",
        )
        with gr.Row():
            png = gr.DownloadButton("PNG", size="sm", interactive=False, elem_id="figure-png")
            pdf = gr.DownloadButton("PDF", size="sm", interactive=False, elem_id="figure-pdf")

    def draw(
        comparison: Comparison | None,
        look: Look,
        source: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """Draw the figure of the comparison, or one of the paper's with its models."""
        if comparison is None:
            raise no_comparison()
        with errors_shown(), shared.turns:
            rows = _rows(comparison, look.region, source or None, shared.turns.between(progress))
        progress(None, desc="Drawing")
        figure = crops_figure(rows)
        name = source or "figure"
        group = shared.pictures.group("figure")
        paths = [group.file(f"{name}.{form}", render(figure, form)) for form in ("png", "pdf")]
        files = {button: gr.DownloadButton(value=path, interactive=True)
                 for button, path in zip((png, pdf), paths, strict=True)}  # fmt: skip
        return {picture: gr.Image(paths[0], visible=True), note: notice(""), **files}

    inputs, outputs = [shared.comparison, shared.look, source], [picture, png, pdf]
    for_people = errors_in(draw, lambda message: {note: notice(message)})
    make.click(for_people, inputs, [*outputs, note], show_progress_on=[make], **PRIVATE, **COMPUTING)
    program.click(draw, inputs, [*outputs, note], api_name="figure", **COMPUTING)


def _rows(comparison: Comparison, region: Region | None, preset: str | None, progress: Callable[..., Any]) -> list[Row]:
    if preset is None:
        image = comparison.pictures()[TRUTH if comparison.hr_image is not None else LR]
        return [Row(comparison, region or busiest_region(image, SIDE, SIDE))]
    names = [result.name for result in comparison.results if result.role != "elsewhere"]
    rows = []
    for title, image in preset_images(PRESETS[preset], comparison.scale):
        found = compare(
            image, names, comparison.scale, progress=telling(progress, comparison.scale, before=f"{title}: ")
        )
        assert found.hr_image is not None
        rows.append(Row(found, busiest_region(found.hr_image, SIDE, SIDE), title))
    return rows

"""A part of the Compare tab: what is seen as a figure for a paper (Figs. 2 and 3), PNG and PDF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explore import Comparison, compare
from mtkd.explore.comparison.paper_figures import PRESETS, Row, busiest_region, crops_figure, preset_images, render
from mtkd.explore.comparison.region import Region

from ..server.queue import COMPUTING
from ..state import Look, Shared, errors_shown

SIDE = 48
"""Of the region of the most detail, where none was drawn: HR pixels."""
_OWN = "What is compared above"


def build(shared: Shared) -> None:
    """Lay out the part and connect it."""
    with gr.Accordion("As a figure for a paper", open=False, elem_id="figure"):
        gr.Markdown(
            "The whole image with a box, and the box in every picture, with PSNR and SSIM of the box (all of its "
            "pixels, luma). Draw a region in the viewer, or the box goes where there is most detail.",
            elem_classes="help",
        )
        with gr.Row():
            presets = {p.title: name for name, p in PRESETS.items() if name != "fig4"}
            source = gr.Radio(
                [(_OWN, ""), *presets.items()], value="", label="Images", scale=3, elem_id="figure-source"
            )
            make = gr.Button("Draw it", size="sm", scale=0, min_width=120, elem_id="figure-make")
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
    ) -> list[Any]:
        """Draw the figure of the comparison, or one of the paper's with its models."""
        with errors_shown():
            if comparison is None:
                raise UserError("Compare something first")
            with shared.turns:
                rows = _rows(comparison, look.region, source or None, shared.turns.between(progress))
            progress(None, desc="drawing")
            figure = crops_figure(rows)
        name = source or "figure"
        group = shared.pictures.group("figure")
        paths = [group.file(f"{name}.{form}", render(figure, form)) for form in ("png", "pdf")]
        files = [gr.DownloadButton(form.upper(), path, interactive=True)
                 for form, path in zip(("png", "pdf"), paths, strict=True)]  # fmt: skip
        return [gr.Image(paths[0], visible=True), *files]

    make.click(draw, [shared.comparison, shared.look, source], [picture, png, pdf], api_name="figure", **COMPUTING)


def _rows(comparison: Comparison, region: Region | None, preset: str | None, progress: Callable[..., Any]) -> list[Row]:
    if preset is None:
        image = comparison.pictures()["ground truth" if comparison.hr_image is not None else "LR"]
        return [Row(comparison, region or busiest_region(image, SIDE, SIDE))]
    names = [result.name for result in comparison.results if result.role != "elsewhere"]
    rows = []
    for title, image in preset_images(PRESETS[preset], comparison.scale):

        def show(name: str, done: int, of: int, title: str = title) -> None:
            progress((done, of), desc=f"{title}: {name}", unit="models")

        found = compare(image, names, comparison.scale, progress=show)
        assert found.hr_image is not None
        rows.append(Row(found, busiest_region(found.hr_image, SIDE, SIDE), title))
    return rows

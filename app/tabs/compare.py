"""The Compare tab: several models on one image, side by side."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
import numpy as np

from mtkd.data.examples import EXAMPLES
from mtkd.explore import Comparison
from mtkd.explore import compare as run_models
from mtkd.explore.colours import ERROR_RANGE, PALETTE
from mtkd.explore.viewer import gradio_parts
from mtkd.images import read_image

from ..shared import Shared, model_choices, scale_of, told
from ..upload import UploadedImage

HAS_TRUTH = "High resolution: shrink it, enlarge it again, compare with the original"
NO_TRUTH = "Low resolution: enlarge it (nothing to compare with)"
_TABLE = ["model", "role", "parameters", "seconds", "PSNR-Y (dB)", "SSIM-Y"]
_ARCHIVE = "Download all results (zip)"
_HELP = (
    f"Error: difference to the ground truth in luma, black is 0, pale yellow {ERROR_RANGE} levels or more. "
    "Signed error: blue is too dark, red too bright. Seconds: one run on this machine; those of an aggregator "
    "include its teachers', its parameters do not."
)


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; the first comparison runs when the page opens."""
    scale, models, state = shared.scale, shared.models, shared.comparison
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=320, elem_id="controls"):
            image = UploadedImage(
                str(EXAMPLES[0].path),
                type="filepath",
                format="png",
                label="Image",
                height=230,
                sources=["upload", "clipboard"],
                elem_id="image",
            )
            gr.Examples([[str(e.path)] for e in EXAMPLES], [image], label="Examples")
            mode = gr.Radio([HAS_TRUTH, NO_TRUTH], value=HAS_TRUTH, label="The image is", elem_id="mode")
            scale.render()
            models.render()
            go = gr.Button("Compare", variant="primary", elem_id="go")
            with gr.Accordion("Where the examples come from", open=False):
                gr.Markdown("\n".join(f"- **{e.title}**: {e.licence}" for e in EXAMPLES))
        with gr.Column(scale=1, min_width=640):
            viewer = gr.HTML(None, apply_default_css=False, elem_id="viewer", **gradio_parts())
            table = gr.Dataframe(
                headers=_TABLE,
                datatype=["str", "str", "number", "number", "number", "number"],
                interactive=False,
                label="Numbers (click a heading to sort)",
                buttons=["copy"],
                elem_id="table",
            )
            notes = gr.Markdown(elem_classes="help")
            archive = gr.DownloadButton(_ARCHIVE, interactive=False, size="sm", elem_id="archive")
            with gr.Accordion("Two of them under a slider", open=True):
                with gr.Row():
                    left = gr.Dropdown([], label="Left", elem_id="left")
                    right = gr.Dropdown([], label="Right", elem_id="right")
                slider = gr.ImageSlider(
                    format="png", interactive=False, show_label=False, elem_id="slider", max_height=560
                )
            with gr.Accordion("Which teacher is nearest to the truth, pixel by pixel", visible=False) as best_part:
                best = gr.Image(
                    format="png",
                    interactive=False,
                    show_label=False,
                    height=420,
                    buttons=["download", "fullscreen"],
                    elem_id="best",
                )
                legend = gr.HTML(elem_id="legend")

    def choices(scale_text: str) -> Any:
        return gr.CheckboxGroup(**model_choices(scale_of(scale_text)))

    def compare(
        path: str | None,
        mode: str,
        scale_text: str,
        names: list[str],
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        """Enlarge the image with every chosen model."""
        comparison = _compare(path, mode, scale_of(scale_text), names, progress)
        group = shared.pictures.group()
        panes = comparison.panes(group.save)
        names_of = list(_pictures(comparison))
        truth = comparison.hr_image is not None
        pair = (names_of[1], "ground truth" if truth else names_of[-1])
        results = {f"{r.name}_x{comparison.scale}": r.image for r in comparison.results}
        best_map = comparison.best_teacher()
        return [
            comparison,
            {"panes": panes, "reference": "ground truth" if truth else None},
            _rows(comparison),
            f"{_HELP} {_protocol(comparison)}",
            gr.DownloadButton(_ARCHIVE, group.zip(f"results_x{comparison.scale}", results), interactive=True),
            gr.Accordion(visible=best_map is not None),
            best_map[0] if best_map else None,
            _legend(best_map[1]) if best_map else "",
            gr.Dropdown(names_of, value=pair[0]),
            gr.Dropdown(names_of, value=pair[1]),
            _pair(comparison, *pair),
        ]

    outputs = [state, viewer, table, notes, archive, best_part, best, legend, left, right, slider]
    inputs = [image, mode, scale, models]
    scale.change(choices, scale, models, api_visibility="private")
    go.click(compare, inputs, outputs, api_name="compare", show_progress_on=[viewer])
    shared.page.load(compare, inputs, outputs, api_visibility="private", show_progress_on=[viewer])
    for dropdown in (left, right):
        dropdown.input(_pair, [state, left, right], slider, api_visibility="private", show_progress="hidden")


def _compare(path: str | None, mode: str, scale: int, names: list[str], progress: gr.Progress) -> Comparison:
    if path is None:
        raise gr.Error("Choose an example or drop an image first.", print_exception=False)
    if not names:
        raise gr.Error("Choose at least one model.", print_exception=False)

    def show(name: str, done: int, of: int) -> None:
        progress((done, of), desc=name or "pictures", unit="models")

    with told(path):
        return run_models(read_image(path), names, scale, mode == HAS_TRUTH, show)


def _pictures(comparison: Comparison) -> dict[str, np.ndarray]:
    """Everything that the slider can show, by name."""
    enlarged = comparison.lr_image.repeat(comparison.scale, axis=0).repeat(comparison.scale, axis=1)
    pictures = {"LR": enlarged} | {r.name: r.image for r in comparison.results}
    return pictures if comparison.hr_image is None else pictures | {"ground truth": comparison.hr_image}


def _pair(comparison: Comparison | None, left: str, right: str) -> tuple[np.ndarray, np.ndarray] | None:
    if comparison is None:
        return None
    pictures = _pictures(comparison)
    return pictures[left], pictures[right]


def _rows(comparison: Comparison) -> list[list[Any]]:
    def rounded(value: float | None, digits: int) -> float | None:
        return None if value is None else round(value, digits)

    return [
        [r["name"], r["role"], r["parameters"], rounded(r["seconds"], 3), rounded(r["psnr"], 2), rounded(r["ssim"], 4)]
        for r in comparison.table()
    ]


def _protocol(comparison: Comparison) -> str:
    return f"PSNR and SSIM: {comparison.protocol}." if comparison.hr_image is not None else ""


def _legend(shares: dict[str, float]) -> str:
    chips = [
        f'<span class="chip"><i style="background:{colour}"></i>{html.escape(name)} {share:.0%}</span>'
        for colour, (name, share) in zip(PALETTE, shares.items(), strict=False)
    ]
    return f'<div class="chips">{"".join(chips)}</div>'

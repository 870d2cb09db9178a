"""The picture bar: which image, what is done with it, at which scale, by which models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.data.benchmarks import benchmark, present
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.home import found_data, home

from ..state import PRIVATE, QUIET, Mode, Shared, errors_shown, model_choices
from .upload import UploadedImage

MODES = [
    ("High resolution: downscale, super-resolve, compare with the ground truth", Mode.TEST.value),
    ("Low resolution: super-resolve (no ground truth)", Mode.UPSCALE.value),
]


@dataclass(frozen=True, eq=False)
class PictureBar:
    """Its components; its methods answer their events.

    Attributes:
        example: state: the name of the bundled example that the image is, or None.
        others: SR images of other programs.
        folder, scan, choice: benchmark sets in a folder; None where folders may not be read.
    """

    shared: Shared
    image: gr.Image
    example: gr.State
    gallery: gr.Gallery
    mode: gr.Radio
    others: gr.File
    go: gr.Button
    folder: gr.Textbox | None
    scan: gr.Button | None
    choice: gr.Dropdown | None

    @property
    def inputs(self) -> list[Any]:
        """What a comparison takes from here, in the order of its arguments."""
        return [self.image, self.mode, self.shared.scale, self.shared.models, self.others]

    def choose_example(self, event: gr.SelectData) -> dict[Any, Any]:
        """The image is a bundled one."""
        chosen = EXAMPLES[int(event.index)]
        return {self.image: str(chosen.path), self.example: chosen.name}

    def keep_image(self, path: str | None) -> dict[Any, Any]:
        """The image is an upload: it stays as long as its page."""
        self.shared.keep_upload(path)
        return {self.example: None}

    def at_scale(self, scale: int) -> dict[Any, Any]:
        """The models of another scale."""
        with errors_shown(models_folder()):
            return {self.shared.models: gr.CheckboxGroup(**model_choices(scale))}

    def scan_folder(self, folder: str, scale: int) -> dict[Any, Any]:
        """The images of the benchmark sets in a folder."""
        root = Path(folder)
        with errors_shown():
            sets = present(root, scale)
            if not sets:
                raise UserError(
                    f"{root}: no benchmark set at ×{scale} there; it should hold e.g. Set5/image_SRF_{scale}/*_HR.png"
                )
            images = [(name, image.name) for name in sets for image in benchmark(root, name, scale)]
        choices = [(f"{name} {image}", f"{name}/{image}") for name, image in images]
        return {self.choice: gr.Dropdown(choices, value=None, interactive=True)}

    def choose_benchmark(self, folder: str, scale: int, choice: str | None) -> dict[Any, Any]:
        """The image is a copy of a benchmark image's HR file.

        Its LR image is made anew; of Set5 and Set14 it equals the official one bit for bit (tests/test_resize.py).
        """
        if not choice:
            return {self.image: gr.skip()}
        name, _, wanted = choice.partition("/")
        with errors_shown():
            images = {image.name: image.hr for image in benchmark(Path(folder), name, scale)}
            if wanted not in images:
                raise UserError(f"{name} {wanted} is not in this folder: scan it again")
            try:
                copy = self.shared.pictures.group("image").file(images[wanted].name, images[wanted].read_bytes())
            except OSError as error:
                raise UserError(f"{name} {wanted}: {error.strerror}") from error
        return {self.image: copy, self.mode: Mode.TEST.value, self.example: None}


def models_folder() -> str:
    """The folder of the user's models and runs, as :func:`~mtkd_app.state.errors_shown` leaves it out."""
    return f"{home()}{os.sep}"


def layout(shared: Shared) -> PictureBar:
    """Lay out the bar, top to bottom."""
    image = UploadedImage(
        str(EXAMPLES[0].path),
        type="filepath",
        format="png",
        label="Image",
        height=230,
        sources=["upload", "clipboard"],
        elem_id="image",
    )
    gallery = gr.Gallery(
        [(str(e.path), e.title) for e in EXAMPLES],
        format="png",
        label="Examples",
        columns=3,
        height="auto",
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        buttons=[],
        elem_id="examples",
    )
    folder = scan = choice = None
    if shared.trusted:
        folder, scan, choice = _benchmark_picker()
    mode = gr.Radio(MODES, value=Mode.TEST.value, label="The image is", elem_id="mode")
    shared.scale.render()
    shared.models.render()
    with gr.Accordion("Results of other methods", open=False):
        gr.Markdown(
            "Upload SR images of this LR image, at the output size. The file name becomes the label.",
            elem_classes="help",
        )
        others = gr.File(file_count="multiple", file_types=["image"], show_label=False, height=110, elem_id="others")
    go = gr.Button("Compare", variant="primary", elem_id="go")
    with gr.Accordion("Image credits", open=False):
        gr.Markdown("\n".join(f"- **{e.title}**: {e.licence}" for e in EXAMPLES))
    return PictureBar(shared, image, gr.State(None), gallery, mode, others, go, folder, scan, choice)


def _benchmark_picker() -> tuple[gr.Textbox, gr.Button, gr.Dropdown]:
    with gr.Accordion("Benchmark folder", open=False):
        folder = gr.Textbox(
            str(found_data() or ""),
            label="Folder",
            info="Holds Set5/image_SRF_4/img_001_SRF_4_HR.png and so on.",
            elem_id="benchmark-folder",
        )
        scan = gr.Button("Scan folder", size="sm", elem_id="benchmark-look")
        choice = gr.Dropdown([], label="Image", interactive=True, elem_id="benchmark-image")
    return folder, scan, choice


def connect(bar: PictureBar) -> None:
    """Connect what does not run a model."""
    shared = bar.shared
    bar.gallery.select(bar.choose_example, None, [bar.image, bar.example], **QUIET)
    bar.image.upload(bar.keep_image, bar.image, bar.example, **QUIET)
    bar.others.upload(shared.keep_upload, bar.others, None, **QUIET)
    shared.scale.input(bar.at_scale, shared.scale, shared.models, **PRIVATE)
    if bar.folder is None or bar.scan is None or bar.choice is None:
        return
    for event in (bar.scan.click, bar.folder.submit):
        event(bar.scan_folder, [bar.folder, shared.scale], bar.choice, **PRIVATE)
    chosen = [bar.image, bar.mode, bar.example]
    bar.choice.input(bar.choose_benchmark, [bar.folder, shared.scale, bar.choice], chosen, **PRIVATE)

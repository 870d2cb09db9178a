"""The benchmark sets in a folder of this computer, whose images can be the picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.data.benchmarks import benchmark, present
from mtkd.errors import UserError
from mtkd.home import found_data

from ..state import PRIVATE, Shared, errors_shown
from .messages import errors_in, notice


@dataclass(frozen=True, eq=False)
class BenchmarkFolder:
    """The components of the part; its methods answer their events."""

    shared: Shared
    folder: gr.Textbox
    scan: gr.Button
    choice: gr.Dropdown
    note: gr.HTML

    def told(self, message: str) -> dict[Any, Any]:
        """An error, or "" for none."""
        return {self.note: notice(message)}

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
        return {self.choice: gr.Dropdown(choices, value=None, interactive=True), **self.told("")}

    def read(self, folder: str, scale: int, choice: str) -> tuple[str, str]:
        """The title of an image, and the path of a copy of its HR file.

        Its LR image is made anew; of Set5 and Set14 it equals the official one bit for bit (tests/test_resize.py).
        """
        name, _, wanted = choice.partition("/")
        with errors_shown():
            images = {image.name: image.hr for image in benchmark(Path(folder), name, scale)}
            if wanted not in images:
                raise UserError(f"{name} {wanted} is not in this folder: scan it again")
            try:
                copy = self.shared.pictures.group("image").file(images[wanted].name, images[wanted].read_bytes())
            except OSError as error:
                raise UserError(f"{name} {wanted}: {error.strerror}") from error
        return f"{name} {wanted}", copy


def layout(shared: Shared) -> BenchmarkFolder:
    """Lay out the part."""
    with gr.Accordion("Benchmark folder", open=False):
        folder = gr.Textbox(
            str(found_data() or ""),
            label="Folder",
            info="Holds Set5/image_SRF_4/img_001_SRF_4_HR.png and so on.",
            elem_id="benchmark-folder",
        )
        scan = gr.Button("Scan folder", size="sm", elem_id="benchmark-look")
        note = gr.HTML(visible=False, apply_default_css=False, elem_id="benchmark-note")
        choice = gr.Dropdown([], label="Image", interactive=False, elem_id="benchmark-image")
    return BenchmarkFolder(shared, folder, scan, choice, note)


def connect(of: BenchmarkFolder) -> None:
    """Connect what lists the images."""
    for event in (of.scan.click, of.folder.submit):
        event(errors_in(of.scan_folder, of.told), [of.folder, of.shared.scale], [of.choice, of.note], **PRIVATE)

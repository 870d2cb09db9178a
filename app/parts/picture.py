"""The picture bar above all tabs: which picture, what is done with it, at which scale, by which models."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import gradio as gr

from mtkd.data.examples import EXAMPLES, PICTURES, Example
from mtkd.explore.comparison.choices import default_models, presets
from mtkd.explore.comparison.region import Region
from mtkd.home import home

from ..state import PRIVATE, QUIET, Look, Mode, Shared, errors_shown
from . import area, benchmark_folder
from .benchmark_folder import BenchmarkFolder
from .messages import errors_in, errors_noted, hint
from .upload import UploadedImage

MODES = [("Test: downscale, upscale, compare", Mode.TEST.value), ("Upscale my photo", Mode.UPSCALE.value)]
CANCELLED = "Cancelled. The results so far are shown."
"""What stands in the picture bar of a run that was cancelled."""
_CHOOSE = "Choose a photo of yours: upload or paste it, or use the camera. Until then the test of the example is shown."
_REMEMBER = """(path) => {
  if (path) sessionStorage.setItem("mtkd-upload", path);
  else sessionStorage.removeItem("mtkd-upload");
}"""
"""In the browser: which upload a reload brings back."""


@dataclass(frozen=True, eq=False)
class PictureBar:
    """Its components; its methods answer their events.

    Attributes:
        panel: what the picture button opens; ``opened``: state: whether it has.
        example: state: the name of the bundled example that the picture is, or None.
        kept: hidden: the path of the upload that the picture is, or "".
        others: SR images of other programs.
        preset: names of sets of models.
        area: hidden: the part of a large picture that is compared, "top,left,height,width", "whole", or "" unasked.
        status: what runs.
        whole: takes a large photo whole.
        benchmarks: benchmark sets in a folder; None where folders may not be read.
    """

    shared: Shared
    button: gr.Button
    panel: gr.Column
    opened: gr.State
    image: gr.Image
    example: gr.State
    kept: gr.Textbox
    gallery: gr.Gallery
    mode: gr.Radio
    preset: gr.Radio
    others: gr.File
    area: gr.Textbox
    status: gr.HTML
    cancel: gr.Button
    whole: gr.Button
    benchmarks: BenchmarkFolder | None

    @property
    def inputs(self) -> list[Any]:
        """What a comparison takes from here, in the order of its arguments."""
        return [self.image, self.mode, self.shared.scale, self.shared.models, self.others, self.area]

    @property
    def panel_outputs(self) -> list[Any]:
        """What :meth:`show_panel` changes."""
        return [self.panel, self.opened]

    def new_picture(self, title: str, example: str | None = None, kept: str = "") -> dict[Any, Any]:
        """What changes with every new picture; a comparison of it is asked for."""
        changed = {self.example: example, self.kept: kept, self.area: "", self.button: _label(title)}
        return {**changed, **self.show_panel(False), **self.shared.ask()}

    def show_panel(self, shown: bool) -> dict[Any, Any]:
        """Open or close the panel in which a picture is chosen."""
        return {self.panel: gr.Column(visible=shown), self.opened: shown}

    def choose_mode(self, mode: str, example: str | None) -> dict[Any, Any]:
        """What is done with the picture. To upscale, a person chooses a photo first: an example is nobody's photo."""
        if Mode(mode) is Mode.UPSCALE and example:
            return {**self.show_panel(True), self.shared.request: gr.skip(), self.shared.note: hint(_CHOOSE)}
        return {**self.show_panel(False), **self.shared.ask()}

    def choose_example(self, event: gr.SelectData) -> dict[Any, Any]:
        """The picture is a bundled one."""
        chosen = PICTURES[int(event.index)]
        return {self.image: str(chosen.path), **self.new_picture(chosen.title, chosen.name), **self.look_at(chosen)}

    def look_at(self, chosen: Example) -> dict[Any, Any]:
        """Look at an example's place."""
        view = chosen.view()
        region = view.pop("region", None)
        place = {"zoom": 1, "cx": 0.5, "cy": 0.5, "layer": "image", **view}
        return {self.shared.look: Look(place, Region.of(cast("Sequence[int]", region)), opened=True)}

    def keep_image(self, path: str | None) -> dict[Any, Any]:
        """The picture is an upload: it stays as long as its page."""
        if not path:
            return {self.image: gr.skip()}
        self.shared.keep_upload(path)
        return self.new_picture(Path(path).name, kept=path)

    def at_scale(self, scale: int) -> dict[Any, Any]:
        """The models of another scale."""
        with errors_shown(models_folder()):
            names = default_models(scale)
            listed = self.shared.list_models(scale, names)
            return {**listed, self.preset: preset_of(names, scale), **self.shared.ask()}

    def choose_preset(self, preset: str | None, scale: int) -> dict[Any, Any]:
        """One of the sets of models."""
        with errors_shown(models_folder()):
            names = presets(scale).get(preset or "", [])
        return {self.shared.models: names, **self.shared.ask()} if names else {self.preset: None}

    def choose_models(self, names: list[str], scale: int) -> dict[Any, Any]:
        """Other models."""
        with errors_shown(models_folder()):
            return {self.preset: preset_of(names, scale), **self.shared.ask()}

    def choose_no_models(self, names: list[str]) -> dict[Any, Any]:
        """All models were taken out at once, which Gradio tells as a change alone."""
        return {self.shared.request: gr.skip()} if names else {self.preset: None, **self.shared.ask()}

    def keep_others(self, files: list[str] | None) -> dict[Any, Any]:
        """Results of other programs come in, or go."""
        self.shared.keep_upload(files)
        return self.shared.ask()

    def cancel_run(self) -> dict[Any, Any]:
        """What runs ends; what is done stays."""
        self.shared.newest.cancel()
        return {self.status: status(CANCELLED), self.cancel: gr.Button(visible=False)}

    def take_whole(self) -> dict[Any, Any]:
        """The whole of a large photo is compared."""
        return {self.area: area.WHOLE, self.whole: gr.Button(visible=False), **self.shared.ask()}

    def choose_benchmark(self, folder: str, scale: int, choice: str | None) -> dict[Any, Any]:
        """The picture is an image of a benchmark set."""
        if not choice or not self.benchmarks:
            return {self.image: gr.skip()}
        title, copy = self.benchmarks.read(folder, scale, choice)
        shown = self.new_picture(title)
        return {self.image: copy, self.mode: Mode.TEST.value, **self.benchmarks.told(""), **shown}


def preset_of(names: list[str], scale: int) -> str | None:
    """The preset that holds just these models."""
    return next((preset for preset, models in presets(scale).items() if set(models) == set(names)), None)


def status(text: str, ended: str = "") -> str:
    """What stands in the picture bar about a run; ``ended`` is the request that was answered."""
    return f'<p role="status" aria-live="polite" data-ended="{html.escape(ended)}">{html.escape(text)}</p>'


def _label(title: str) -> str:
    return f"Picture: {title} ▾"


def models_folder() -> str:
    """The folder of the user's models and runs, as :func:`~mtkd_app.state.errors_shown` leaves it out."""
    return f"{home()}{os.sep}"


def layout(shared: Shared) -> PictureBar:
    """Lay out the bar: one line, and the panel that the picture's button opens."""
    with gr.Row(equal_height=False, elem_id="bar"):
        with gr.Column(min_width=300, scale=4):
            button = gr.Button(_label(EXAMPLES[0].title), elem_id="picture")
            mode = gr.Radio(MODES, value=Mode.TEST.value, label="Mode", elem_id="mode", min_width=260)
        with gr.Column(min_width=300, scale=7):
            shared.models.render()
            shared.headings.render()
            with gr.Row(elem_id="how"):
                preset = gr.Radio(list(presets(shared.scale.value)), value="Story", label="Presets",
                                  elem_id="presets", min_width=260, scale=5)  # fmt: skip
                shared.scale.render()
    with gr.Column(visible=False, elem_id="picture-panel") as panel:
        image, gallery, others, benchmarks = _panel(shared)
    with gr.Row(elem_id="status-row"):
        now = gr.HTML(status(""), elem_id="status", apply_default_css=False)
        cancel = gr.Button("Cancel", size="sm", visible=False, elem_id="cancel", scale=0, min_width=90)
        whole = gr.Button("Whole photo", size="sm", visible=False, elem_id="whole", scale=0, min_width=190)
    shared.note.render()
    shared.request.render()
    shared.query.render()
    hidden = (gr.Textbox("", visible="hidden", label=label) for label in ("upload", "area"))
    return PictureBar(
        shared, button, panel, gr.State(False), image, gr.State(None), next(hidden), gallery, mode, preset, others,
        next(hidden), now, cancel, whole, benchmarks,
    )  # fmt: skip


def _panel(shared: Shared) -> tuple[Any, ...]:
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            gallery = gr.Gallery(
                [(str(e.path), e.title) for e in PICTURES],
                format="png",
                label="Examples",
                columns=4,
                height="auto",
                allow_preview=False,
                interactive=False,
                object_fit="cover",
                buttons=[],
                elem_id="examples",
            )
            with gr.Accordion("Image credits", open=False):
                gr.Markdown("\n".join(f"- **{e.title}**: {e.licence}" for e in PICTURES))
        with gr.Column(scale=2, min_width=260):
            image = UploadedImage(
                str(EXAMPLES[0].path),
                type="filepath",
                format="png",
                label="Your picture: upload, paste or camera",
                height=230,
                sources=["upload", "clipboard", "webcam"],
                elem_id="image",
            )
        with gr.Column(scale=2, min_width=260):
            benchmarks = benchmark_folder.layout(shared) if shared.trusted else None
            with gr.Accordion("Results of other software", open=False):
                gr.Markdown("Upscaled versions of this picture; each is shown under its file name.",
                            elem_classes="help")  # fmt: skip
                others = gr.File(file_count="multiple", file_types=["image"], show_label=False, height=110,
                                 elem_id="others")  # fmt: skip
    return image, gallery, others, benchmarks


def connect(bar: PictureBar) -> None:
    """Connect the choices: each asks for a comparison."""
    shared = bar.shared
    picture = [bar.image, bar.example, bar.kept, bar.area, bar.button, *bar.panel_outputs, *shared.asked]
    bar.button.click(lambda shown: bar.show_panel(not shown), bar.opened, bar.panel_outputs, **QUIET)
    bar.gallery.select(bar.choose_example, None, [*picture, shared.look], **QUIET)
    bar.image.upload(bar.keep_image, bar.image, picture, **QUIET)
    bar.kept.change(None, bar.kept, None, js=_REMEMBER, **PRIVATE)
    for event in (bar.others.upload, bar.others.clear, bar.others.delete):  # it tells a change where it is first seen
        event(bar.keep_others, bar.others, shared.asked, **QUIET)
    bar.mode.input(bar.choose_mode, [bar.mode, bar.example], [*bar.panel_outputs, *shared.asked], **QUIET)
    noted = partial(errors_noted, shared)
    shared.models.input(noted(bar.choose_models), [shared.models, shared.scale], [bar.preset, *shared.asked], **QUIET)
    shared.models.change(bar.choose_no_models, shared.models, [bar.preset, *shared.asked], **QUIET)
    shared.scale.input(noted(bar.at_scale), shared.scale, [*shared.listed, bar.preset, *shared.asked], **QUIET)
    bar.preset.input(noted(bar.choose_preset), [bar.preset, shared.scale],
                     [shared.models, bar.preset, *shared.asked], **QUIET)  # fmt: skip
    bar.cancel.click(bar.cancel_run, None, [bar.status, bar.cancel], **QUIET)
    bar.whole.click(bar.take_whole, None, [bar.area, bar.whole, *shared.asked], **QUIET)
    if folder := bar.benchmarks:
        benchmark_folder.connect(folder)
        chosen, changed = [folder.folder, shared.scale, folder.choice], [*picture, bar.mode, folder.note]
        folder.choice.input(errors_in(bar.choose_benchmark, folder.told), chosen, changed, **PRIVATE)

"""The Attribution tab: click a pixel, see which input pixels, or which teacher's, made the detail there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.errors import UserError, unknown_name
from mtkd.explain.answer import Explanation
from mtkd.explain.options import read_options
from mtkd.explain.question import Question
from mtkd.explain.saliency import gradient_sizes
from mtkd.explore import Comparison
from mtkd.explore.comparison.paper_figures import PRESETS, preset_images
from mtkd.explore.comparison.region import Region
from mtkd.explore.inside.attribution import (
    Shown,
    answer_in_steps,
    archive,
    figure,
    models,
    paper_question,
    question,
    window_in,
)
from mtkd.plugins import loaded

from ..parts import attribution_method, attribution_numbers, viewer_part
from ..parts.attribution_method import MethodChoice
from ..server.queue import COMPUTING
from ..server.session_files import PictureGroup
from ..state import PRIVATE, QUIET, Look, Shared, Tab, errors_shown

_CANCELLED = "Cancelled: what is shown is a preview, or the answer before."
LARGEST = 256
"""Of LR images, pixels a side of a square: every step keeps the whole network's features for its gradient."""
_INTRO = """**Which input pixels made this detail?** The local attribution map (LAM, Sec. 5.3.1, Fig. 4) unblurs the
input step by step and adds up what each pixel does for the detail in a window of the result. An aggregator's inputs
are its teachers' images: which teacher's pixels were used? Click in the result to place the window."""
_HELP = """**DI** (diffusion index): how spread the used pixels are, 100 for all alike; not how much they contribute. It
depends on the size of the map: compare equal sizes alone. **Share**: part of all attribution, sizes without signs.
**Signed share**: part of the change in detail from blurred to sharp; they add up to 1 but for the completeness error.
**Shapley**: the exact value of having the input sharp instead of blurred, averaged over all orders, as a part of the
change. **Path**: LAM's goes over images of less and less blur; the straight one mixes the blurred image with the
sharp one, as integrated gradients do. Windows at the image's edge also see the opposite edge through the aggregator:
its windows shift cyclically."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """The components of the tab; its methods answer their events.

    Attributes:
        at: for programs: where the window is; a person clicks.
        view: state: the viewer's view.
        window: state: the window that was asked for last.
        asks: hidden: changes where a click or another comparison asks for an answer.
    """

    shared: Shared
    model: gr.Dropdown
    size: gr.Number
    choice: MethodChoice
    go: gr.Button
    cancel: gr.Button
    at: gr.Textbox
    viewer: gr.HTML
    made: gr.Markdown
    table: gr.Dataframe
    archive: gr.DownloadButton
    png: gr.DownloadButton
    pdf: gr.DownloadButton
    paper: gr.Button
    drawn: gr.Image
    view: gr.State
    window: gr.State
    asks: gr.Textbox

    def fill(self, comparison: Comparison, model: str | None) -> dict[Any, Any]:
        """Another comparison: its models to choose from, the last student first, and a first answer."""
        names = models(comparison)
        chosen = model if model in names else names[-1] if names else None
        return {
            self.model: gr.Dropdown(names, value=chosen),
            self.view: {},
            self.asks: f"comparison {id(comparison)}",
        }

    def look_at(self, view: dict[str, Any], window: list[int] | None, event: gr.EventData) -> dict[Any, Any]:
        """Where the person looks; another window than the last, and than that answered, asks another question."""
        now = dict(event._data or {})
        another = now.get("region") not in (None, view.get("region"), window)
        return {self.view: now, self.asks: f"window {now['region']}" if another else gr.skip()}

    def explain(
        self,
        comparison: Comparison | None,
        model: str | None,
        view: dict[str, Any],
        look: Look,
        size: int,
        at: str = "",
        method: str = "lam",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        **values: Any,
    ) -> Iterator[dict[Any, Any]]:
        """Attribute the detail in a window of a model's result: first a preview, then the method's answer."""
        if comparison is None or not model:
            raise gr.Error("Compare something first: this tab looks at the results.", print_exception=False)
        shared, group = self.shared, self.shared.pictures.group("attribution")
        with errors_shown():
            options = self._options(method, values, size, comparison.lr_image.shape)
            if model not in models(comparison):
                raise unknown_name("model among those compared", model, models(comparison))
            middle = Region.of([*at.split(","), 1, 1]) if at else Region.of(view.get("region")) or look.region
            window = window_in(comparison, middle, int(size))
            asked = question(comparison, model, window)
            with shared.turns:
                preview = Shown(asked, gradient_sizes(asked), True)
        box = [window.top, window.left, window.size, window.size]
        place = {"region": box} if view else {"region": box, "layer": "on the image", "zoom": 1}
        columns = len(asked.inputs) + 1 if len(asked.inputs) <= 3 else None  # all on one row, as long as they are few
        panes = preview.panes(comparison, lambda name, image: group.save(f"preview {name}", image))
        value = {"panes": panes, "pick": window.size, "columns": columns}
        waiting: dict[Any, Any] = {
            self.window: box,
            self.made: "Preview: the gradient alone, at the image itself.",
            self.table: attribution_numbers.EMPTY,
            **dict.fromkeys((self.archive, self.png, self.pdf), gr.DownloadButton(interactive=False)),
        }
        yield {self.viewer: {**value, "view": place}, **waiting}
        with errors_shown(*_plugin_folders()):
            for done, of, answer in answer_in_steps(asked, method, shared.turns, **options):
                progress((done, of), desc="attribution", unit="steps")
                if answer is None:  # told again: Gradio takes a skipped value in a stream for the one before it
                    yield {self.viewer: value, **waiting}
        assert answer is not None
        panes = Shown(asked, answer.attributions, False).panes(comparison, group.save)
        packed = group.file("attribution.zip", archive(answer))
        yield {
            self.viewer: {**value, "panes": panes},
            self.window: box,
            self.made: attribution_numbers.text(answer),
            self.table: attribution_numbers.value(answer),
            **_downloads({self.archive: packed, **self._figures(comparison, asked, answer, group)}),
        }

    def draw_paper(
        self,
        comparison: Comparison | None,
        size: int,
        method: str = "lam",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        **values: Any,
    ) -> Iterator[dict[Any, Any]]:
        """Fig. 4 on the image that the paper shows, or the one that stands in for it."""
        shared, scale = self.shared, comparison.scale if comparison else 4
        with errors_shown():
            (_, image), *_ = preset_images(PRESETS["fig4"], scale)
            options = self._options(method, values, size, [side // scale for side in image.shape[:2]])
            with shared.turns:
                title, compared, asked = paper_question(scale, int(size))
            for done, of, answer in answer_in_steps(asked, method, shared.turns, **options):
                progress((done, of), desc="attribution", unit="steps")
                if answer is None:
                    yield dict.fromkeys((self.drawn, self.png, self.pdf), gr.skip())
        assert answer is not None
        figures = self._figures(compared, asked, answer, shared.pictures.group("paper"))
        label = f"Fig. 4: {title}, {answer.model}"
        yield {self.drawn: gr.Image(figures[self.png], visible=True, label=label), **_downloads(figures)}

    def _figures(
        self, comparison: Comparison, asked: Question, answer: Explanation, group: PictureGroup
    ) -> dict[Any, str]:
        """The files of Fig. 4 of an answer, by their buttons."""
        forms = {self.png: "png", self.pdf: "pdf"}
        return {
            button: group.file(f"fig4.{form}", figure(comparison, asked, answer, form))
            for button, form in forms.items()
        }

    def _options(
        self, method: str, values: Mapping[str, Any], size: int | None, lr_shape: Sequence[int]
    ) -> dict[str, Any]:
        """The chosen method's options; all that was given is checked before networks run."""
        options = self.choice.options(method, values)
        read_options(method, options)
        if size is None:
            raise UserError("Window is empty: give a number")
        height, width = lr_shape[:2]
        if height * width > LARGEST**2:
            raise UserError(
                f"the LR image is {width} x {height}; attribution runs it whole, many times: at most {LARGEST} x "
                f"{LARGEST} pixels. Compare a part of it"
            )
        return options


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it works on the comparison that the Compare tab shows."""
    connect(layout(shared), tab)


def layout(shared: Shared) -> Attribution:
    """Lay out the tab: what is asked, the maps, the numbers, files."""
    gr.Markdown(_INTRO, elem_classes="help")
    with gr.Row(equal_height=True):
        model = gr.Dropdown([], label="Model", elem_id="lam-model", scale=2, allow_custom_value=True)
        method = attribution_method.method_dropdown("lam-method", scale=2)
        size = gr.Number(16, label="Window, SR pixels", minimum=4, maximum=64, precision=0, elem_id="lam-window")
        with gr.Column(min_width=110):
            go = gr.Button("Explain", variant="primary", size="sm", elem_id="lam-go")
            cancel = gr.Button("Cancel", size="sm", elem_id="lam-cancel")
    with gr.Row(equal_height=True):
        choice = attribution_method.layout(method)
    at = gr.Textbox("", visible=False, label="Middle of the window in the result: ROW,COLUMN (empty: most detail)")
    viewer = viewer_part.layout("lam-viewer")
    made = gr.Markdown(elem_classes="help", elem_id="lam-made")
    table = gr.Dataframe(headers=attribution_numbers.COLUMNS, interactive=False, label="Numbers", elem_id="lam-table")
    gr.Markdown(_HELP, elem_classes="help")
    with gr.Row():
        packed = gr.DownloadButton("Maps and numbers (zip)", size="sm", interactive=False, elem_id="lam-archive")
        png = gr.DownloadButton("Fig. 4 as PNG", size="sm", interactive=False, elem_id="lam-png")
        pdf = gr.DownloadButton("Fig. 4 as PDF", size="sm", interactive=False, elem_id="lam-pdf")
        paper = gr.Button(
            f"Fig. 4 of the paper's image ({PRESETS['fig4'].images[0][0]})", size="sm", elem_id="lam-fig4"
        )
    drawn = gr.Image(
        format="png",
        interactive=False,
        visible=False,
        label="Fig. 4",
        buttons=["download", "fullscreen"],
        elem_id="lam-fig4-image",
    )
    return Attribution(
        shared, model, size, choice, go, cancel, at, viewer, made, table, packed, png, pdf, paper, drawn,
        gr.State({}), gr.State(None), gr.Textbox(visible="hidden"),
    )  # fmt: skip


def connect(of: Attribution, tab: gr.Tab) -> None:
    """Connect the tab's events."""
    shared, method = of.shared, of.choice.method
    of.choice.connect()
    news = shared.on_new_comparison(tab, "lam-viewer")
    news.change(of.fill, [shared.comparison, of.model], [of.model, of.view, of.asks], **QUIET)
    of.viewer.select(of.look_at, [of.view, of.window], [of.view, of.asks], **QUIET)
    run: dict[str, Any] = {
        "inputs": [shared.comparison, of.model, of.view, shared.look, of.size, of.at, method],
        "inputs_kwargs": of.choice.inputs,
        "outputs": [of.viewer, of.window, of.made, of.table, of.archive, of.png, of.pdf],
        "show_progress_on": [of.made],
        "trigger_mode": "always_last",
        **COMPUTING,
    }
    started: list[Any] = [of.go.click(of.explain, api_name="explain", **run)]
    for event in (of.asks.change, of.model.input):
        started.append(event(of.explain, **run, **PRIVATE))
    started.append(
        of.paper.click(
            of.draw_paper,
            [shared.comparison, of.size, method],
            [of.drawn, of.png, of.pdf],
            inputs_kwargs=of.choice.inputs,
            api_name="figure_4",
            show_progress_on=[of.made],
            **COMPUTING,
        )
    )
    stopped = of.cancel.click(lambda: None, cancels=started, **QUIET)
    stopped.then(lambda: _CANCELLED, None, of.made, **QUIET)


def _downloads(files: Mapping[Any, str]) -> dict[Any, Any]:
    return {button: gr.DownloadButton(value=file, interactive=True) for button, file in files.items()}


def _plugin_folders() -> list[str]:
    """What an error of a plugin's method does not show: where its file lies on this computer."""
    return [f"{plugin.path.parent}{os.sep}" for plugin in loaded()]


TAB = Tab("Attribution", order=40, build=build)

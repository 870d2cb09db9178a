"""The Attribution view: click a pixel, see which input pixels, or which teacher's, made the detail there."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.errors import UserError, unknown_name
from mtkd.explain.answer import Explanation
from mtkd.explain.question import Question
from mtkd.explore import Comparison
from mtkd.explore.comparison.region import Region
from mtkd.explore.inside.attribution import marks, models, sentence, used, window_in
from mtkd.explore.inside.side_by_side import MOST, SideBySide, comparable
from mtkd.plugins import loaded

from ..parts import attribution_export, attribution_method, attribution_numbers, viewer_part
from ..parts import attribution_words as words
from ..parts.attribution_export import Export
from ..parts.attribution_method import MethodChoice
from ..parts.attribution_work import Maps, explaining, several
from ..parts.messages import NO_COMPARISON
from ..server.queue import COMPUTING
from ..server.session_files import PictureGroup
from ..server.steps import Newest, in_steps
from ..state import QUIET, Look, Shared, Tab, error_text, errors_shown

TOGETHER = "side by side"
"""In place of a model: the models of the comparison that see the LR image, four at most."""
_EMPTY = "The maps appear here when the comparison is done."
_CANCELLED = "Cancelled. Showing the last available map."


@dataclass(frozen=True, eq=False)
class Attribution:
    """The components of the view; its methods answer their events.

    Attributes:
        at: for programs: where the window is; a person clicks.
        chosen: state: the model and the method that were asked for last.
        view: state: the viewer's view.
        window: state: the window that was asked for last.
        asks: hidden: changes where a click, another model or another comparison asks for an answer.
        said: how far an answer is, then the answer in words.
        program: hidden: for programs, which get an error as one.
        newest: what each page asked last.
    """

    shared: Shared
    model: gr.Dropdown
    said: gr.HTML
    cancel: gr.Button
    choice: MethodChoice
    go: gr.Button
    at: gr.Textbox
    viewer: gr.HTML
    made: gr.Markdown
    table: gr.Dataframe
    export: Export
    chosen: gr.State
    view: gr.State
    window: gr.State
    asks: gr.Textbox
    program: gr.Button
    newest: Newest

    @property
    def outputs(self) -> list[Any]:
        """What an answer fills."""
        return [self.viewer, self.window, self.made, self.table, *self.export.files]

    def fill(self, comparison: Comparison, model: str | None, method: str) -> dict[Any, Any]:
        """Another comparison: its models to choose from, the combined teacher first, and a first answer."""
        names, titles, together = models(comparison), comparison.titles(), comparable(comparison)
        merged = [result.name for result in comparison.results if result.role == "aggregator"]
        choices = [(titles[name], name) for name in names]
        if len(together) > 1:
            which = f"first {MOST} of {len(together)}" if len(together) > MOST else f"{len(together)} models"
            choices.append((f"Side by side ({which})", TOGETHER))
        known = [name for _, name in choices]
        chosen = model if model in known else next(iter([*merged, *reversed(names)]), None)
        return {
            self.model: gr.Dropdown(choices, value=chosen),
            self.chosen: [chosen, method],
            self.view: {},
            self.asks: self.newest.ask(f"comparison {id(comparison)}"),
        }

    def look_at(self, view: dict[str, Any], window: list[int] | None, event: gr.EventData) -> dict[Any, Any]:
        """Where the person looks; another window than the last, and than that answered, asks another question."""
        now = dict(event._data or {})
        another = now.get("region") not in (None, view.get("region"), window)
        return {self.view: now, self.asks: self.newest.ask(f"window {now['region']}") if another else gr.skip()}

    def choose(self, model: str, method: str, chosen: list[str]) -> dict[Any, Any]:
        """Another model or method, with its options as they are. Who leaves a list has chosen nothing else."""
        if [model, method] == chosen:  # Gradio tells of that, too, and of a choice twice
            return {self.asks: gr.skip()}
        return {self.chosen: [model, method], self.asks: self.newest.ask(f"{method} of {model}")}

    def compute(self) -> dict[Any, Any]:
        """The same question again, with other options."""
        return {self.asks: self.newest.ask()}

    def stop(self) -> None:
        """End what runs."""
        self.newest.cancel()

    def explain(
        self,
        comparison: Comparison | None,
        model: str | None,
        view: dict[str, Any],
        look: Look,
        size: int,
        at: str = "",
        method: str = "lam",
        **values: Any,
    ) -> Iterator[dict[Any, Any]]:
        """Attribute the detail in a window of a model's result: first a preview, then the method's answer."""
        with errors_shown(*_plugin_folders()):
            for changed in self._answers(comparison, model, view, look, size, at, method, **values):
                yield {part: value for part, value in changed.items() if part not in (self.said, self.cancel)}

    def show(self, asks: str, *inputs: Any, **values: Any) -> Iterator[dict[Any, Any]]:
        """The same on the page, until something else is asked: how far it is, the answer in words, or an error."""
        idle = {self.cancel: gr.Button(interactive=False)}
        try:
            with closing(self._answers(*inputs, **values)) as answers:
                for changed in answers:
                    if not self.newest.wanted(asks):
                        break
                    yield changed
            if self.newest.cancelled():
                yield {self.said: f'<p role="status">{_CANCELLED}</p>', **idle}
        except UserError as error:
            nothing = viewer_part.failed(error_text(error, *_plugin_folders()))
            yield {self.viewer: nothing, self.said: "", **self._no_numbers(), **idle}
        except Exception:  # ours to mend: Gradio says that there was an error
            yield {self.said: "", **idle}
            raise

    def _answers(
        self,
        comparison: Comparison | None,
        model: str | None,
        view: dict[str, Any],
        look: Look,
        size: int,
        at: str = "",
        method: str = "lam",
        **values: Any,
    ) -> Generator[dict[Any, Any]]:
        """A preview, how far the method is, and its answer."""
        if comparison is None or not model:
            raise UserError(NO_COMPARISON)
        options = self.choice.checked(method, values, size)
        if model not in (*models(comparison), TOGETHER):
            raise unknown_name("model among those compared", model, models(comparison))
        middle = Region.of([*at.split(","), 1, 1]) if at else Region.of(view.get("region")) or look.region
        window = window_in(comparison, middle, int(size))
        box = [window.top, window.left, window.size, window.size]
        place: dict[str, Any] = {"region": box}
        if not view:  # the first look is a close one
            height, width = (side * comparison.scale for side in comparison.lr_image.shape[:2])
            middle_at = {"cx": (window.left + window.size / 2) / width, "cy": (window.top + window.size / 2) / height}
            place |= {"layer": "on the image", "zoom": 3, **middle_at}
        group, began = self.shared.pictures.group("attribution"), time.monotonic()
        changed: dict[Any, Any] = {
            self.window: box,
            self.said: words.progress("Computing" if model == TOGETHER else "Computing a preview"),
            self.cancel: gr.Button(interactive=True),
            **self._no_numbers(),
        }
        yield changed
        if model == TOGETHER:
            work: Any = several(self.shared, comparison, window, method, options)
        else:
            work = explaining(self.shared, comparison, model, window, method, options)
        for news in in_steps(work):
            # Each is told as a whole: Gradio takes what is left out in a stream for the value before it.
            if isinstance(news, Maps):
                asked, count = news.shown.asked, len(news.shown.asked.inputs)
                value = {
                    "panes": news.shown.panes(comparison, group.save),
                    "pick": window.size,
                    "columns": count + 1 if count <= 3 else None,  # all on one row, as long as they are few
                }
                if news.found:
                    changed |= self._answered(comparison, asked, news.found, group)
                changed[self.viewer] = value if news.found else {**value, "view": place}
                yield changed
                changed[self.viewer] = value
            elif isinstance(news, SideBySide):
                panes = news.panes(comparison, group.save)
                changed |= self._answered_together(comparison, news, group)
                changed[self.viewer] = {"panes": panes, "pick": window.size, "columns": len(panes), "view": place}
                yield changed
            else:
                if news:
                    doing = "Computing" if model == TOGETHER else "Preview. Refining"
                    changed[self.said] = words.progress(doing, news[0], news[1], began)
                yield changed

    def _answered(
        self, comparison: Comparison, asked: Question, found: Explanation, group: PictureGroup
    ) -> dict[Any, Any]:
        """The answer in words and numbers, and its files."""
        helps = [text for text in (marks(found), used(found.part, asked)) if text]
        return {
            self.said: words.said(sentence(comparison, asked, found), *helps),
            self.cancel: gr.Button(interactive=False),
            self.made: attribution_numbers.text(found),
            self.table: attribution_numbers.value(found),
            **self.export.of(comparison, asked, found, group),
        }

    def _answered_together(self, comparison: Comparison, together: SideBySide, group: PictureGroup) -> dict[Any, Any]:
        """The answers side by side in words and numbers, and their files."""
        return {
            self.said: words.said(
                "One window, one colour scale. Deletion area: how soon the window changes when the marked pixels are "
                "blurred first (0 to 1); random pixels in brackets."
            ),
            self.cancel: gr.Button(interactive=False),
            self.made: "  \n".join(attribution_numbers.text(one) for one in together.answers),
            self.table: attribution_numbers.values(together),
            **self.export.of_several(comparison, together, group),
        }

    def _no_numbers(self) -> dict[Any, Any]:
        return {self.made: "", self.table: attribution_numbers.EMPTY, **self.export.off()}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; it works on the comparison that the Compare tab shows."""
    connect(layout(shared), tab)


def layout(shared: Shared) -> Attribution:
    """Lay out the view: what is asked and the answer, the maps, then numbers and files."""
    with gr.Row(elem_id="lam-head"):
        # Any name, for programs: the choices are those of a page's session.
        model = gr.Dropdown([], label="Model", elem_id="lam-model", scale=1, min_width=260, allow_custom_value=True)
        method = attribution_method.methods()
        said = gr.HTML(elem_id="lam-said", padding=False)
        cancel = gr.Button("Cancel", size="sm", elem_id="lam-cancel", scale=0, min_width=90, interactive=False)
    viewer = viewer_part.layout("lam-viewer", {"empty": _EMPTY, "height": 470})
    with gr.Accordion("Advanced", open=False, elem_id="lam-advanced"):
        with gr.Row(equal_height=True):
            choice = attribution_method.layout(method)
        go = gr.Button("Compute attribution", variant="primary", size="sm", elem_id="lam-go")
        table = gr.Dataframe(
            headers=attribution_numbers.COLUMNS, interactive=False, label="Numbers", elem_id="lam-table"
        )
        made = gr.Markdown(elem_classes="help", elem_id="lam-made")
    export = attribution_export.layout()
    with gr.Accordion("About this view", open=False):
        gr.Markdown(words.ABOUT, elem_classes="help")
    at = gr.Textbox("", visible=False, label="Middle of the window in the result: ROW,COLUMN (empty: most detail)")
    return Attribution(
        shared, model, said, cancel, choice, go, at, viewer, made, table, export,
        gr.State([]), gr.State({}), gr.State(None), gr.Textbox(visible="hidden"), gr.Button(visible=False), Newest(),
    )  # fmt: skip


def connect(of: Attribution, tab: gr.Tab) -> None:
    """Connect the view's events."""
    shared = of.shared
    of.choice.connect()
    news = shared.on_new_comparison(tab, "lam-viewer")
    method = of.choice.method
    news.change(of.fill, [shared.comparison, of.model, method], [of.model, of.chosen, of.view, of.asks], **QUIET)
    of.viewer.select(of.look_at, [of.view, of.window], [of.view, of.asks], **QUIET)
    for control in (of.model, method):
        control.input(of.choose, [of.model, method, of.chosen], [of.chosen, of.asks], **QUIET)
    of.go.click(of.compute, None, of.asks, **QUIET)
    inputs = [shared.comparison, of.model, of.view, shared.look, of.choice.size, of.at, method]
    options: dict[str, Any] = {"inputs_kwargs": of.choice.inputs, **COMPUTING}
    of.program.click(of.explain, inputs, of.outputs, api_name="explain", **options)
    shown = [*of.outputs, of.said, of.cancel]
    of.asks.change(of.show, [of.asks, *inputs], shown, trigger_mode="always_last", **options, **QUIET)
    drawing = of.export.connect(shared, of.choice)
    of.cancel.click(of.stop, None, cancels=drawing, **QUIET)


def _plugin_folders() -> list[str]:
    """What an error of a plugin's method does not show: where its file lies on this computer."""
    return [f"{plugin.path.parent}{os.sep}" for plugin in loaded()]


TAB = Tab("Attribution", order=40, build=build, within="How it works")

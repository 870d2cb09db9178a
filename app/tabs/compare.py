"""The Compare tab: several models on one picture, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explore import Comparison
from mtkd.explore.comparison.region import Region
from mtkd.explore.viewer import Pane

from ..parts import area, comparison_table, copy_link, facts, figure, report, viewer_part
from ..parts.address import Address
from ..parts.best_teacher import BestTeacher
from ..parts.messages import errors_noted, no_comparison, notice
from ..parts.picture import CANCELLED, PictureBar, status
from ..parts.running import Step, run_models
from ..parts.seen import panes_of, place_in, same_size, saved_view, viewer_value, within
from ..server.queue import COMPUTING
from ..server.session_files import PictureGroup
from ..server.steps import in_steps
from ..state import QUIET, Look, Mode, Shared, Tab, error_text, errors_shown

HEIGHT = 344
"""Of the viewer, CSS pixels: with it all of the tab is on a projector's screen, 1280 x 720; a higher one has more."""


@dataclass(frozen=True, eq=False)
class Compare:
    """The components of the tab; its methods answer their events."""

    shared: Shared
    viewer: gr.HTML
    table: gr.Dataframe
    notes: gr.Markdown
    archive: gr.DownloadButton
    numbers: gr.DownloadButton
    link: gr.Button
    keep: gr.DownloadButton
    opened: gr.UploadButton
    place: gr.Textbox
    best: BestTeacher
    said: gr.HTML

    @property
    def bar(self) -> PictureBar:
        return self.shared.bar

    def compare(
        self,
        path: str | None,
        mode: str,
        scale: int,
        names: list[str],
        others: list[str] | None,
        part: str = "",
        token: str = "",
        example: str | None = None,
        look: Look = Look(),  # noqa: B008
        before: Comparison | None = None,
    ) -> Iterator[dict[Any, Any]]:
        """Super-resolve the picture with every chosen model; each result is shown as it comes.

        ``token`` is the page's request; a program gives none. An older request ends where a newer one is made.
        """
        part, token, others = part or "", token or "", others or []
        if not self.shared.newest.wanted(token):
            return
        hidden = [path or "", *(f"{Path(other).parent}/" for other in others)]
        try:
            if path is None:
                raise UserError("There is no picture. Choose an example or upload one.")
            self.shared.pictures.use(path, *others)
            if token and (choice := area.wanted(path, Mode(mode), scale, names, part, self.shared.largest)):
                yield self._choose_area(choice, token)
                return
            if part in ("", area.WHOLE):
                area.check_size(path, Mode(mode), scale)
            yield from self._run(path, Mode(mode), scale, names, others, part, token, example, look, before)
        except UserError as error:
            message = error_text(error, *hidden)
            if not token:
                raise gr.Error(message, print_exception=False) from error
            yield {self.viewer: viewer_part.failed(message), **self._idle(token)}

    def _run(
        self,
        path: str,
        mode: Mode,
        scale: int,
        names: Sequence[str],
        others: Sequence[str],
        part: str,
        token: str,
        example: str | None,
        look: Look,
        before: Comparison | None,
    ) -> Iterator[dict[Any, Any]]:
        shared, group, saved = self.shared, self.shared.pictures.group("compare"), dict[str, Pane]()
        image, alpha = area.opened(path, mode, part, shared.largest)
        pixels = area.result_pixels(image.shape, mode, scale)
        chosen = list(dict.fromkeys(names))

        def work(tell: Callable[[Step], None]) -> None:
            with shared.turns.for_size(pixels):
                run_models(shared.turns.between(tell), image, alpha, mode, scale, chosen, others, pixels)

        comparison, opened = None, look.opened
        with closing(in_steps(work)) as steps:
            for step in steps:
                if not shared.newest.wanted(token):
                    break
                if step is None or step.comparison is None:
                    yield self._running(step.text if step else "")
                    continue
                first, comparison = comparison is None, step.comparison
                if comparison.pending:
                    panes = panes_of(shared.turns, comparison, chosen, group, saved, None)
                    value = viewer_value(comparison, panes)
                    yield {self.viewer: {**value, **(place_in(look, look.region) if first and opened else {})}}
        if comparison is None or not shared.newest.current(token):
            return
        region = look.region if look.opened or same_size(comparison, before) else None
        comparison = replace(comparison, pending={})
        look = replace(look, request=token)
        region, problem = within(comparison, region)
        shown = self._show(comparison, region, look, example, chosen, group, saved)
        yield {**shown, **self._idle(token), **({shared.note: notice(problem)} if problem else {})}

    def _show(
        self,
        comparison: Comparison,
        region: Region | None,
        look: Look,
        example: str | None,
        chosen: Sequence[str],
        group: PictureGroup,
        saved: dict[str, Pane],
    ) -> dict[Any, Any]:
        """All that the tab shows of a comparison; what the session keeps of it lies on disk."""
        panes = panes_of(self.shared.turns, comparison, chosen, group, saved, region)
        value = viewer_value(comparison, panes) | (place_in(look, region) if look.opened else {})
        stored = comparison.stored(group.mapped)
        now = Look(look.view if look.opened else {}, region, panes, request=look.request)
        results = {f"{r.name}_x{comparison.scale}": r.name for r in comparison.results}
        cancelled = not comparison.results and bool(chosen)
        return {
            self.shared.comparison: stored,
            self.shared.look: now,
            self.viewer: value if not cancelled else {**value, "error": "Cancelled before the first result."},
            self.table: comparison_table.value(comparison, region),
            self.notes: comparison_table.notes(comparison),
            self.said: facts.value(comparison, region, example),
            self.archive: gr.DownloadButton(value=group.zip(f"results_x{comparison.scale}", results), interactive=True),
            **self.best.show(comparison, group),
            **self._files(stored, now, group, example),
        }

    def _running(self, text: str) -> dict[Any, Any]:
        if not text:
            return {self.bar.status: gr.skip()}
        return {self.bar.status: status(text), self.bar.cancel: gr.Button(visible=True)}

    def _idle(self, token: str) -> dict[Any, Any]:
        hidden = {button: gr.Button(visible=False) for button in (self.bar.cancel, self.bar.whole)}
        text = CANCELLED if self.shared.newest.cancelled() else ""
        return {self.bar.status: status(text, token), **hidden}

    def _choose_area(self, choice: area.Choice, token: str) -> dict[Any, Any]:
        """The photo, in which an area is chosen with a click."""
        group = self.shared.pictures.group("area")
        pane = {"name": "Your photo", "layers": {"image": group.save("photo", choice.preview)}}
        look = Look(panes=[pane], request=token, area=choice.factor)
        return {
            self.viewer: {"panes": [pane], "pick": choice.side, "view": {"zoom": 1, "layer": "image", "region": None}},
            self.shared.look: look,
            self.bar.status: status(choice.question, token),
            self.bar.cancel: gr.Button(visible=False),
            self.bar.whole: gr.Button(f"Whole photo (about {choice.seconds:.0f} s)", visible=choice.whole),
        }

    def look_at(
        self, comparison: Comparison | None, look: Look, example: str | None, event: gr.EventData
    ) -> dict[Any, Any]:
        """A new place, layer or region in the viewer; in a large photo, the area to compare."""
        if not self.shared.newest.current(look.request):  # of panes that are about to be replaced
            return {self.shared.look: gr.skip()}
        view = dict(event._data or {})
        with errors_shown():
            region = Region.of(view.pop("region", None))
            if look.area is not None:
                if region is None:
                    return {self.shared.look: gr.skip()}
                return {self.bar.area: area.text(region, look.area), **self.shared.ask()}
            if comparison is None:
                return {self.shared.look: Look(view)}
            now = replace(look, view=view, region=region, opened=False)
            changed: dict[Any, Any] = {}
            if region != look.region:
                captions = comparison.captions(region)
                now = replace(now, panes=[{**pane, "caption": captions[pane["name"]]} for pane in look.panes])
                changed = {
                    self.viewer: viewer_value(comparison, now.panes),
                    self.table: comparison_table.value(comparison, region),
                    self.said: facts.value(comparison, region, example),
                }
            group = PictureGroup.of(look.panes[0]["layers"]["image"])
            return {self.shared.look: now, **changed, **self._files(comparison, now, group, example)}

    def _files(self, comparison: Comparison, look: Look, group: PictureGroup, example: str | None) -> dict[Any, Any]:
        """The link's query and the files of what is seen."""
        view = saved_view(comparison, look, example)
        texts = {self.keep: ("view.json", view.json()), self.numbers: ("numbers.csv", comparison.csv(look.region))}
        buttons = {button: gr.DownloadButton(value=group.text(*text), interactive=True)
                   for button, text in texts.items()}  # fmt: skip
        return {self.shared.query: view.query(), **buttons}

    def measure(self, comparison: Comparison | None, place: str) -> dict[Any, Any]:
        """The table with the region's numbers, for programs: a person draws the region."""
        if comparison is None:
            raise no_comparison()
        with errors_shown():
            return {self.table: comparison_table.value(comparison, Region.of(place.split(",")))}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it."""
    connect(layout(shared))


def layout(shared: Shared) -> Compare:
    """Lay out the tab: the viewer, then what can be taken away, then the numbers."""
    empty = "Loading the first comparison…"
    viewer = viewer_part.layout("viewer", {"height": HEIGHT, "beside": 720 - HEIGHT, "link": True, "empty": empty})
    said = facts.layout(shared)
    with gr.Row(elem_id="keep"):
        link = copy_link.layout()
        with gr.Accordion("Export", open=False, elem_id="export"), gr.Row():
            archive = gr.DownloadButton("Download images (zip)", interactive=False, size="sm", elem_id="archive")
            report.build(shared)
            numbers = gr.DownloadButton("Download metrics (CSV)", interactive=False, size="sm", elem_id="csv")
            keep = gr.DownloadButton("Save session", interactive=False, size="sm", elem_id="save-view")
            opened = gr.UploadButton("Open session", file_types=[".json"], size="sm", elem_id="open-view")
    with gr.Accordion("Metrics", elem_id="metrics"):
        table = comparison_table.layout()
        notes = gr.Markdown(elem_classes="help")
    best = BestTeacher.layout()
    figure.build(shared)
    place = gr.Textbox(visible=False, label="TOP,LEFT,HEIGHT,WIDTH in pixels of the result")
    return Compare(shared, viewer, table, notes, archive, numbers, link, keep, opened, place, best, said)


def connect(tab: Compare) -> None:
    """Connect the tab's events."""
    shared, bar = tab.shared, tab.bar
    files = [shared.query, tab.keep, tab.numbers]
    running = [bar.status, bar.cancel, bar.whole]
    outputs = [shared.comparison, shared.look, tab.viewer, tab.table, tab.notes, tab.archive, tab.said]
    outputs += [*tab.best.outputs, shared.note]
    shared.request.change(
        tab.compare,
        [*bar.inputs, shared.request, bar.example, shared.look, shared.comparison],
        [*outputs, *files, *running],
        api_name="compare",
        show_progress="hidden",
        trigger_mode="always_last",
        **COMPUTING,
    )
    address = Address(shared)
    tab.opened.upload(address.from_file, tab.opened, address.outputs, **QUIET)
    seen = [shared.comparison, shared.look, bar.example]
    looked = [shared.look, tab.viewer, tab.table, tab.said, bar.area, *shared.asked, *files]
    tab.viewer.select(errors_noted(shared, tab.look_at), seen, looked, **QUIET)
    tab.place.submit(tab.measure, [shared.comparison, tab.place], tab.table, api_name="region")
    copy_link.connect(tab.link)


TAB = Tab("Compare", order=10, build=build)

"""The Compare tab: several models on one image, side by side."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.explore import Comparison
from mtkd.explore import compare as run_models
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.comparison.region import Region
from mtkd.explore.comparison.saved import SavedView, checked, from_json, from_query
from mtkd.images import UInt8Image, read_image

from ..parts import comparison_table, figure, picture, viewer_part
from ..parts.best_teacher import BestTeacher
from ..parts.picture import PictureBar, models_folder
from ..parts.slider import Slider
from ..server.queue import COMPUTING
from ..server.session_files import PictureGroup
from ..state import PRIVATE, QUIET, Look, Mode, Shared, Tab, errors_shown, model_choices

LARGEST = 16_000_000
"""Pixels of a result: 4K (8.3 million) and somewhat more."""
MOST_OTHERS = 16
"""Results of other methods in one comparison."""
_TO_ADDRESS_BAR = """(query) => {
  const theme = new URLSearchParams(location.search).get("__theme");
  const parts = [query, theme && `__theme=${theme}`].filter(Boolean).join("&");
  history.replaceState(null, "", parts ? `?${parts}` : location.pathname);
}"""
_LINK = "Copy a link to this view"
_COPY_LINK = f"""async () => {{
  try {{
    await navigator.clipboard.writeText(location.href);
    return "Copied";
  }} catch {{ // no clipboard over plain http, or not allowed
    window.prompt("The link to this view", location.href);
    return "{_LINK}";
  }}
}}"""
_LINK_AGAIN = f'() => new Promise((done) => setTimeout(() => done("{_LINK}"), 1500))'


@dataclass(frozen=True, eq=False)
class Compare:
    """The components of the tab; its methods answer their events."""

    shared: Shared
    bar: PictureBar
    viewer: gr.HTML
    table: gr.Dataframe
    notes: gr.Markdown
    archive: gr.DownloadButton
    numbers: gr.DownloadButton
    link: gr.Button
    keep: gr.DownloadButton
    opened: gr.UploadButton
    query: gr.Textbox
    place: gr.Textbox
    slider: Slider
    best: BestTeacher

    def compare(
        self,
        path: str | None,
        mode: str,
        scale: int,
        names: list[str],
        others: list[str] | None,
        example: str | None,
        look: Look,
        before: Comparison | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """Super-resolve the image with every chosen model."""
        if path is None:
            raise gr.Error("Choose an example or drop an image first.", print_exception=False)
        shared, others = self.shared, others or []
        folders = [f"{Path(other).parent}/" for other in others]
        with errors_shown(path, *folders), shared.turns.for_size(_pixels(path, Mode(mode), scale)):
            shared.pictures.use(path, *others)
            comparison = _run(path, Mode(mode), scale, names, others, shared.turns.between(progress))
            region = look.region if look.opened or _same_size(comparison, before) else None
            return self.show(comparison, _within(comparison, region), look, example)

    def show(self, comparison: Comparison, region: Region | None, look: Look, example: str | None) -> dict[Any, Any]:
        """All that the tab shows of a comparison; what the session keeps of it lies on disk."""
        shared, group = self.shared, self.shared.pictures.group("compare")
        panes = comparison.panes(shared.turns.between(group.save), region)
        value = _viewer_value(comparison, panes)
        if look.opened:
            value["view"] = {**look.view, "region": [*vars(region).values()] if region else None}
        stored = comparison.stored(group.mapped)
        now = Look(look.view if look.opened else {}, region, panes)
        results = {f"{r.name}_x{comparison.scale}": r.name for r in comparison.results}
        return {
            shared.comparison: stored,
            shared.look: now,
            self.viewer: value,
            self.table: comparison_table.value(comparison, region),
            self.notes: comparison_table.notes(comparison),
            self.archive: gr.DownloadButton(value=group.zip(f"results_x{comparison.scale}", results), interactive=True),
            **self.slider.show(list(comparison.pictures()), group),
            **self.best.show(comparison, group),
            **self._files(stored, now, group, example),
        }

    def look_at(
        self, comparison: Comparison | None, look: Look, example: str | None, event: gr.EventData
    ) -> dict[Any, Any]:
        """A new place, layer or region in the viewer."""
        view = dict(event._data or {})
        with errors_shown():
            region = Region.of(view.pop("region", None))
            if comparison is None:
                return {self.shared.look: Look(view)}
            now = replace(look, view=view, region=region, opened=False)
            changed: dict[Any, Any] = {}
            if region != look.region:
                captions = comparison.captions(region)
                now = replace(now, panes=[{**pane, "caption": captions[pane["name"]]} for pane in look.panes])
                changed = {
                    self.viewer: _viewer_value(comparison, now.panes),
                    self.table: comparison_table.value(comparison, region),
                }
            group = PictureGroup.of(look.panes[0]["layers"]["image"])
            return {self.shared.look: now, **changed, **self._files(comparison, now, group, example)}

    def _files(self, comparison: Comparison, look: Look, group: PictureGroup, example: str | None) -> dict[Any, Any]:
        """The link's query and the files of what is seen."""
        view = _saved_view(comparison, look, example)
        texts = {self.keep: ("view.json", view.json()), self.numbers: ("numbers.csv", comparison.csv(look.region))}
        buttons = {button: gr.DownloadButton(value=group.text(*text), interactive=True)
                   for button, text in texts.items()}  # fmt: skip
        return {self.query: view.query(), **buttons}

    def from_link(self, request: gr.Request) -> dict[Any, Any]:
        """The inputs that the page's address asks for; without, the models that there are by now."""
        with errors_shown(models_folder()):
            try:
                view = from_query(dict(request.query_params))
            except UserError as error:
                gr.Warning(html.escape(str(error)))
                view = None
            if view is None:
                models = gr.CheckboxGroup(**model_choices(self.shared.scale.value))
                return {self.shared.models: models, self.bar.example: EXAMPLES[0].name}
            if view.example is None:
                gr.Warning("This link holds no picture, as of an upload: a saved view does.")
            return self._inputs_of(view)

    def from_file(self, path: str) -> dict[Any, Any]:
        """The inputs of a saved view."""
        self.shared.pictures.use(path)
        with errors_shown(path):
            return self._inputs_of(from_json(Path(path).read_text(encoding="utf-8", errors="replace")))

    def _inputs_of(self, view: SavedView) -> dict[Any, Any]:
        """Image, mode, scale, models and place of a view."""
        choices = model_choices(view.scale)
        names = [name for name in dict.fromkeys(view.models) if name] or choices["value"]
        missing = [name for name in names if name not in choices["choices"]]
        if missing:
            gr.Warning(f"Not here at ×{view.scale}, left out: {html.escape(', '.join(missing))}")
        names = [name for name in names if name not in missing] or choices["value"]
        place = {key: getattr(view, key) for key in ("zoom", "cx", "cy", "layer", "focus")}
        image = view.image()
        written = image is not None and str(self.shared.pictures.group("image").write("image", image))
        return {
            self.bar.image: written or gr.skip(),
            self.bar.example: view.example if image is not None else EXAMPLES[0].name,
            self.bar.mode: (Mode.TEST if view.ground_truth else Mode.UPSCALE).value,
            self.shared.scale: view.scale,
            self.shared.models: gr.CheckboxGroup(choices["choices"], value=names),
            self.shared.look: Look(place, Region.of(view.region), opened=True),
        }

    def measure(self, comparison: Comparison | None, place: str) -> dict[Any, Any]:
        """The table with the region's numbers, for programs: a person draws the region."""
        if comparison is None:
            raise gr.Error("Compare something first.", print_exception=False)
        with errors_shown():
            return {self.table: comparison_table.value(comparison, Region.of(place.split(",")))}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; the first comparison runs when the page opens."""
    connect(layout(shared))


def layout(shared: Shared) -> Compare:
    """Lay out the tab: the picture bar left, the results right."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=320, elem_id="controls"):
            bar = picture.layout(shared)
        with gr.Column(scale=1, min_width=640):
            viewer = viewer_part.layout("viewer")
            table = comparison_table.layout()
            notes = gr.Markdown(elem_classes="help")
            with gr.Row(elem_id="keep"):
                archive = gr.DownloadButton("All results (zip)", interactive=False, size="sm", elem_id="archive")
                numbers = gr.DownloadButton("Numbers (CSV)", interactive=False, size="sm", elem_id="csv")
                link = gr.Button(_LINK, size="sm", elem_id="link")
                keep = gr.DownloadButton("Save this view", interactive=False, size="sm", elem_id="save-view")
                opened = gr.UploadButton("Open a saved view", file_types=[".json"], size="sm", elem_id="open-view")
            slider = Slider.layout()
            best = BestTeacher.layout()
            figure.build(shared)
    query = gr.Textbox(visible="hidden", elem_id="query")
    place = gr.Textbox(visible=False, label="TOP,LEFT,HEIGHT,WIDTH in pixels of the result")
    return Compare(
        shared, bar, viewer, table, notes, archive, numbers, link, keep, opened, query, place, slider, best
    )  # fmt: skip


def connect(tab: Compare) -> None:
    """Connect the tab's events."""
    shared, bar = tab.shared, tab.bar
    picture.connect(bar)
    tab.slider.connect(shared.look)
    inputs = [*bar.inputs, bar.example, shared.look, shared.comparison]
    files = [tab.query, tab.keep, tab.numbers]
    outputs = [shared.comparison, shared.look, tab.viewer, tab.table, tab.notes, tab.archive]
    outputs += [*tab.slider.outputs, *tab.best.outputs, *files]
    given = [bar.image, bar.mode, shared.scale, shared.models, bar.example, shared.look]

    def then_addressed(event: Any) -> None:
        event.success(None, tab.query, None, js=_TO_ADDRESS_BAR, **PRIVATE)

    run = {"show_progress_on": [tab.viewer], **COMPUTING}
    then_addressed(bar.go.click(tab.compare, inputs, outputs, api_name="compare", **run))
    linked = shared.page.load(tab.from_link, None, given, **QUIET)
    then_addressed(linked.then(tab.compare, inputs, outputs, **PRIVATE, **run))
    from_file = tab.opened.upload(tab.from_file, tab.opened, given, **QUIET)
    then_addressed(from_file.success(tab.compare, inputs, outputs, **PRIVATE, **run))
    seen = [shared.comparison, shared.look, bar.example]
    then_addressed(tab.viewer.select(tab.look_at, seen, [shared.look, tab.viewer, tab.table, *files], **QUIET))
    tab.place.submit(tab.measure, [shared.comparison, tab.place], tab.table, api_name="region")
    copied = tab.link.click(None, None, tab.link, js=_COPY_LINK, **PRIVATE)
    copied.then(None, None, tab.link, js=_LINK_AGAIN, **PRIVATE)


def _pixels(path: str, mode: Mode, scale: int) -> int:
    """Of the result, from the file's head: what is too large is not decoded."""
    try:
        with Image.open(path) as image:
            pixels = image.width * image.height * (1 if mode is Mode.TEST else scale**2)
    except Exception:  # reading it tells what is wrong
        return 0
    if pixels > LARGEST:
        raise UserError(
            f"the result would have {pixels / 1e6:.1f} million pixels, the limit is {LARGEST // 1_000_000} "
            "million: cut the image into parts, or use `mtkd upscale`"
        )
    return int(pixels)


def _run(
    path: str, mode: Mode, scale: int, names: list[str], others: Sequence[str], progress: Callable[..., Any]
) -> Comparison:
    if not names:
        raise gr.Error("Choose at least one model.", print_exception=False)
    if len(others) > MOST_OTHERS:
        raise UserError(f"{len(others)} results of other methods: at most {MOST_OTHERS} at once")

    def show(name: str, done: int, of: int) -> None:
        progress((done, of), desc=name or "pictures", unit="models")

    image = read_image(path)
    uploaded: dict[str, UInt8Image] = {}
    for other in others:
        if (name := Path(other).stem) in uploaded:
            raise UserError(f"two results of other methods are named {name}; rename one of the files")
        _pixels(other, Mode.TEST, scale)
        uploaded[name] = read_image(other)
    return run_models(image, list(dict.fromkeys(names)), scale, mode is Mode.TEST, show, uploaded)


def _viewer_value(comparison: Comparison, panes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"panes": list(panes), "reference": TRUTH if comparison.hr_image is not None else None}


def _same_size(comparison: Comparison, before: Comparison | None) -> bool:
    """Whether a region of the comparison before lies in this one's image too."""
    return before is not None and before.lr_image.shape == comparison.lr_image.shape


def _within(comparison: Comparison, region: Region | None) -> Region | None:
    """The region, if the image has it."""
    try:
        if region:
            region.check(*(side * comparison.scale for side in comparison.lr_image.shape[:2]))
    except UserError as error:
        gr.Warning(str(error))
        return None
    return region


def _saved_view(comparison: Comparison, look: Look, example: str | None) -> SavedView:
    """The view that a link or a file reproduces."""
    region = list(vars(look.region).values()) if look.region else None
    place = {key: value for key, value in look.view.items() if key in SavedView.model_fields and value is not None}
    if place.get("focus") not in comparison.pictures():
        place["focus"] = None
    names = [r.name for r in comparison.results if r.role != "elsewhere"]
    fields = {"models": names, **place, "region": region, "scale": comparison.scale}
    held = {**_picture_of(comparison, example), "ground_truth": comparison.hr_image is not None}
    return checked({**held, **fields}, "the view")


@lru_cache(maxsize=4)
def _picture_of(comparison: Comparison, example: str | None) -> dict[str, str]:
    """The picture of a view: an upload is encoded once."""
    return SavedView.picture(example, comparison.lr_image if comparison.hr_image is None else comparison.hr_image)


TAB = Tab("Compare", order=20, build=build)

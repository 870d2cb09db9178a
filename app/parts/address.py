"""The page's address says what is seen: tab, picture, models, place, layer, region; a link or a session opens it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from mtkd.data.examples import EXAMPLES, example
from mtkd.errors import UserError
from mtkd.explore.comparison.choices import default_models
from mtkd.explore.comparison.region import Region
from mtkd.explore.comparison.saved import SavedView, from_json, from_query

from ..state import PRIVATE, QUIET, Look, Mode, Shared, error_text, errors_shown, model_groups
from .messages import errors_noted, notice
from .picture import PictureBar, models_folder, preset_of
from .tour import Tour, stop_view

_OPEN_LINK = "() => [location.search, sessionStorage.getItem('mtkd-upload') || '']"
_TO_ADDRESS = "(query) => window.mtkdAddress.show(query)"
_TAB_TO_ADDRESS = "() => window.mtkdAddress.tab()"


@dataclass(frozen=True, eq=False)
class Address:
    """From links and sessions to the components of the page."""

    shared: Shared

    @property
    def bar(self) -> PictureBar:
        return self.shared.bar

    @property
    def outputs(self) -> list[Any]:
        """The components that a link sets."""
        bar, shared = self.bar, self.shared
        picture = [bar.image, bar.example, bar.kept, bar.area, bar.button, bar.mode, bar.preset]
        return [*picture, *bar.panel_outputs, shared.scale, *shared.listed, shared.look, *shared.asked]

    def from_link(self, search: str, upload: str) -> dict[Any, Any]:
        """What an address asks for; without a picture, the upload that this browser had, else the first example."""
        with errors_shown(models_folder()):
            view, problems, kept = None, [], None
            try:
                view = from_query(dict(parse_qsl(search.removeprefix("?"))))
            except UserError as error:
                problems.append(f"{error}.")
            if upload and (view is None or view.example is None):
                kept = self._kept(upload)
                problems += [] if kept else ["Your photo is not stored. Upload it again."]
            now = stop_view(view.tour) if view and view.tour else view or SavedView()
            return {**self.inputs(now, kept, problems), **self.open_tab(now.tab), self.shared.stop: now.tour or 0}

    def at_start(self, search: str, upload: str) -> dict[Any, Any]:
        """The same while the page opens, on Compare: a tab that was chosen meanwhile stays."""
        tabs = self.shared.tabs
        asked = self.from_link(search, upload)
        return {part: value for part, value in asked.items() if part is not tabs or value.selected != "compare"}

    def from_file(self, path: str) -> dict[Any, Any]:
        """What a saved session asks for."""
        self.shared.pictures.use(path)
        try:
            return self.inputs(from_json(Path(path).read_text(encoding="utf-8", errors="replace")))
        except UserError as error:
            return {self.shared.note: notice(error_text(error, path))}

    def _kept(self, upload: str) -> str | None:
        """The upload that a reload brings back, where the explorer still has it."""
        if not self.shared.pictures.holds(Path(upload)):
            return None
        self.shared.pictures.use(upload)
        return upload

    def open_tab(self, name: str | None) -> dict[Any, Any]:
        """Open a tab, or a view with its tab, by id; Compare without."""
        for group, (row, names) in self.shared.views.items():
            if name in names:
                return {self.shared.tabs: gr.Tabs(selected=group), row: gr.Tabs(selected=name)}
        return {self.shared.tabs: gr.Tabs(selected=name or "compare")}

    def inputs(self, view: SavedView, kept: str | None = None, problems: Sequence[str] = ()) -> dict[Any, Any]:
        """Picture, mode, scale, models and place of a view, and what of it could not be opened."""
        bar, shared = self.bar, self.shared
        here = {name for choices in model_groups(view.scale).values() for _, name in choices}
        usual = default_models(view.scale)
        names = [name for name in dict.fromkeys(view.models) if name] or usual
        missing = [name for name in names if name not in here]
        if missing:
            problems = [*problems, f"Not here at ×{view.scale}, left out: {', '.join(missing)}."]
        names = [name for name in names if name in here] or usual
        image = view.image()
        if kept is not None:
            picture: dict[Any, Any] = {bar.image: kept, **bar.new_picture(Path(kept).name, kept=kept)}
        elif image is not None and view.example is None:
            written = str(shared.pictures.group("image").write("image", image))
            picture = {bar.image: written, **bar.new_picture("from a session")}
        else:
            shown = example(view.example) if view.example else EXAMPLES[0]
            picture = {bar.image: str(shown.path), **bar.new_picture(shown.title, shown.name)}
        return {
            **picture,
            shared.note: notice(" ".join(problems)),
            bar.mode: (Mode.TEST if view.ground_truth else Mode.UPSCALE).value,
            bar.preset: preset_of(names, view.scale),
            shared.scale: view.scale,
            **shared.list_models(view.scale, names),
            shared.look: Look(view.place(), Region.of(view.region), opened=True),
            **(bar.look_at(EXAMPLES[0]) if view == SavedView(tab=view.tab) and kept is None else {}),
        }


def connect(shared: Shared, stops: Tour) -> None:
    """Connect the address bar: after all tabs are built."""
    address = Address(shared)
    rows = [shared.tabs, *(row for row, _ in shared.views.values())]
    outputs = [*address.outputs, *rows, shared.stop]
    search, upload = (gr.Textbox(visible="hidden", label=label) for label in ("search", "stored"))
    again = gr.Button(visible="hidden", elem_id="open-address")
    opening = {"js": _OPEN_LINK, **QUIET}
    shared.page.load(errors_noted(shared, address.at_start), [search, upload], outputs, **opening)
    again.click(errors_noted(shared, address.from_link), [search, upload], outputs, **opening)
    shared.query.change(None, shared.query, None, js=_TO_ADDRESS, **PRIVATE)
    for row in rows:
        row.select(None, None, None, js=_TAB_TO_ADDRESS, **PRIVATE)
    shared.evidence.click(lambda: address.open_tab("summary"), None, rows, **QUIET)
    stops.connect(address.inputs, address.open_tab, [*address.outputs, *rows])

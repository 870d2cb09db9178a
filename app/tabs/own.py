"""Models: a checkpoint from elsewhere becomes a model of all views, and is removed again."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.zoo import imports
from mtkd.zoo.fitting import candidates

from ..parts import own_api, own_models
from ..parts.messages import alert, live
from ..parts.own_models import DETECT
from ..state import PRIVATE, QUIET, Shared, Tab, scale_choices

_OFF = (
    "Models can be added only where the explorer serves one computer: install it there and start it with `mtkd demo`. "
    "With `--trust`, every visitor can add models here."
)
_HELP = (
    "EDSR, RCAN, SwinIR, SPAN and Compact of any size as `.safetensors`, `.pth`, `.pt` or `.ckpt`; with the extra "
    "`community` also what spandrel detects. No code in a file is executed. For a file over 64 MB, give its path."
)


@dataclass(frozen=True, eq=False)
class Own:
    """The components of the view; its methods answer their events.

    Attributes:
        found: what a checkpoint holds, or what is wrong with it.
        ready: what asks for a name; seen once a checkpoint is known to be a model.
        done: what came of adding or removing.
        show: opens the model added last in Compare.
        listed: your models; one of them is chosen to be removed.
        key, settings: which of several networks in the file, and what weights do not tell; seen where there is such.
        inspected: state: the file, path, network, scale, key and settings that ``found`` tells of.
        added: state: name and scale of the model added last.
    """

    shared: Shared
    file: gr.File
    path: gr.Textbox
    network: gr.Dropdown
    scale: gr.Dropdown
    found: gr.HTML
    key: gr.Dropdown
    settings: gr.Textbox
    ready: gr.Column
    name: gr.Textbox
    replace: gr.Checkbox
    add: gr.Button
    done: gr.HTML
    show: gr.Button
    none: gr.Markdown
    listed: gr.Radio
    unread: gr.HTML
    drop: gr.Button
    removed: gr.HTML
    inspected: gr.State
    added: gr.State

    @property
    def asked(self) -> list[Any]:
        """What names a checkpoint."""
        return [self.file, self.path, self.network, self.scale]

    def receive(self, file: str, network: str, scale: int) -> dict[Any, Any]:
        """A file was dropped: it takes the path's place, and is inspected."""
        self.shared.keep_upload(file)
        return {self.path: "", **self.inspect(file, "", network, scale)}

    def take_path(self, path: str, network: str, scale: int, before: tuple[Any, ...]) -> dict[Any, Any]:
        """A path was typed: it takes the file's place, and is inspected."""
        if not path.strip() or before[:4] == (None, path, network, scale):
            return {self.inspected: before}
        return {self.file: None, **self.inspect(None, path, network, scale)}

    def take_settings(
        self, file: str | None, path: str, network: str, scale: int, key: str | None, settings: str,
        before: tuple[Any, ...],
    ) -> dict[Any, Any]:  # fmt: skip
        """What weights do not tell was typed: the checkpoint is inspected with it; name and outcome stay."""
        if before == (file, path, network, scale, key, settings):
            return {self.inspected: before}
        stay = {self.name, self.replace, self.done, self.show}
        answer = self.inspect(file, path, network, scale, key, settings)
        return {part: value for part, value in answer.items() if part not in stay}

    def inspect(
        self, file: str | None, path: str, network: str, scale: int, key: str | None = None,
        settings: str | None = None,
    ) -> dict[Any, Any]:  # fmt: skip
        """Say which network and scale a checkpoint holds, or what is wrong with it; nothing is kept.

        Without ``key`` and ``settings`` their usual values are shown, where there is a choice."""
        asked = {
            self.inspected: (file, path, network, scale, key, settings),
            self.done: "",
            self.show: gr.Button(visible=False),
        }
        no_choice = {self.key: gr.Dropdown([], value=None, visible=False), self.settings: gr.Textbox("", visible=False)}
        source = path.strip() or file
        if not source:
            return {**asked, **no_choice, self.found: "", self.ready: gr.Column(visible=False)}
        try:
            known = own_models.found(Path(source), network, scale, key, settings)
        except UserError as error:
            left = {} if key or settings else no_choice
            return {**asked, **left, self.found: alert(error, source), self.ready: gr.Column(visible=False)}
        text, places = own_models.settings_of(known), own_models.places(known)
        return {
            **asked,
            self.inspected: (file, path, network, scale, known.key, text),
            self.found: own_models.table(known),
            self.key: gr.Dropdown(places, value=known.key, visible=len(places) > 1),
            self.settings: gr.Textbox(text, visible=bool(text)),
            self.ready: gr.Column(visible=True),
            self.name: known.header.name,
            self.replace: False,
        }

    def keep(
        self,
        file: str | None,
        path: str,
        network: str,
        scale: int,
        key: str | None,
        settings: str,
        name: str,
        replace: bool,
        now: int,
        checked: list[str],
    ) -> dict[Any, Any]:
        """Keep the checkpoint under a name, as a model of all views."""
        source = path.strip() or file or ""
        try:
            known = own_models.found(Path(source), network, scale, key, settings)
            model = imports.add(known, name.strip(), replace)
        except UserError as error:
            return {self.done: alert(error, source)}
        text = f"<p><b>{html.escape(model.name)}</b> ×{model.scale} is now in all lists, as a {model.role}.</p>"
        return {
            self.done: text,
            self.added: (model.name, model.scale),
            self.show: gr.Button(visible=True),
            self.replace: False,
            self.removed: "",
            **self.lists(now, [*checked, model.name]),
        }

    def choose(self) -> dict[Any, Any]:
        """A model is chosen, which can be removed."""
        return {self.drop: gr.Button(interactive=True), self.removed: ""}

    def remove(self, chosen: str, now: int, checked: list[str]) -> dict[Any, Any]:
        """Take one of your models out of all lists; its file is kept in a folder `removed`."""
        try:
            place = own_models.remove(chosen)
        except UserError as error:
            return {self.removed: alert(error)}
        text = f"<p>{html.escape(chosen)} is removed. Its file is now <code>{html.escape(str(place))}</code>.</p>"
        return {self.removed: text, self.done: "", self.show: gr.Button(visible=False), **self.lists(now, checked)}

    def open_compare(self, added: tuple[str, int], now: int, checked: list[str]) -> dict[Any, Any]:
        """The Compare tab with the model added last."""
        return self.shared.open_in_compare(*added, now, checked)

    def lists(self, now: int, checked: list[str]) -> dict[Any, Any]:
        """The lists of models as they are now; what is checked stays so."""
        choices = own_models.choices()
        return {
            self.none: gr.Markdown(visible=not choices),
            self.listed: gr.Radio(choices, value=None, visible=bool(choices)),
            self.drop: gr.Button(interactive=False, visible=bool(choices)),
            self.unread: own_models.unreadable(),
            **self.shared.list_models(now, checked),
        }


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; where strangers may come, it only says why it is off."""
    if not shared.trusted:
        gr.Markdown(_OFF)
        return
    connect(layout(shared), tab)
    own_api.connect()


def layout(shared: Shared) -> Own:
    """Lay out the view in one column: a checkpoint, what it is, its name; then your models."""
    with gr.Column(elem_id="own"):
        gr.Markdown("### Add a model")
        gr.Markdown(_HELP, elem_classes="help")
        file = gr.File(
            file_types=[".safetensors", ".pth", ".pt", ".ckpt"], label="Checkpoint", height=120, elem_id="own-file"
        )
        path = gr.Textbox(label="Or its path on this computer, then Enter", placeholder="/home/…/EDSR_x4.pt",
                          elem_id="own-path")  # fmt: skip
        found = live("own-found")
        key = gr.Dropdown([], label="Weights in the file", visible=False, elem_id="own-key")
        settings = gr.Textbox(label="What the weights do not tell", info="One NAME=VALUE a line.", visible=False,
                              lines=2, max_lines=6, elem_id="own-settings")  # fmt: skip
        with gr.Column(visible=False) as ready:
            name = gr.Textbox(label="Name", elem_id="own-name")
            replace = gr.Checkbox(False, label="Replace existing model (its file is kept)", elem_id="own-replace",
                                  container=False)  # fmt: skip
            add = gr.Button("Add", variant="primary", elem_id="own-add")
        done = live("own-done")
        show = gr.Button("Open in Compare", visible=False, elem_id="own-compare")
        with gr.Accordion("Advanced: choose network and scale", open=False), gr.Row():
            names = [("Detect", DETECT), *((name, name) for name in candidates())]
            network = gr.Dropdown(names, value=DETECT, label="Network", min_width=120)
            scales = [("Detect", 0), *scale_choices((2, 3, 4))]
            scale = gr.Dropdown(scales, value=0, label="Scale", min_width=120, elem_id="own-scale")
        gr.Markdown("### Your models")
        choices = own_models.choices()
        none = gr.Markdown("None yet.", visible=not choices, elem_id="own-none")
        listed = gr.Radio(choices, label="Your models", show_label=False, visible=bool(choices), elem_id="own-models")
        drop = gr.Button("Remove", interactive=False, visible=bool(choices), elem_id="own-remove", size="sm")
        removed = live("own-removed")
        unread = gr.HTML(own_models.unreadable(), elem_id="own-unread", apply_default_css=False)
    return Own(
        shared, file, path, network, scale, found, key, settings, ready, name, replace, add, done, show, none, listed,
        unread, drop, removed, gr.State(()), gr.State(None),
    )  # fmt: skip


def connect(of: Own, tab: gr.Tab) -> None:
    """Connect the view's events."""
    shared, compared = of.shared, [of.shared.scale, of.shared.models]
    told = [of.inspected, of.found, of.key, of.settings, of.ready, of.name, of.replace, of.done, of.show]
    lists = [of.none, of.listed, of.drop, of.unread, *shared.listed]
    inspecting: dict[str, Any] = {"show_progress_on": [of.found], **PRIVATE}
    of.file.upload(of.receive, [of.file, of.network, of.scale], [of.path, *told], **inspecting)
    gr.on([of.path.submit, of.path.blur], of.take_path, [of.path, of.network, of.scale, of.inspected],
          [of.file, *told], **inspecting)  # fmt: skip
    gr.on([of.file.clear, of.network.input, of.scale.input], of.inspect, of.asked, told, **inspecting)
    of.key.input(of.inspect, [*of.asked, of.key], told, **inspecting)
    of.settings.blur(of.take_settings, [*of.asked, of.key, of.settings, of.inspected], told, **inspecting)
    of.add.click(of.keep, [*of.asked, of.key, of.settings, of.name, of.replace, *compared],
                 [of.done, of.added, of.show, of.replace, of.removed, *lists], show_progress_on=[of.done],
                 **PRIVATE)  # fmt: skip
    of.listed.input(of.choose, None, [of.drop, of.removed], **QUIET)
    of.drop.click(of.remove, [of.listed, *compared], [of.removed, of.done, of.show, *lists],
                  show_progress_on=[of.removed], **PRIVATE)  # fmt: skip
    of.show.click(of.open_compare, [of.added, *compared], shared.opened, **PRIVATE)
    tab.select(of.lists, compared, lists, **QUIET)


TAB = Tab("Models", order=100, build=build, within="Train")

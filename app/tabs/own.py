"""The Bring your own tab: a checkpoint from elsewhere becomes a model of all tabs."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.zoo import imports
from mtkd.zoo.catalogue import catalogue
from mtkd.zoo.detect import candidates
from mtkd.zoo.model import Model

from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown, scale_choices

DETECT = ("as detected", "detect")
"""Among the networks; of the scales, 0 is."""
_OFF = (
    "Checkpoints can be added where the explorer serves one computer alone: install it there, and start it with "
    "`mtkd demo` (or here with `--trust`, where all who come may do so)."
)
_HELP = (
    "EDSR, RCAN and SwinIR: safetensors, BasicSR's `.pth`, the original programs' `.pt`; with the extra `community` "
    "also what spandrel detects. Files of more than 64 MB (the full EDSR has 172) are given by their path. Nothing in "
    "a file is executed."
)
_ROLES = "A model's role is its network's in the paper; training accepts any model as teacher, by its name."
_NOTHING = '<p class="own-nothing">Drop a checkpoint: what it holds is shown here before anything is kept.</p>'
_COLUMNS = ["model", "scale", "role", "network", "parameters", "from the file", "added"]


@dataclass(frozen=True, eq=False)
class Own:
    """The components of the tab; its methods answer their events.

    Attributes:
        look, put, show, drop: the buttons that look into a checkpoint, add it, open it in Compare, and remove one.
        found: what a checkpoint holds.
        added: state: name and scale of the model added last.
        chosen: the model that is to be removed.
    """

    shared: Shared
    file: gr.File
    path: gr.Textbox
    network: gr.Dropdown
    scale: gr.Dropdown
    look: gr.Button
    found: gr.HTML
    name: gr.Textbox
    put: gr.Button
    replace: gr.Checkbox
    done: gr.Markdown
    show: gr.Button
    models: gr.Dataframe
    unread: gr.HTML
    chosen: gr.Dropdown
    drop: gr.Button
    added: gr.State

    def forget(self) -> dict[Any, Any]:
        """Something else is asked for: nothing of it is known yet."""
        return {self.found: _NOTHING, self.put: gr.Button(interactive=False)}

    def receive(self, file: str) -> dict[Any, Any]:
        """A file was dropped: it takes the path's place."""
        self.shared.keep_upload(file)
        return {self.path: "", **self.forget()}

    def type_path(self, path: str) -> dict[Any, Any]:
        """A path was typed: it takes the file's place."""
        return {self.file: None, **self.forget()} if path else {self.file: gr.skip()}

    def inspect(self, file: str | None, path: str, network: str, scale: int) -> dict[Any, Any]:
        """Say which network and scale a checkpoint holds; nothing is kept."""
        seen = _seen(file, path, network, scale)
        return {self.found: _table(seen), self.name: seen.header.name, self.put: gr.Button(interactive=True)}

    def add(
        self,
        file: str | None,
        path: str,
        network: str,
        scale: int,
        name: str,
        replace: bool,
        now: int,
        checked: list[str],
    ) -> dict[Any, Any]:
        """Keep a checkpoint under a name, as a model of all tabs."""
        seen = _seen(file, path, network, scale)
        with errors_shown(str(_source(file, path))):
            model = imports.add(seen, name.strip(), replace)
        return {
            self.done: f"**{model.name}** ×{model.scale} is now in the lists of all tabs, as a {model.role}.",
            self.added: (model.name, model.scale),
            self.show: gr.Button(visible=True),
            self.replace: False,
            **self.lists(now, [*checked, model.name]),
        }

    def remove(self, label: str | None, now: int, checked: list[str]) -> dict[Any, Any]:
        """Take one of your models out of all lists; its file is kept in a folder `removed`."""
        if not label:
            raise gr.Error("Choose one of your models first, as NAME ×4.", print_exception=False)
        with errors_shown():
            model = next((model for model in imports.own() if _label(model) == label), None)
            if model is None:
                raise UserError(f"no model of your own is called '{label}'; name it as NAME ×4")
            kept = imports.remove(model.name, model.scale)
        return {
            self.done: f"{label} is out of all lists. Its file is kept: `{kept}`",
            self.show: gr.Button(visible=False),
            **self.lists(now, checked),
        }

    def open_compare(self, added: tuple[str, int], now: int, checked: list[str]) -> dict[Any, Any]:
        """The Compare tab with the model added last."""
        return self.shared.open_in_compare(*added, now, checked)

    def lists(self, now: int, checked: list[str]) -> dict[Any, Any]:
        """The table, what is left out of it, and both lists of models as they are now; what is checked stays so."""
        return {
            self.models: _rows(),
            self.unread: _unread(),
            self.chosen: gr.Dropdown(_labels(), value=None),
            **self.shared.list_models(now, checked),
        }


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; where strangers may come, it only says why it is off."""
    if shared.trusted:
        connect(layout(shared), tab)
    else:
        gr.Markdown(_OFF)


def layout(shared: Shared) -> Own:
    """Lay out the tab: a checkpoint left; what it holds, and the models that there are, right."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=380):
            gr.Markdown(_HELP, elem_classes="help")
            file = gr.File(file_types=[".safetensors", ".pth", ".pt"], label="Checkpoint", height=130,
                           elem_id="own-file")  # fmt: skip
            path = gr.Textbox(label="or its path on this computer", placeholder="/home/…/EDSR_x4.pt",
                              elem_id="own-path")  # fmt: skip
            with gr.Row():
                networks = [DETECT, *((name, name) for name in candidates())]
                network = gr.Dropdown(networks, value=DETECT[1], label="Network", min_width=120)
                scales = [(DETECT[0], 0), *scale_choices((2, 3, 4))]
                scale = gr.Dropdown(scales, value=0, label="Scale", min_width=120, elem_id="own-scale")
            look = gr.Button("Look into it", elem_id="own-look")
        with gr.Column(scale=1, min_width=560):
            found = gr.HTML(_NOTHING, elem_id="own-found", apply_default_css=False)
            with gr.Row(elem_classes="own-row"):
                name = gr.Textbox(label="Name in all tabs", elem_id="own-name", scale=3)
                put = gr.Button("Add", variant="primary", interactive=False, elem_id="own-add", scale=1, min_width=140)
            replace = gr.Checkbox(False, label="Replace your model of that name (its file is kept)",
                                  elem_id="own-replace", container=False)  # fmt: skip
            done = gr.Markdown(elem_id="own-done")
            show = gr.Button("Open in Compare", visible=False, elem_id="own-compare")
            models = gr.Dataframe(headers=_COLUMNS, value=_rows(), interactive=False, label="Your models",
                                  elem_id="own-models", wrap=True)  # fmt: skip
            unread = gr.HTML(_unread(), elem_id="own-unread", apply_default_css=False)
            with gr.Row(elem_classes="own-row"):
                chosen = gr.Dropdown(_labels(), label="Take out of all lists", allow_custom_value=True,
                                     elem_id="own-chosen", scale=3)  # fmt: skip
                drop = gr.Button("Remove", elem_id="own-remove", scale=1, min_width=140)
            gr.Markdown(_ROLES, elem_classes="help")
    return Own(
        shared, file, path, network, scale, look, found, name, put, replace, done, show, models, unread, chosen, drop,
        gr.State(None),
    )  # fmt: skip


def connect(of: Own, tab: gr.Tab) -> None:
    """Connect the tab's events."""
    asked, seen = [of.file, of.path, of.network, of.scale], [of.found, of.name, of.put]
    unknown = [of.found, of.put]
    compared = [of.shared.scale, of.shared.models]
    lists = [of.models, of.unread, of.chosen, of.shared.models]
    inspecting: dict[str, Any] = {"show_progress_on": [of.found]}
    gr.on([of.file.clear, of.network.input, of.scale.input], of.forget, None, unknown, **PRIVATE)
    of.path.change(of.type_path, of.path, [of.file, *unknown], **PRIVATE)
    received = of.file.upload(of.receive, of.file, [of.path, *unknown], **PRIVATE)
    received.then(of.inspect, asked, seen, **inspecting, **PRIVATE)
    gr.on([of.look.click, of.path.submit], of.inspect, asked, seen, api_name="inspect_checkpoint", **inspecting)
    of.put.click(of.add, [*asked, of.name, of.replace, *compared], [of.done, of.added, of.show, of.replace, *lists],
                 api_name="add_checkpoint", show_progress_on=[of.done])  # fmt: skip
    of.drop.click(of.remove, [of.chosen, *compared], [of.done, of.show, *lists], api_name="remove_model",
                  show_progress_on=[of.done])  # fmt: skip
    of.show.click(of.open_compare, [of.added, *compared], [*compared, of.shared.tabs], **PRIVATE)
    tab.select(of.lists, compared, lists, **QUIET)


def _source(file: str | None, path: str) -> Path:
    """The path where one is given, else the dropped file (which clears the path when it is dropped)."""
    if not (path.strip() or file):
        raise gr.Error("Drop a checkpoint, or give its path, first.", print_exception=False)
    return Path(path.strip() or file or "").expanduser()


def _seen(file: str | None, path: str, network: str, scale: int) -> imports.Found:
    source = _source(file, path)
    with errors_shown(str(source)):
        return imports.inspect(source, None if network == DETECT[1] else network, scale or None)


def _label(model: Model) -> str:
    """How one of the models is named, on the page and by programs."""
    return f"{model.name} ×{model.scale}"


def _labels() -> list[str]:
    return [_label(model) for model in imports.own()]


def _rows() -> list[list[Any]]:
    rows = []
    for model in imports.own():
        card, summary = model.card, model.summary()
        origin, day = card.get("source", {}).get("file", ""), card.get("imported", "")[:10]
        numbers = f"{summary['parameters']:,}"
        rows.append([model.name, f"×{model.scale}", model.role, summary["network"], numbers, origin, day])
    return rows


def _unread() -> str:
    """The files among your models that are none, and why."""
    left_out = {path: error for path, error in catalogue().unreadable.items() if path.parent == imports.folder()}
    reasons = (str(error).replace(f"{path.parent}{os.sep}", "") for path, error in left_out.items())
    return "".join(f'<p class="own-nothing">Left out: {html.escape(reason)}</p>' for reason in reasons)


def _table(found: imports.Found) -> str:
    """What was detected, for people."""
    dropped = f"{len(found.dropped)}: {', '.join(found.dropped[:4])}{' …' if len(found.dropped) > 4 else ''}"
    rows = {
        "Architecture": found.family,
        "Network": f"{found.header.network} ({found.role})",
        "Scale": f"×{found.header.scale}",
        "Parameters": f"{found.parameters:,}",
        "Names of its weights": found.form,
        "Left out (no weights)": dropped if found.dropped else "nothing",
        "Taken as published": " ".join(found.notes),
    }
    cells = "".join(f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows.items() if v)
    return f'<table class="own-table">{cells}</table>'


TAB = Tab("Bring your own", order=80, build=build)

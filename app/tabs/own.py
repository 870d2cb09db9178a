"""The Bring your own tab: a checkpoint from elsewhere becomes a model of all tabs."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.zoo import imports
from mtkd.zoo.detect import candidates
from mtkd.zoo.headers import read_header

from ..state import Shared, errors_shown, model_choices, remaining_choices, scale_choices

DETECT = "as detected"
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
_INTERNAL: dict[str, Any] = {"api_visibility": "private"}
_COLUMNS = ["model", "scale", "role", "network", "parameters", "from the file", "added"]


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; where strangers may come, it only says why it is off."""
    if not shared.trusted:
        gr.Markdown(_OFF)
        return
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=380):
            gr.Markdown(_HELP, elem_classes="help")
            file = gr.File(
                file_types=[".safetensors", ".pth", ".pt"], label="Checkpoint", height=130, elem_id="own-file"
            )
            path = gr.Textbox(
                label="or its path on this computer", placeholder="/home/…/EDSR_x4.pt", elem_id="own-path"
            )
            with gr.Row():
                network = gr.Dropdown([DETECT, *candidates()], value=DETECT, label="Network", min_width=120)
                scale = gr.Dropdown(
                    [(DETECT, 0), *scale_choices((2, 3, 4))],
                    value=0,
                    label="Scale",
                    min_width=120,
                    elem_id="own-scale",
                )
            look = gr.Button("Look into it", elem_id="own-look")
        with gr.Column(scale=1, min_width=560):
            found = gr.HTML(_NOTHING, elem_id="own-found", apply_default_css=False)
            with gr.Row(elem_classes="own-row"):
                name = gr.Textbox(label="Name in all tabs", elem_id="own-name", scale=3)
                put = gr.Button("Add", variant="primary", interactive=False, elem_id="own-add", scale=1, min_width=140)
            replace = gr.Checkbox(
                False,
                label="Replace your model of that name (its file is kept)",
                elem_id="own-replace",
                container=False,
            )
            done = gr.Markdown(elem_id="own-done")
            show = gr.Button("Open in Compare", visible=False, elem_id="own-compare")
            models = gr.Dataframe(
                headers=_COLUMNS, value=_rows(), interactive=False, label="Your models", elem_id="own-models", wrap=True
            )
            unread = gr.HTML(_unread(), elem_id="own-unread", apply_default_css=False)
            with gr.Row(elem_classes="own-row"):
                chosen = gr.Dropdown(
                    _names(), label="Take out of all lists", allow_custom_value=True, elem_id="own-chosen", scale=3
                )
                drop = gr.Button("Remove", elem_id="own-remove", scale=1, min_width=140)
            gr.Markdown(_ROLES, elem_classes="help")
    added = gr.State(None)

    def inspect(file: str | None, path: str, network: str, scale: int) -> list[Any]:
        """Say which network and scale a checkpoint holds; nothing is kept."""
        source = _source(file, path)
        with errors_shown(str(source)):
            seen = imports.inspect(source, *_choice(network, scale))
        return [_table(seen), seen.header.name, gr.Button(interactive=True)]

    def add(
        file: str | None,
        path: str,
        network: str,
        scale: int,
        name: str,
        replace: bool,
        now: int,
        checked: list[str],
    ) -> list[Any]:
        """Keep a checkpoint under a name, as a model of all tabs."""
        source = _source(file, path)
        with errors_shown(str(source)):
            model = imports.add(imports.inspect(source, *_choice(network, scale)), name.strip(), replace)
        text = f"**{model.name}** ×{model.scale} is now in the lists of all tabs, as a {model.role}."
        lists = _lists(now, [*checked, model.name])
        return [text, (model.name, model.scale), gr.Button(visible=True), False, *lists]

    def remove(model: str | None, now: int, checked: list[str]) -> list[Any]:
        """Take one of your models out of all lists; its file is kept in a folder `removed`."""
        name, _, scale = (model or "").rpartition(" ×")
        if not scale.isdecimal():
            raise gr.Error("Choose one of your models first, as NAME ×4.", print_exception=False)
        with errors_shown():
            kept = imports.remove(name, int(scale))
        text = f"{model} is out of all lists. Its file is kept: `{kept}`"
        return [text, gr.Button(visible=False), *_lists(now, checked)]

    def open_compare(key: tuple[str, int], now: int, checked: list[str]) -> list[Any]:
        name, scale = key
        group = remaining_choices(now, [*checked, name]) if scale == now else model_choices(scale, (name,))
        return [gr.Radio(value=scale), gr.CheckboxGroup(**group), gr.Tabs(selected="compare")]

    source = [file, path, network, scale]
    seen = [found, name, put]
    compared = [shared.scale, shared.models]
    after = [models, unread, chosen, shared.models]
    gr.on([file.clear, network.input, scale.input], _unseen, None, [found, put], **_INTERNAL)
    path.change(lambda path: (None, *_unseen()) if path else gr.skip(), path, [file, found, put], **_INTERNAL)
    file.upload(shared.keep_upload, file, None, **_INTERNAL)
    dropped = file.upload(lambda: ("", *_unseen()), None, [path, found, put], **_INTERNAL)
    dropped.then(inspect, source, seen, show_progress_on=[found], **_INTERNAL)
    gr.on([look.click, path.submit], inspect, source, seen, api_name="inspect_checkpoint", show_progress_on=[found])
    put.click(
        add,
        [*source, name, replace, *compared],
        [done, added, show, replace, *after],
        api_name="add_checkpoint",
        show_progress_on=[done],
    )
    drop.click(remove, [chosen, *compared], [done, show, *after], api_name="remove_model", show_progress_on=[done])
    show.click(open_compare, [added, *compared], [*compared, shared.tabs], **_INTERNAL)
    tab.select(_lists, compared, after, show_progress="hidden", **_INTERNAL)


def _unseen() -> tuple[str, gr.Button]:
    return _NOTHING, gr.Button(interactive=False)


def _lists(now: int, checked: list[str]) -> list[Any]:
    """The table, what is left out of it, and both lists of models as they are now; what is checked stays checked."""
    return [_rows(), _unread(), gr.Dropdown(_names(), value=None), gr.CheckboxGroup(**remaining_choices(now, checked))]


def _source(file: str | None, path: str) -> Path:
    """The path where one is given, else the dropped file (which clears the path when it is dropped)."""
    if not (path.strip() or file):
        raise gr.Error("Drop a checkpoint, or give its path, first.", print_exception=False)
    return Path(path.strip() or file or "").expanduser()


def _choice(network: str, scale: int) -> tuple[str | None, int | None]:
    return None if network == DETECT else network, scale or None


def _names() -> list[str]:
    return [f"{model.name} ×{model.scale}" for model in imports.own()]


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
    known, lines = {model.path for model in imports.own()}, []
    for path in sorted(imports.folder().glob("*.safetensors")):
        name, _, scale = path.stem.rpartition("_x")
        try:
            if path not in known:
                zoo.find(name, int(scale)) if scale.isdecimal() else read_header(path)
        except UserError as error:
            reason = str(error).replace(f"{path.parent}{os.sep}", "")
            lines.append(f'<p class="own-nothing">Left out: {html.escape(reason)}</p>')
    return "".join(lines)


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

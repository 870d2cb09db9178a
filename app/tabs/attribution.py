"""The Attribution tab: click a pixel, see which input pixels, or which teacher's, made the detail there (LAM)."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import gradio as gr
from mtkd.explain.explanation import Explanation, Question

from mtkd.errors import UserError, unknown_name
from mtkd.explain.lam import PATHS, RULES
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
from mtkd.explore.viewer import gradio_parts

from ..server.queue import COMPUTING
from ..state import Look, Shared, errors_shown

OFFICIAL = "official code"
"""Among the rules: finite differences, gradients at the right end of each step."""
_CANCELLED = "Cancelled: what is shown is a preview, or the answer before."
LARGEST = 256
"""Of LR images, pixels a side of a square: every step keeps the whole network's features for its gradient."""
_COLUMNS = ["input", "size", "DI", "share", "signed share", "Shapley"]
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


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it works on the comparison that the Compare tab shows."""
    where, answered = gr.State({}), gr.State(None)  # the viewer's view; the window that was asked for last
    gr.Markdown(_INTRO, elem_classes="help")
    with gr.Row(equal_height=True):
        model = gr.Dropdown([], label="Model", elem_id="lam-model", scale=2, allow_custom_value=True)
        size = gr.Number(16, label="Window, SR pixels", minimum=4, maximum=64, precision=0, elem_id="lam-window")
        sigma = gr.Number(1.2, label="Blur σ, LR pixels", minimum=0.2, maximum=4, step=0.1, elem_id="lam-sigma")
        steps = gr.Number(50, label="Steps of the path", minimum=5, maximum=500, precision=0, elem_id="lam-steps")
        path = gr.Dropdown(list(PATHS), value="blur", label="Path", elem_id="lam-path")
        rule = gr.Dropdown([*RULES, OFFICIAL], value=RULES[0], label="Rule", elem_id="lam-rule")
        with gr.Column(min_width=110):
            go = gr.Button("Explain", variant="primary", size="sm", elem_id="lam-go")
            cancel = gr.Button("Cancel", size="sm", elem_id="lam-cancel")
    # For programs: a person clicks.
    at = gr.Textbox("", visible=False, label="Middle of the window in the result: ROW,COLUMN (empty: most detail)")
    viewer = gr.HTML(None, apply_default_css=False, elem_id="lam-viewer", **gradio_parts())
    made = gr.Markdown(elem_classes="help", elem_id="lam-made")
    table = gr.Dataframe(headers=_COLUMNS, interactive=False, label="Numbers", elem_id="lam-table")
    gr.Markdown(_HELP, elem_classes="help")
    with gr.Row():
        keep = gr.DownloadButton("Maps and numbers (zip)", size="sm", interactive=False, elem_id="lam-archive")
        png = gr.DownloadButton("Fig. 4 as PNG", size="sm", interactive=False, elem_id="lam-png")
        pdf = gr.DownloadButton("Fig. 4 as PDF", size="sm", interactive=False, elem_id="lam-pdf")
        own = gr.Button(f"Fig. 4 of the paper's image ({PRESETS['fig4'].images[0][0]})", size="sm", elem_id="lam-fig4")
    drawn = gr.Image(
        format="png",
        interactive=False,
        visible=False,
        label="Fig. 4",
        buttons=["download", "fullscreen"],
        elem_id="lam-fig4-image",
    )

    def fill(comparison: Comparison, model: str | None) -> list[Any]:
        """Another comparison: its models to choose from, the last student first, and a first answer."""
        names = models(comparison)
        chosen = model if model in names else names[-1] if names else None
        return [gr.Dropdown(names, value=chosen), {}, f"comparison {id(comparison)}"]

    def explain(
        comparison: Comparison | None,
        model: str | None,
        look: dict[str, Any],
        seen: Look,
        size: int,
        sigma: float,
        steps: int,
        rule: str,
        path: str,
        at: str = "",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[list[Any]]:
        """Attribute the detail in a window of a model's result: first a preview, then the map."""
        if comparison is None or not model:
            raise gr.Error("Compare something first: this tab looks at the results.", print_exception=False)
        group = shared.pictures.group("attribution")
        with errors_shown():
            _check(*comparison.lr_image.shape[:2], size, sigma, steps)
            if model not in models(comparison):
                raise unknown_name("model among those compared", model, models(comparison))
            middle = Region.of([*at.split(","), 1, 1]) if at else Region.of(look.get("region")) or seen.region
            window = window_in(comparison, middle, int(size))
            asked = question(comparison, model, window, sigma, path)
            with shared.turns:
                first = Shown(asked, asked.saliency(), True)
        box = [window.top, window.left, window.size, window.size]
        place = {"region": box} if look else {"region": box, "layer": "on the image", "zoom": 1}
        preview = first.panes(comparison, lambda name, image: group.save(f"preview {name}", image))
        value = {"panes": preview, "pick": window.size, "columns": _columns(asked)}
        waiting = [gr.DownloadButton(interactive=False)] * 3
        note = "Preview: the gradient alone, at the image itself."
        first_look = [box, note, {"headers": _COLUMNS, "data": []}, *waiting]
        yield [{**value, "view": place}, *first_look]
        with errors_shown():
            for count, found in answer_in_steps(asked, int(steps), *_rule(rule), shared.turns):
                progress((count, int(steps)), desc="attribution", unit="steps")
                if found is None:  # told again: Gradio takes a skipped value in a stream for the one before it
                    yield [value, *first_look]
        assert found is not None
        panes = Shown(asked, found.attributions, False).panes(comparison, group.save)
        files = [
            gr.DownloadButton("Maps and numbers (zip)", group.file("attribution.zip", archive(found)), interactive=True)
        ]
        for form in ("png", "pdf"):
            path = group.file(f"fig4.{form}", figure(comparison, asked, found, form))
            files.append(gr.DownloadButton(f"Fig. 4 as {form.upper()}", path, interactive=True))
        value = {"panes": panes, "pick": window.size, "columns": _columns(asked)}
        yield [value, box, _made(found), _rows(found), *files]

    def paper(
        comparison: Comparison | None,
        size: int,
        sigma: float,
        steps: int,
        rule: str,
        path: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[list[Any]]:
        """Fig. 4 on the image that the paper shows, or the one that stands in for it."""
        scale = comparison.scale if comparison else 4
        with errors_shown():
            (_, image), *_ = preset_images(PRESETS["fig4"], scale)
            _check(*(side // scale for side in image.shape[:2]), size, sigma, steps)
            with shared.turns:
                title, asked_of, asked = paper_question(scale, int(size), sigma, path)
            for count, found in answer_in_steps(asked, int(steps), *_rule(rule), shared.turns):
                progress((count, int(steps)), desc="attribution", unit="steps")
                if found is None:
                    yield [gr.skip()] * 3
        assert found is not None
        group = shared.pictures.group("paper")
        files = [group.file(f"fig4.{form}", figure(asked_of, asked, found, form)) for form in ("png", "pdf")]
        buttons = [gr.DownloadButton(f"Fig. 4 as {form}", path, interactive=True)
                   for form, path in zip(("PNG", "PDF"), files, strict=True)]  # fmt: skip
        yield [gr.Image(files[0], visible=True, label=f"Fig. 4: {title}, {found.model}"), *buttons]

    outputs = [viewer, answered, made, table, keep, png, pdf]
    inputs = [shared.comparison, model, where, shared.look, size, sigma, steps, rule, path, at]

    def looked(look: dict[str, Any], box: list[int] | None, event: gr.EventData) -> tuple[dict[str, Any], Any]:
        """Where the person looks; another window than the last, and than that answered, asks another question."""
        new = dict(event._data or {})
        asked = new.get("region") not in (None, look.get("region"), box)
        return new, f"window {new['region']}" if asked else gr.skip()

    private = {"api_visibility": "private", "show_progress": "hidden"}
    asks = gr.Textbox(visible="hidden")  # what the next answer is for
    news = shared.on_new_comparison(tab, "lam-viewer")
    news.change(fill, [shared.comparison, model], [model, where, asks], **private)
    viewer.select(looked, [where, answered], [where, asks], **private)
    shown = {"show_progress_on": [made], "trigger_mode": "always_last", **COMPUTING}
    started = [go.click(explain, inputs, outputs, api_name="explain", **shown)]
    for event in (asks.change, model.input):
        started.append(event(explain, inputs, outputs, api_visibility="private", **shown))
    started.append(
        own.click(paper, [shared.comparison, size, sigma, steps, rule, path], [drawn, png, pdf], api_name="figure_4",
                  show_progress_on=[made], **COMPUTING)
    )  # fmt: skip
    stopped = cancel.click(lambda: None, cancels=started, **private)
    stopped.then(lambda: _CANCELLED, None, made, **private)


def _check(height: int, width: int, *numbers: float | None) -> None:
    """The sides of the LR image are small enough, and no number was emptied."""
    if None in numbers:
        raise UserError("Window, blur and steps each need a number")
    if height * width > LARGEST**2:
        raise UserError(
            f"the LR image is {width} x {height}; attribution runs it whole, many times: at most {LARGEST} x {LARGEST} "
            "pixels. Compare a part of it"
        )


def _rule(chosen: str) -> tuple[Any, Any]:
    """The rule and the compatibility of :meth:`~mtkd.explain.lam.LocalAttributionMap.attribute`."""
    return (RULES[0], "official") if chosen == OFFICIAL else (chosen, None)


def _columns(asked: Question) -> int | None:
    """All on one row, as long as they are few."""
    return len(asked.inputs) + 1 if len(asked.inputs) <= 3 else None


def _rows(found: Explanation) -> dict[str, Any]:
    rows = found.row()["inputs"]
    data = [
        [one["input"], "{1} × {0}".format(*one["size"]), one["di"], one["share"], one["signed_share"], one["shapley"]]
        for one in rows
    ]
    texts = [[row[0], row[1], *("–" if value is None else f"{value:.3f}" for value in row[2:])] for row in data]
    return {"headers": _COLUMNS, "data": data, "metadata": {"display_value": texts, "styling": None}}


def _made(found: Explanation) -> str:
    """What made the maps, and their completeness."""
    row = found.row()
    relative = row["completeness_error_relative"]
    complete = "undefined (the window is flat)" if relative is None else f"{relative:+.3%}"
    window, rule = found.window, OFFICIAL if found.compat else found.rule
    return (
        f"{html.escape(found.model)} ×{found.scale}, weights `{found.weights}`; window {window.size} × {window.size} "
        f"at row {window.top}, column {window.left}; σ {found.path.sigma:g} input pixels, radius {found.path.radius}; "
        f"{found.path.name} path, {found.steps} steps, {rule}. Detail in the window: {found.before:.3f} with the input "
        f"blurred, {found.after:.3f} as it is. Completeness error: {row['completeness_error']:+.4f}, {complete} "
        "of the change."
    )

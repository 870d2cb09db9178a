"""The Compare tab: several models on one image, side by side."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from mtkd.data.benchmarks import benchmark, present
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.explore import Comparison
from mtkd.explore import compare as run_models
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.comparison.region import Region
from mtkd.explore.comparison.saved import SavedView, checked, from_json, from_query
from mtkd.explore.draw.colours import ERROR_RANGE, PALETTE
from mtkd.explore.viewer import gradio_parts
from mtkd.home import found_data, home
from mtkd.images import UInt8Image, read_image

from ..parts import figure
from ..parts.upload import UploadedImage
from ..server.queue import COMPUTING, Turns
from ..server.session_files import PictureGroup
from ..state import Shared, model_choices, scale_of, told

HAS_TRUTH = "High resolution: shrink it, enlarge it again, compare with the original"
NO_TRUTH = "Low resolution: enlarge it (nothing to compare with)"
LARGEST = 16_000_000
"""Pixels of a result: 4K (8.3 million) and somewhat more."""
MOST_OTHERS = 16
"""Results from elsewhere in one comparison."""
_COLUMNS = {
    "name": "model",
    "role": "role",
    "parameters": "parameters",
    "multiply_adds": "multiply-adds (G)",
    "seconds": "seconds",
    "psnr": "PSNR-Y (dB)",
    "ssim": "SSIM-Y",
    "over_bicubic": "over bicubic (dB)",
    "over_scratch": "over scratch (dB)",
}
_NUMBERS = "Numbers (CSV)"
_REGION_COLUMNS = {"region_psnr": "region PSNR-Y", "region_ssim": "region SSIM-Y"}
_FORMS = {"parameters": ",", "multiply_adds": ".2f", "seconds": ".3f", "psnr": ".2f", "ssim": ".4f",
          "over_bicubic": "+.2f", "over_scratch": "+.2f", "region_psnr": ".2f", "region_ssim": ".4f"}  # fmt: skip
_ARCHIVE = "All results (zip)"
_HELP = (
    f"Error: difference to the ground truth in luma, black is 0, pale yellow {ERROR_RANGE} levels or more. "
    "Signed error: blue is too dark, red too bright. Wavelet error: the error's Haar bands, LL of level 2 top left, "
    "fine ones outside. Multiply-adds: at 1280 × 720 output, in thousand millions. Seconds: one run on this machine. "
    "Both of an aggregator include its teachers', its parameters do not. Over scratch: over the same student trained "
    "without distillation."
)
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


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; the first comparison runs when the page opens."""
    scale, models, state = shared.scale, shared.models, shared.comparison
    mode = gr.Radio([HAS_TRUTH, NO_TRUTH], value=HAS_TRUTH, label="The image is", elem_id="mode", render=False)
    shown = gr.State([])  # the viewer's panes
    where = gr.State({})  # what is looked at, a mtkd.explore.viewer.View
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=320, elem_id="controls"):
            image = UploadedImage(
                str(EXAMPLES[0].path),
                type="filepath",
                format="png",
                label="Image",
                height=230,
                sources=["upload", "clipboard"],
                elem_id="image",
            )
            gr.Examples([[str(e.path)] for e in EXAMPLES], [image], label="Examples")
            if shared.trusted:
                _benchmark_picker(shared, image, scale, mode)
            mode.render()
            scale.render()
            models.render()
            with gr.Accordion("Results from elsewhere", open=False):
                gr.Markdown("Images that another program made of this LR image, of the size of the results; the file's "
                            "name is the name shown.", elem_classes="help")  # fmt: skip
                others = gr.File(
                    file_count="multiple", file_types=["image"], show_label=False, height=110, elem_id="others"
                )
            go = gr.Button("Compare", variant="primary", elem_id="go")
            with gr.Accordion("Where the examples come from", open=False):
                gr.Markdown("\n".join(f"- **{e.title}**: {e.licence}" for e in EXAMPLES))
        with gr.Column(scale=1, min_width=640):
            viewer = gr.HTML(None, apply_default_css=False, elem_id="viewer", **gradio_parts())
            table = gr.Dataframe(
                interactive=False,
                label="Numbers (click a heading to sort)",
                buttons=["copy"],
                elem_id="table",
                wrap=True,
                max_height=430,
            )
            notes = gr.Markdown(elem_classes="help")
            with gr.Row(elem_id="keep"):
                archive = gr.DownloadButton(_ARCHIVE, interactive=False, size="sm", elem_id="archive")
                numbers = gr.DownloadButton(_NUMBERS, interactive=False, size="sm", elem_id="csv")
                link = gr.Button(_LINK, size="sm", elem_id="link")
                keep = gr.DownloadButton("Save this view", interactive=False, size="sm", elem_id="save-view")
                opened = gr.UploadButton("Open a saved view", file_types=[".json"], size="sm", elem_id="open-view")
            with gr.Accordion("Two of them under a slider", open=True):
                with gr.Row():
                    left = gr.Dropdown([], label="Left", elem_id="left")
                    right = gr.Dropdown([], label="Right", elem_id="right")
                slider = gr.ImageSlider(
                    format="png", interactive=False, show_label=False, elem_id="slider", max_height=560
                )
            with gr.Accordion("Which teacher is nearest to the truth, pixel by pixel", visible=False) as best_part:
                best = gr.Image(
                    format="png",
                    interactive=False,
                    show_label=False,
                    height=420,
                    buttons=["download", "fullscreen"],
                    elem_id="best",
                )
                legend = gr.HTML(elem_id="legend")
            figure.build(shared)

    def compare(
        path: str | None,
        mode: str,
        scale_text: str,
        names: list[str],
        others: list[str] | None,
        look: dict[str, Any] | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        """Enlarge the image with every chosen model."""
        if path is None:
            raise gr.Error("Choose an example or drop an image first.", print_exception=False)
        scale = scale_of(scale_text)
        with told(path, *_folders(others)), shared.turns.for_size(_pixels(path, mode, scale)):
            shared.pictures.use(path, *(others or []))
            comparison = _compare(path, mode, scale, names, others or [], shared.turns.between(progress))
            return _shown(comparison, shared.pictures.group("compare"), look, shared.turns)

    def again(
        path: str | None,
        mode: str,
        scale_text: str,
        names: list[str],
        others: list[str] | None,
        look: dict[str, Any],
        before: Comparison | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        """Enlarge the image with every chosen model."""
        found = compare(path, mode, scale_text, names, others, None, progress)
        same = before is not None and before.pictures()["LR"].shape == found[0].pictures()["LR"].shape
        region = _region_in(found[0], look) if same else None
        if region:  # the box stays: so do its numbers
            captions = found[0].captions(region)
            found[1] = [{**pane, "caption": captions[pane["name"]]} for pane in found[1]]
            found[2:5] = [region, {**found[3], "panes": found[1]}, _rows(found[0], region)]
        return found

    def looked(
        comparison: Comparison | None, panes: list[dict[str, Any]], before: Region | None, event: gr.EventData
    ) -> list[Any]:
        """A new place, layer or region in the viewer."""
        look = dict(event._data or {})
        with told():
            region = Region.of(look.get("region"))
        if comparison is None or region == before:
            return [look, before, gr.skip(), gr.skip()]
        with told():
            captions = comparison.captions(region)
        panes = [{**pane, "caption": captions[pane["name"]]} for pane in panes]
        value = {"panes": panes, "reference": TRUTH if comparison.hr_image is not None else None}
        return [look, region, value, _rows(comparison, region)]

    def saved(
        comparison: Comparison | None, panes: list[dict[str, Any]], region: Region | None, look: dict[str, Any]
    ) -> list[Any]:
        """The link's query and the files of what is seen."""
        if comparison is None:
            return ["", gr.skip(), gr.skip()]
        with told():
            view, group = _view(comparison, region, look), PictureGroup.of(panes[0]["layers"]["image"])
        files = (("Save this view", "view.json", view.json()), (_NUMBERS, "numbers.csv", comparison.csv(region)))
        buttons = [gr.DownloadButton(label, group.text(name, text), interactive=True) for label, name, text in files]
        return [view.query(), *buttons]

    def from_link(request: gr.Request) -> list[Any]:
        """The inputs that the page's address asks for; without, the models that there are by now."""
        with told(_own()):
            try:
                view = from_query(dict(request.query_params))
            except UserError as error:
                gr.Warning(html.escape(str(error)))
                view = None
            if view:
                if view.example is None:
                    gr.Warning("This link holds no picture, as of an upload: a saved view does.")
                return _inputs(shared, view)
            models = gr.CheckboxGroup(**model_choices(scale_of(shared.scale.value)))
            return [*[gr.skip()] * 3, models, {}]

    def from_file(path: str) -> list[Any]:
        """The inputs of a saved view."""
        shared.pictures.use(path)
        with told(path):
            return _inputs(shared, from_json(Path(path).read_text(encoding="utf-8", errors="replace")))

    def at_scale(text: str) -> Any:
        """The models of another scale."""
        with told(_own()):
            return gr.CheckboxGroup(**model_choices(scale_of(text)))

    def measured(comparison: Comparison | None, place: str) -> Any:
        """The table with the region's numbers, for programs: a person draws the region."""
        if comparison is None:
            raise gr.Error("Compare something first.", print_exception=False)
        with told():
            return _rows(comparison, Region.of(place.split(",")))

    inputs = [image, mode, scale, models, others]
    outputs = [state, shown, shared.region, viewer, table, notes, archive, numbers, best_part, best, legend]
    outputs += [left, right, slider]
    query = gr.Textbox(visible="hidden", elem_id="query")
    given = [image, mode, scale, models, where]
    scale.input(at_scale, scale, models, api_visibility="private")

    def then_saved(event: Any) -> None:
        event.success(
            saved,
            [state, shown, shared.region, where],
            [query, keep, numbers],
            api_visibility="private",
            show_progress="hidden",
        ).then(None, query, None, js=_TO_ADDRESS_BAR, api_visibility="private")

    then_saved(
        go.click(again, [*inputs, where, state], outputs, api_name="compare", show_progress_on=[viewer], **COMPUTING)
    )
    place = gr.Textbox(visible=False, label="TOP,LEFT,HEIGHT,WIDTH in pixels of the result")
    place.submit(measured, [state, place], table, api_name="region")
    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    run = {"api_visibility": "private", "show_progress_on": [viewer], **COMPUTING}
    then_saved(shared.page.load(from_link, None, given, **hidden).then(compare, [*inputs, where], outputs, **run))
    then_saved(opened.upload(from_file, opened, given, **hidden).success(compare, [*inputs, where], outputs, **run))
    then_saved(
        viewer.select(
            looked,
            [state, shown, shared.region],
            [where, shared.region, viewer, table],
            api_visibility="private",
            show_progress="hidden",
        )
    )
    for uploaded in (image, others):
        uploaded.upload(shared.had, uploaded, None, **hidden)
    copied = link.click(None, None, link, js=_COPY_LINK, api_visibility="private")
    copied.then(None, None, link, js=_LINK_AGAIN, api_visibility="private")
    for dropdown in (left, right):
        dropdown.input(_pair, [shown, left, right], slider, api_visibility="private", show_progress="hidden")


def _benchmark_picker(shared: Shared, image: gr.Image, scale: gr.Radio, mode: gr.Radio) -> None:
    """Images of benchmark sets in a folder of this computer; choosing one makes a copy of its HR file the image.

    Its LR image is made anew; of Set5 and Set14 it equals the official one bit for bit (tests/test_resize.py).
    """

    def sets_in(folder: str, scale_text: str) -> Any:
        root = Path(folder)
        with told():
            found = present(root, scale_of(scale_text))
            if not found:
                raise UserError(
                    f"{root}: no benchmark set at {scale_text} there; it should hold e.g. Set5/image_SRF_4/*_HR.png"
                )
            images = [f"{name} {one.name}" for name in found for one in benchmark(root, name, scale_of(scale_text))]
        return gr.Dropdown(images, value=None, interactive=True)

    def choose(folder: str, scale_text: str, choice: str | None) -> Any:
        if not choice:
            return gr.skip(), gr.skip()
        name, _, wanted = choice.partition(" ")
        with told():
            images = {one.name: one.hr for one in benchmark(Path(folder), name, scale_of(scale_text))}
            if wanted not in images:
                raise UserError(f"{choice} is not in this folder: look there again")
            try:
                copy = shared.pictures.group("image").file(images[wanted].name, images[wanted].read_bytes())
            except OSError as error:
                raise UserError(f"{choice}: {error.strerror}") from error
        return copy, HAS_TRUTH

    with gr.Accordion("From a folder of benchmark sets", open=False):
        folder = gr.Textbox(
            str(found_data() or ""),
            label="Folder",
            info="Holds Set5/image_SRF_4/img_001_SRF_4_HR.png and so on.",
            elem_id="benchmark-folder",
        )
        find = gr.Button("Look there", size="sm", elem_id="benchmark-look")
        chosen = gr.Dropdown([], label="Image", interactive=True, elem_id="benchmark-image")
    for event in (find.click, folder.submit):
        event(sets_in, [folder, scale], chosen, api_visibility="private")
    chosen.input(choose, [folder, scale, chosen], [image, mode], api_visibility="private")


def _folders(paths: list[str] | None) -> list[str]:
    return [f"{Path(path).parent}{os.sep}" for path in paths or []]


def _pixels(path: str, mode: str, scale: int) -> int:
    """Of the result, from the file's head: what is too large is not decoded."""
    try:
        with Image.open(path) as image:
            pixels = image.width * image.height * (1 if mode == HAS_TRUTH else scale**2)
    except Exception:  # reading it tells what is wrong
        return 0
    if pixels > LARGEST:
        raise UserError(
            f"the result would have {pixels / 1e6:.1f} million pixels, the limit is {LARGEST // 1_000_000} "
            "million: cut the image into parts, or use `mtkd upscale`"
        )
    return int(pixels)


def _compare(
    path: str, mode: str, scale: int, names: list[str], others: list[str], progress: Callable[..., Any]
) -> Comparison:
    if not names:
        raise gr.Error("Choose at least one model.", print_exception=False)
    if len(others) > MOST_OTHERS:
        raise UserError(f"{len(others)} results from elsewhere: at most {MOST_OTHERS} at once")

    def show(name: str, done: int, of: int) -> None:
        progress((done, of), desc=name or "pictures", unit="models")

    image = read_image(path)
    elsewhere: dict[str, UInt8Image] = {}
    for other in others:
        if (name := Path(other).stem) in elsewhere:
            raise UserError(f"two results from elsewhere are named {name}; rename one of the files")
        _pixels(other, HAS_TRUTH, scale)
        elsewhere[name] = read_image(other)
    return run_models(image, list(dict.fromkeys(names)), scale, mode == HAS_TRUTH, show, elsewhere)


def _shown(comparison: Comparison, group: PictureGroup, look: dict[str, Any] | None, turns: Turns) -> list[Any]:
    """All that the tab shows of a comparison; what the session keeps of it lies on disk."""
    region = _region_in(comparison, look)
    look = {**look, "region": [*vars(region).values()] if region else None} if look else None
    panes = comparison.panes(turns.between(group.save), region)
    value = {"panes": panes, "reference": TRUTH if comparison.hr_image is not None else None}
    if look:
        value["view"] = look
    names_of = list(comparison.pictures())
    pair = (names_of[1], names_of[-1])
    results = {f"{r.name}_x{comparison.scale}": r.name for r in comparison.results}
    best_map = comparison.best_teacher()
    return [
        comparison.stored(group.mapped),
        panes,
        region,
        value,
        _rows(comparison, region),
        f"{_HELP} {_protocol(comparison)}",
        gr.DownloadButton(_ARCHIVE, group.zip(f"results_x{comparison.scale}", results), interactive=True),
        gr.DownloadButton(_NUMBERS, group.text("numbers.csv", comparison.csv(region)), interactive=True),
        gr.Accordion(visible=best_map is not None),
        str(group.write("best teacher", best_map[0])) if best_map else None,
        _legend(best_map[1], sum(r.role == "teacher" for r in comparison.results)) if best_map else "",
        gr.Dropdown(names_of, value=pair[0]),
        gr.Dropdown(names_of, value=pair[1]),
        _pair(panes, *pair),
    ]


def _rows(comparison: Comparison, region: Region | None = None) -> Any:
    """The table; with a region, two columns more."""
    quality = comparison.quality_in(region) if region else {}
    columns = _COLUMNS | (_REGION_COLUMNS if quality else {})

    rows, texts = [], []
    for row in comparison.table():
        psnr, ssim = quality.get(row["name"], (None, None))
        row |= {"region_psnr": psnr, "region_ssim": ssim}
        if row["multiply_adds"] is not None:
            row["multiply_adds"] /= 1e9
        rows.append([row[key] for key in columns])
        texts.append([_text(row[key], _FORMS.get(key, "")) for key in columns])
    # Numbers to sort by, texts to read.
    return {"headers": list(columns.values()), "data": rows, "metadata": {"display_value": texts, "styling": None}}


def _text(value: Any, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _region_in(comparison: Comparison, look: dict[str, Any] | None) -> Region | None:
    """The region of a view that was opened, if the image has it."""
    region = Region.of((look or {}).get("region"))
    try:
        if region:
            region.cut(comparison.lr_image.repeat(comparison.scale, 0).repeat(comparison.scale, 1))
    except UserError as error:
        gr.Warning(str(error))
        return None
    return region


@lru_cache(maxsize=4)
def _pictured(comparison: Comparison) -> SavedView:
    """The picture of a view, looked for among the examples or encoded once."""
    image = comparison.lr_image if comparison.hr_image is None else comparison.hr_image
    return SavedView.of(image, ground_truth=comparison.hr_image is not None, scale=comparison.scale)


def _own() -> str:
    """The folder of the user's own models and runs, as :func:`~mtkd_app.state.told` leaves it out."""
    return f"{home()}{os.sep}"


def _view(comparison: Comparison, region: Region | None, look: dict[str, Any]) -> SavedView:
    names = [r.name for r in comparison.results if r.role != "elsewhere"]
    known = {key: value for key, value in look.items() if key in SavedView.model_fields and value is not None}
    known["region"] = list(vars(region).values()) if region else None
    if known.get("focus") not in comparison.pictures():
        known["focus"] = None
    return checked(_pictured(comparison).model_dump() | {"models": names} | known, "the view")


def _inputs(shared: Shared, view: SavedView) -> list[Any]:
    """Image, mode, scale, models and place of a view."""
    image = view.image()
    path: Any = gr.skip() if image is None else str(shared.pictures.group("image").write("image", image))
    choices = model_choices(view.scale)
    names = [name for name in dict.fromkeys(view.models) if name] or choices["value"]
    missing = [name for name in names if name not in choices["choices"]]
    if missing:
        gr.Warning(f"Not here at ×{view.scale}, left out: {html.escape(', '.join(missing))}")
    look = {"zoom": view.zoom, "cx": view.cx, "cy": view.cy, "layer": view.layer, "focus": view.focus,
            "region": list(view.region) if view.region else None}  # fmt: skip
    return [
        path,
        HAS_TRUTH if view.ground_truth else NO_TRUTH,
        f"×{view.scale}",
        gr.CheckboxGroup(choices["choices"], value=[name for name in names if name not in missing] or choices["value"]),
        look,
    ]


def _pair(panes: list[dict[str, Any]], left: str, right: str) -> tuple[str, str] | None:
    """The files of two of the viewer's pictures."""
    addresses = {pane["name"]: pane["layers"]["image"] for pane in panes}
    if left not in addresses or right not in addresses:
        return None
    return tuple(str(PictureGroup.of(addresses[name]).path(name)) for name in (left, right))  # type: ignore[return-value]


def _protocol(comparison: Comparison) -> str:
    return f"PSNR and SSIM: {comparison.protocol}." if comparison.hr_image is not None else ""


def _legend(shares: dict[str, float], teachers: int) -> str:
    """The colours of the teachers, and which teachers have none."""
    chips = [
        f'<span class="chip"><i style="background:{colour}"></i>{html.escape(name)} {share:.0%}</span>'
        for colour, (name, share) in zip(PALETTE, shares.items(), strict=False)
    ]
    if len(shares) < teachers:
        chips.append(f"<span>Of {teachers} teachers, the {len(shares)} of the highest PSNR.</span>")
    return f'<div class="chips">{"".join(chips)}</div>'

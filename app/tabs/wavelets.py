"""The Wavelets tab: what the distillation losses see of two pictures."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mtkd.explain.subbands import wavelets
from mtkd.explore import Comparison
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.inside.losses import losses
from mtkd.explore.inside.wavelet_plots import energy, losses_by_band
from mtkd.explore.inside.wavelets import Pair, all_kept, choices, energy_table
from mtkd.explore.viewer import gradio_parts

from ..server.queue import COMPUTING
from ..state import Shared, errors_shown

_COLUMNS = ["band", "what", "mean |difference|", "contribution", "share"]
_INTRO = """The wavelet loss (Eq. 3) splits the difference of two pictures into subbands: **LL** is the blurred picture,
**LH** holds horizontal edges, **HL** vertical ones, **HH** diagonals; K levels split LL again K − 1 times. Outputs of
models are taken as they are, neither clamped nor rounded, values in [0, 1]."""
_BLIND = """**What each loss sees of this difference.** A band without a share is one against which the loss does not
push here. v7 never sees LL: a picture that is too dark costs it nothing."""
_ENERGY = """**Energy by band.** Below 0: the picture has less of it than the reference, as a blurred one has in HH."""


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it works on the comparison that the Compare tab shows."""
    gr.Markdown(_INTRO, elem_classes="help")
    with gr.Row(equal_height=True):
        # Any name, for programs: the choices are those of a page's session.
        named = {"allow_custom_value": True}
        first = gr.Dropdown([], label="First picture", elem_id="wavelet-first", scale=3, **named)
        second = gr.Dropdown([], label="Second picture", elem_id="wavelet-second", scale=3, **named)
        levels = gr.Radio([1, 2, 3, 4], value=1, label="Levels K (paper: 1)", elem_id="wavelet-levels", scale=5)
        wavelet = gr.Dropdown(wavelets(), value="haar", label="Wavelet (paper: Haar)", elem_id="wavelet-name", scale=3)
        loss = gr.Dropdown(
            [(variant.title, name) for name, variant in losses().items()],
            value="wavelet",
            label="Loss on the map",
            elem_id="wavelet-loss",
            scale=4,
        )
    viewer = gr.HTML(None, apply_default_css=False, elem_id="wavelet-viewer", **gradio_parts())
    legend = gr.Markdown(elem_classes="help", elem_id="wavelet-legend")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=420):
            table = gr.Dataframe(
                headers=_COLUMNS,
                interactive=False,
                label="Contribution of each band to L_dis, the wavelet loss",
                elem_id="wavelet-table",
            )
            sums = gr.Markdown(elem_id="wavelet-sum")
        with gr.Column(scale=1, min_width=420):
            gr.Markdown(_BLIND, elem_classes="help")
            shares = gr.Plot(show_label=False, elem_id="wavelet-losses")
    gr.Markdown(_ENERGY, elem_classes="help")
    bars = gr.Plot(show_label=False, elem_id="wavelet-energy")

    def fill(comparison: Comparison, first: str | None, second: str | None) -> list[Any]:
        """Another comparison: its pictures to choose from, a student and what it learned from at first."""
        names = choices(comparison)
        kept = first in names and second in names
        pair = (first, second) if kept else _first_pair(comparison)
        return [gr.Dropdown(names, value=name) for name in pair]

    def show(
        comparison: Comparison | None,
        first: str,
        second: str,
        levels: int,
        wavelet: str,
        loss: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        """The subbands of two pictures of the comparison, their part in the loss, and what every loss sees."""
        if comparison is None or not first or not second:
            raise gr.Error("Compare something first: this tab looks at the results.", print_exception=False)
        progress((0, 3), desc="subbands")
        tell = shared.turns.between(progress)
        with errors_shown(), shared.turns.for_size(comparison.pixels):
            pair = Pair(comparison, first, second, int(levels), wavelet, loss, shared.turns.pass_on)
            panes = pair.panes(shared.turns.between(shared.pictures.group("wavelets").save))
            tell((1, 3), desc="losses")
            by_band = pair.by_band()
            tell((2, 3), desc="energies")
            names = None if all_kept(comparison) else [first, second]
            reference, energies = energy_table(comparison, int(levels), wavelet, names, shared.turns.pass_on)
        rows = pair.table()
        full, full_difference = pair.ranges()
        texts = [[_text(row[column], column) for column in _COLUMNS] for row in rows]
        return [
            {"panes": panes, "view": {"layer": "difference"}},
            f"{first} against {second}. Detail bands: red is positive, blue negative, full at {full:.0f} levels of "
            f"255; differences at {full_difference:.0f}. Map: red is where **{losses()[loss].title}** comes from, blue "
            "what speaks against it; its sum is the loss.",
            {"headers": _COLUMNS, "data": [[row[c] for c in _COLUMNS] for row in rows],
             "metadata": {"display_value": texts, "styling": None}},
            f"The bands add up to **{rows[-1]['contribution']:.6f}**; `WaveletLoss(levels={levels}, "
            f'wavelet="{wavelet}")` of these pictures is **{pair.total("wavelet"):.6f}**.',
            losses_by_band(by_band),
            energy(energies, reference),
        ]  # fmt: skip

    outputs = [viewer, legend, table, sums, shares, bars]
    inputs = [shared.comparison, first, second, levels, wavelet, loss]
    news = shared.on_new_comparison(tab, "wavelet-viewer")
    pair = [first, second]
    filled = news.change(fill, [shared.comparison, *pair], pair, api_visibility="private", show_progress="hidden")
    filled.then(show, inputs, outputs, api_visibility="private", show_progress_on=[viewer], **COMPUTING)
    for number, control in enumerate((first, second, levels, wavelet, loss)):
        name = {"api_name": "subbands"} if number == 0 else {"api_visibility": "private"}
        control.input(show, inputs, outputs, show_progress_on=[viewer], **COMPUTING, **name)


def _first_pair(comparison: Comparison) -> tuple[str, str]:
    """A student beside the aggregator that it learned from, or the last two pictures."""
    roles = {result.name: result.role for result in comparison.results}
    students = [name for name, role in roles.items() if role == "student"]
    merged = [name for name, role in roles.items() if role == "aggregator"]
    names = choices(comparison)
    second = merged[0] if merged else TRUTH if TRUTH in names else names[-1]
    first = students[-1] if students else names[0]
    return first, second


def _text(value: Any, column: str) -> str:
    forms = {"mean |difference|": ".5f", "contribution": ".6f", "share": ".1%"}
    return value if isinstance(value, str) else f"{value:{forms[column]}}"

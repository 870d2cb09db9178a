"""The Wavelets tab: what the distillation losses see of two pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.explain.subbands import wavelets
from mtkd.explore import Comparison
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.inside.losses import losses
from mtkd.explore.inside.wavelet_plots import energy, losses_by_band
from mtkd.explore.inside.wavelets import Pair, all_kept, choices, energy_table

from ..parts import viewer_part
from ..server.queue import COMPUTING
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown

_COLUMNS = ["band", "what", "mean |difference|", "contribution", "share"]
_INTRO = """The wavelet loss (Eq. 3) splits the difference of two pictures into subbands: **LL** is the blurred picture,
**LH** holds horizontal edges, **HL** vertical ones, **HH** diagonals; K levels split LL again K − 1 times. Outputs of
models are taken as they are, neither clamped nor rounded, values in [0, 1]."""
_BLIND = """**What each loss sees of this difference.** A band without a share is one against which the loss does not
push here. v7 never sees LL: a picture that is too dark costs it nothing."""
_ENERGY = """**Energy by band.** Below 0: the picture has less of it than the reference, as a blurred one has in HH."""


@dataclass(frozen=True, eq=False)
class Wavelets:
    """The components of the tab; its methods answer their events."""

    shared: Shared
    first: gr.Dropdown
    second: gr.Dropdown
    levels: gr.Radio
    wavelet: gr.Dropdown
    loss: gr.Dropdown
    viewer: gr.HTML
    legend: gr.Markdown
    table: gr.Dataframe
    sums: gr.Markdown
    shares: gr.Plot
    energy: gr.Plot

    def fill(self, comparison: Comparison, first: str | None, second: str | None) -> dict[Any, Any]:
        """Another comparison: its pictures to choose from, a student and what it learned from at first."""
        names = choices(comparison)
        if first not in names or second not in names:
            first, second = _first_pair(comparison)
        return {self.first: gr.Dropdown(names, value=first), self.second: gr.Dropdown(names, value=second)}

    def show(
        self,
        comparison: Comparison | None,
        first: str,
        second: str,
        levels: int,
        wavelet: str,
        loss: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """The subbands of two pictures of the comparison, their part in the loss, and what every loss sees."""
        if comparison is None or not first or not second:
            raise gr.Error("Compare something first: this tab looks at the results.", print_exception=False)
        turns = self.shared.turns
        progress((0, 3), desc="subbands")
        tell = turns.between(progress)
        with errors_shown(), turns.for_size(comparison.pixels):
            pair = Pair(comparison, first, second, int(levels), wavelet, loss, turns.pass_on)
            panes = pair.panes(turns.between(self.shared.pictures.group("wavelets").save))
            tell((1, 3), desc="losses")
            by_band = pair.by_band()
            tell((2, 3), desc="energies")
            names = None if all_kept(comparison) else [first, second]
            reference, energies = energy_table(comparison, int(levels), wavelet, names, turns.pass_on)
        rows = pair.table()
        return {
            self.viewer: {"panes": panes, "view": {"layer": "difference"}},
            self.legend: _legend(pair),
            self.table: _table(rows),
            self.sums: f"The bands add up to **{rows[-1]['contribution']:.6f}**; `WaveletLoss(levels={levels}, "
            f'wavelet="{wavelet}")` of these pictures is **{pair.total("wavelet"):.6f}**.',
            self.shares: losses_by_band(by_band),
            self.energy: energy(energies, reference),
        }


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it works on the comparison that the Compare tab shows."""
    connect(layout(shared), tab)


def layout(shared: Shared) -> Wavelets:
    """Lay out the tab: what is looked at, the subbands, then numbers and plots."""
    gr.Markdown(_INTRO, elem_classes="help")
    with gr.Row(equal_height=True):
        # Any name, for programs: the choices are those of a page's session.
        first, second = (
            gr.Dropdown([], label=f"{label} picture", elem_id=f"wavelet-{label.lower()}", scale=3,
                        allow_custom_value=True)
            for label in ("First", "Second")
        )  # fmt: skip
        levels = gr.Radio([1, 2, 3, 4], value=1, label="Levels K (paper: 1)", elem_id="wavelet-levels", scale=5)
        wavelet = gr.Dropdown(wavelets(), value="haar", label="Wavelet (paper: Haar)", elem_id="wavelet-name", scale=3)
        titles = [(variant.title, name) for name, variant in losses().items()]
        loss = gr.Dropdown(titles, value="wavelet", label="Loss on the map", elem_id="wavelet-loss", scale=4)
    viewer = viewer_part.layout("wavelet-viewer")
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
    return Wavelets(shared, first, second, levels, wavelet, loss, viewer, legend, table, sums, shares, bars)


def connect(of: Wavelets, tab: gr.Tab) -> None:
    """Connect the tab's events."""
    pair = [of.first, of.second]
    inputs = [of.shared.comparison, *pair, of.levels, of.wavelet, of.loss]
    outputs = [of.viewer, of.legend, of.table, of.sums, of.shares, of.energy]
    shown: dict[str, Any] = {"show_progress_on": [of.viewer], **COMPUTING}
    news = of.shared.on_new_comparison(tab, "wavelet-viewer")
    filled = news.change(of.fill, [of.shared.comparison, *pair], pair, **QUIET)
    filled.then(of.show, inputs, outputs, **shown, **PRIVATE)
    of.first.input(of.show, inputs, outputs, api_name="subbands", **shown)
    for control in (of.second, of.levels, of.wavelet, of.loss):
        control.input(of.show, inputs, outputs, **shown, **PRIVATE)


def _first_pair(comparison: Comparison) -> tuple[str, str]:
    """A student beside the aggregator that it learned from, or the last two pictures."""
    roles = {result.name: result.role for result in comparison.results}
    students = [name for name, role in roles.items() if role == "student"]
    merged = [name for name, role in roles.items() if role == "aggregator"]
    names = choices(comparison)
    second = merged[0] if merged else TRUTH if TRUTH in names else names[-1]
    first = students[-1] if students else names[0]
    return first, second


def _legend(pair: Pair) -> str:
    full, full_difference = pair.ranges()
    return (
        f"{pair.first} against {pair.second}. Detail bands: red is positive, blue negative, full at {full:.0f} levels "
        f"of 255; differences at {full_difference:.0f}. Map: red is where **{losses()[pair.loss].title}** comes from, "
        "blue what speaks against it; its sum is the loss."
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers to sort by, texts to read."""
    texts = [[_text(row[column], column) for column in _COLUMNS] for row in rows]
    data = [[row[column] for column in _COLUMNS] for row in rows]
    return {"headers": _COLUMNS, "data": data, "metadata": {"display_value": texts, "styling": None}}


def _text(value: Any, column: str) -> str:
    forms = {"mean |difference|": ".5f", "contribution": ".6f", "share": ".1%"}
    return value if isinstance(value, str) else f"{value:{forms[column]}}"


TAB = Tab("Wavelets", order=30, build=build)

"""The Wavelet loss view: what the distillation losses see of two pictures."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.explain.subbands import wavelets
from mtkd.explore import Comparison
from mtkd.explore.comparison.choices import SCRATCH
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.draw.colours import SIGNED_CSS
from mtkd.explore.inside.losses import losses
from mtkd.explore.inside.wavelet_plots import energy, losses_by_band
from mtkd.explore.inside.wavelets import Pair, all_kept, choices, energy_table

from ..parts import viewer_part, wavelet_average
from ..parts.messages import errors_in, no_comparison
from ..server.queue import COMPUTING
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown

_COLUMNS = ["band", "what", "mean |difference|", "contribution", "share"]
_EMPTY = "The subbands appear here when the comparison is done."
_ABOUT = """The wavelet loss (Eq. 3) splits the difference of two pictures into subbands: **LL** is the blurred picture,
**LH** holds horizontal edges, **HL** vertical ones, **HH** diagonals; K levels split LL again K − 1 times. The results
of models are taken as they are, neither clamped nor rounded, values in [0, 1].

**Loss shown**: red pixels add to the loss, blue ones reduce it; the sum is the loss. **What each loss sees**: bands
without a bar are ignored by this loss. v7 never sees LL: a picture that is too dark costs it nothing. v8 sees the bands
at every place, so that a shift of both pictures changes nothing; v9 takes two levels, the middle bands twice. **Detail
by band**: the energy of each band in dB over that of the reference; a blurred picture has less of it in HH."""

_IN_TRAINING = " In training (Framework) the student is compared with the combined teacher, not with the ground truth."


@dataclass(frozen=True, eq=False)
class Wavelets:
    """The components of the view; its methods answer their events."""

    shared: Shared
    first: gr.Dropdown
    second: gr.Dropdown
    levels: gr.Radio
    wavelet: gr.Dropdown
    loss: gr.Dropdown
    viewer: gr.HTML
    legend: gr.HTML
    table: gr.Dataframe
    sums: gr.Markdown
    shares: gr.Plot
    energy: gr.Plot
    asks: gr.Textbox
    program: gr.Button
    average: wavelet_average.Average

    @property
    def outputs(self) -> list[Any]:
        """What an answer fills."""
        return [self.viewer, self.legend, self.table, self.sums, self.shares, self.energy]

    def fill(self, comparison: Comparison, first: str | None, second: str | None, *others: Any) -> dict[Any, Any]:
        """Another comparison: its pictures to choose from, the distilled student and the ground truth at first."""
        names = choices(comparison)
        titles = [(title, name) for name, title in names.items()]
        if first not in names or second not in names:
            first, second = _first_pair(comparison)
        return {
            self.first: gr.Dropdown(titles, value=first),
            self.second: gr.Dropdown(titles, value=second),
            self.asks: self.choose(comparison, first, second, *others),
        }

    def choose(self, comparison: Comparison | None, *choices: Any) -> str:
        """What is asked, as a text: Gradio sends some choices twice, and one when a list loses the focus."""
        return f"{id(comparison)} {choices}"

    def subbands(
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
            raise no_comparison()
        turns = self.shared.turns
        progress(None, desc="Splitting into subbands")
        tell = turns.between(progress)
        with errors_shown(), turns.for_size(comparison.pixels):
            pair = Pair(comparison, first, second, int(levels), wavelet, loss, turns.pass_on)
            panes = pair.panes(turns.between(self.shared.pictures.group("wavelets").save))
            tell(None, desc="Computing the losses")
            by_band = pair.by_band()
            tell(None, desc="Measuring the bands")
            names = None if all_kept(comparison) else [first, second]
            reference, energies = energy_table(comparison, int(levels), wavelet, names, turns.pass_on)
        rows, titles = pair.table(), choices(comparison)
        return {
            self.viewer: {"panes": panes, "columns": 3 if levels == 1 else None, "view": {"layer": "difference"}},
            self.legend: _legend(pair),
            self.table: _table(rows),
            self.sums: f"The bands add up to **{rows[-1]['contribution']:.6f}**; `WaveletLoss(levels={levels}, "
            f'wavelet="{wavelet}")` of these pictures is **{pair.total("wavelet"):.6f}**.'
            + (_IN_TRAINING if second == TRUTH else ""),
            self.shares: losses_by_band(by_band),
            self.energy: energy({titles[name]: bands for name, bands in energies.items()}, titles[reference]),
        }


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; it works on the comparison that the Compare tab shows."""
    connect(layout(shared), tab)


def layout(shared: Shared) -> Wavelets:
    """Lay out the view: what is looked at, the subbands, then numbers and plots."""
    with gr.Row(equal_height=True, elem_id="wavelet-head"):
        # Any name, for programs: the choices are those of a page's session.
        first, second = (
            gr.Dropdown([], label=label, elem_id=elem_id, scale=3, min_width=200, allow_custom_value=True)
            for label, elem_id in (("Result", "wavelet-first"), ("Compare with", "wavelet-second"))
        )
        titles = [(variant.title, name) for name, variant in losses().items()]
        loss = gr.Dropdown(titles, value="wavelet", label="Loss shown", elem_id="wavelet-loss", scale=3, min_width=200)
    viewer = viewer_part.layout("wavelet-viewer", {"empty": _EMPTY, "height": 640})
    legend = gr.HTML(elem_id="wavelet-legend", padding=False)
    with gr.Accordion("Advanced", open=False, elem_id="wavelet-advanced"), gr.Row(equal_height=True):
        levels = gr.Radio([1, 2, 3, 4], value=1, label="Levels K", info="Paper: 1", elem_id="wavelet-levels")
        wavelet = gr.Dropdown(wavelets(), value="haar", label="Wavelet", info="Paper: Haar", elem_id="wavelet-name")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            table = gr.Dataframe(
                headers=_COLUMNS,
                interactive=False,
                label="Contribution of each band to the wavelet loss",
                elem_id="wavelet-table",
            )
            sums = gr.Markdown(elem_id="wavelet-sum", elem_classes="help")
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("#### What each loss sees of this difference")
            shares = gr.Plot(show_label=False, elem_id="wavelet-losses", elem_classes="figures")
    gr.Markdown("#### Detail by band")
    bars = gr.Plot(show_label=False, elem_id="wavelet-energy", elem_classes="figures")
    average = wavelet_average.layout(shared)
    with gr.Accordion("About this view", open=False):
        gr.Markdown(_ABOUT, elem_classes="help")
    return Wavelets(
        shared, first, second, levels, wavelet, loss, viewer, legend, table, sums, shares, bars,
        gr.Textbox(visible="hidden"), gr.Button(visible=False), average,
    )  # fmt: skip


def connect(of: Wavelets, tab: gr.Tab) -> None:
    """Connect the view's events."""
    pair = [of.first, of.second]
    controls: list[Any] = [*pair, of.levels, of.wavelet, of.loss]
    inputs = [of.shared.comparison, *controls]
    shown: dict[str, Any] = {"show_progress_on": [of.viewer], **COMPUTING}
    news = of.shared.on_new_comparison(tab, "wavelet-viewer")
    news.change(of.fill, inputs, [*pair, of.asks], **QUIET)
    wavelet_average.connect(of.average, news, [*pair, of.levels, of.wavelet])
    for control in controls:
        control.input(of.choose, inputs, of.asks, **QUIET)
    of.program.click(of.subbands, inputs, of.outputs, api_name="subbands", **shown)
    answer = errors_in(of.subbands, lambda message: {of.viewer: viewer_part.failed(message), of.legend: ""})
    of.asks.change(answer, inputs, of.outputs, trigger_mode="always_last", **shown, **PRIVATE)


def _first_pair(comparison: Comparison) -> tuple[str, str]:
    """The distilled student beside the ground truth; without one beside the student alone, or the combined teacher."""
    names = list(choices(comparison))
    students = [result for result in comparison.results if result.role == "student"]
    alone = [result.name for result in students if result.method == SCRATCH]
    distilled = [result.name for result in students if result.method != SCRATCH]
    merged = [result.name for result in comparison.results if result.role == "aggregator"]
    first = next(iter([*reversed(distilled), *alone, *names]))
    others = [TRUTH] if TRUTH in names else [*alone, *merged, *reversed(names)]
    return first, next((name for name in others if name != first), first)


def _legend(pair: Pair) -> str:
    """What the colours of the pictures mean."""
    titles, loss = choices(pair.comparison), html.escape(losses()[pair.loss].title)
    full, full_difference = pair.ranges()
    bars = [
        (f"−{full_difference:.0f}", f"+{full_difference:.0f}", "Difference, levels of 255"),
        (f"−{full:.0f}", f"+{full:.0f}", "Detail bands of one picture, levels of 255"),
        ("reduces it", "adds to it", f"Where the loss comes from: {loss}"),
    ]
    what = f"{html.escape(titles[pair.first])} minus {html.escape(titles[pair.second])}"
    return f"<p>Difference: {what}.</p>" + "".join(
        f'<div class="colour-bar"><span>{low}</span><i style="background: linear-gradient(90deg, {SIGNED_CSS})"></i>'
        f"<span>{high}</span><b>{text}</b></div>"
        for low, high, text in bars
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers to sort by, texts to read."""
    texts = [[_text(row[column], column) for column in _COLUMNS] for row in rows]
    data = [[row[column] for column in _COLUMNS] for row in rows]
    return {"headers": _COLUMNS, "data": data, "metadata": {"display_value": texts, "styling": None}}


def _text(value: Any, column: str) -> str:
    forms = {"mean |difference|": ".5f", "contribution": ".6f", "share": ".1%"}
    return value if isinstance(value, str) else f"{value:{forms[column]}}"


TAB = Tab("Wavelet loss", order=30, build=build, within="How it works")

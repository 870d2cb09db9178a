"""Part of the Wavelet loss view: the two chosen models by subband, averaged over a set, and along their training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explore import Comparison
from mtkd.explore.comparison.core import TITLES, TRUTH
from mtkd.explore.inside import wavelet_sets
from mtkd.explore.inside.wavelet_plots import along_training, energy, errors
from mtkd.explore.inside.wavelets import choices

from ..server.queue import COMPUTING
from ..state import PRIVATE, QUIET, Shared, errors_shown
from .messages import alert, errors_in, no_comparison

_HELP = (
    "The models chosen above as Result and Compare with, each against the ground truth: mean over the pictures. Where "
    "snapshots of a training were kept, they are measured too."
)


@dataclass(frozen=True, eq=False)
class Average:
    """The components of the part; its methods answer their events."""

    shared: Shared
    pictures: gr.Radio
    run: gr.Button
    note: gr.Markdown
    error: gr.Plot
    energy: gr.Plot
    training: gr.Plot

    @property
    def outputs(self) -> list[Any]:
        """What an answer fills."""
        return [self.note, self.error, self.energy, self.training]

    def fill(self, comparison: Comparison | None, chosen: str | None) -> dict[Any, Any]:
        """The sets that are here at the scale of another comparison."""
        sets = wavelet_sets.sets(comparison.scale if comparison else 4)
        return {self.pictures: gr.Radio(sets, value=chosen if chosen in sets else sets[0])}

    def average(
        self,
        comparison: Comparison | None,
        first: str,
        second: str,
        levels: int,
        wavelet: str,
        pictures: str = wavelet_sets.EXAMPLES,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """Error and energy by subband of both models, averaged over a set, and along their training."""
        if comparison is None:
            raise no_comparison()
        titles, turns = choices(comparison), self.shared.turns
        with errors_shown():
            models = _models(comparison, first, second)
            of = wavelet_sets.pictures(pictures, comparison.scale)

            def measure(name: str, title: str) -> wavelet_sets.Bands:
                def tell(done: int, count: int) -> None:
                    progress((done, count), desc=f"{title} on {pictures}")
                    turns.pass_on()

                return wavelet_sets.measure(name, of, int(levels), wavelet, tell)

            with turns.for_size(of.pixels):
                means = {titles[name]: measure(name, titles[name]).means() for name in models}
                ways = {name: wavelet_sets.steps(name, comparison.scale) for name in models}
                along = {
                    titles[name]: {
                        step: measure(at, f"{titles[name]}, {step:,} steps").means()[0] for step, at in way.items()
                    }
                    for name, way in ways.items()
                    if way
                }
        return {
            self.note: f"{' and '.join(means)}: mean over {len(of.pairs)} pictures ({pictures}, ×{comparison.scale}).",
            self.error: gr.Plot(errors({title: error for title, (error, _) in means.items()}), visible=True),
            self.energy: gr.Plot(
                energy({title: over for title, (_, over) in means.items()}, TITLES[TRUTH]), visible=True
            ),
            self.training: gr.Plot(along_training(along) if along else None, visible=bool(along)),
        }


def _models(comparison: Comparison, first: str, second: str) -> list[str]:
    """The chosen ones that can run on other pictures.

    Raises:
        UserError: neither can.
    """
    runs = {result.name for result in comparison.results if result.role != "elsewhere"}
    models = [name for name in dict.fromkeys((first, second)) if name in runs]
    if not models:
        raise UserError("choose a model as Result: the ground truth and pictures of others have no other pictures")
    return models


def layout(shared: Shared) -> Average:
    """Lay out the part, closed."""
    with gr.Accordion("Average over pictures", open=False, elem_id="wavelet-average"):
        gr.Markdown(_HELP, elem_classes="help")
        with gr.Row(equal_height=False):
            pictures = gr.Radio([wavelet_sets.EXAMPLES], value=wavelet_sets.EXAMPLES, label="Pictures",
                                elem_id="wavelet-pictures", scale=3)  # fmt: skip
            run = gr.Button("Measure", elem_id="wavelet-measure", variant="primary", scale=0, min_width=140)
        note = gr.Markdown(elem_id="wavelet-average-note", elem_classes="help")
        with gr.Row(equal_height=False):
            error = gr.Plot(show_label=False, visible=False, elem_id="wavelet-errors", elem_classes="figures")
            bars = gr.Plot(show_label=False, visible=False, elem_id="wavelet-energies", elem_classes="figures")
        training = gr.Plot(show_label=False, visible=False, elem_id="wavelet-training", elem_classes="figures")
    return Average(shared, pictures, run, note, error, bars, training)


def connect(of: Average, news: gr.Textbox, chosen: list[Any]) -> None:
    """Connect the part's events.

    Args:
        news: changes when the view is filled from another comparison.
        chosen: of the view: the two models, levels and wavelet.
    """
    comparison = of.shared.comparison
    news.change(of.fill, [comparison, of.pictures], of.pictures, **QUIET)
    inputs = [comparison, *chosen, of.pictures]
    answer = errors_in(of.average, lambda message: {of.note: alert(message)})
    of.run.click(answer, inputs, of.outputs, show_progress_on=[of.note], **COMPUTING, **PRIVATE)

"""Shared by the lessons: controls under a picture, small trainings with live curves (extra ``notebooks``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from IPython.display import display
from ipywidgets import HTML, interactive
from nbconvert.filters import markdown2html
from PIL import Image

from mtkd import zoo
from mtkd.data.examples import EXAMPLES
from mtkd.experiments.plan import load_recipe
from mtkd.explore.comparison.core import data_uri
from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.draw.theme import blank
from mtkd.training.loop import train
from mtkd.training.measured import HELD_OUT_PSNR, Curve, Measured
from mtkd.training.recipe import Recipe
from mtkd.training.request import shortened


class Controls(interactive):  # type: ignore[misc]
    """A picture (PIL) or markdown returned by a function, with a control for each of its arguments.

    ``result`` is what is shown. (The Output widget of ipywidgets stays empty when a notebook is run by nbclient.)

    Args:
        choices: of each argument, as :class:`ipywidgets.interactive` takes them: a list, a range (least, most), a bool.
    """

    def __init__(self, show: Callable[..., Any], **choices: Any) -> None:
        self._shown = HTML()
        super().__init__(show, **choices)
        self.children = (*self.kwargs_widgets, self._shown)

    def update(self, *_: Any) -> None:
        """Show the function's result for the current choices."""
        self.result = self.f(**{control._kwarg: control.value for control in self.kwargs_widgets})
        if isinstance(self.result, Image.Image):
            address = data_uri("", np.asarray(self.result.convert("RGB")))
            self._shown.value = f'<img src="{address}" style="max-width: 100%">'
        else:
            self._shown.value = markdown2html(self.result.data)


def lesson(name: str, steps: int, assignments: Sequence[str] = (), scale: int = 4) -> Recipe:
    """A bundled recipe with ``steps`` steps on the bundled example images, one of which is held out.

    Args:
        name: of the model, as in "edsr_tiny-mtkd".
        assignments: changes, as ``mtkd train --set`` takes them: "method.options.alpha=0.3".

    Raises:
        UserError: no such recipe, or an invalid change.
    """
    folder = EXAMPLES[0].path.parent
    given = [f"data.train={folder}", "data.holdout=1", "batch=4", "lr_patch=24", "precision=fp32", *assignments]
    recipe = shortened(load_recipe(f"mini/{name}_x{scale}", given), steps)
    every = max(1, steps // 60)
    return recipe.model_copy(
        update={"snapshots": (), "log_every": every, "validate_every": max(1, steps // 10), "checkpoint_every": steps}
    )


class Lessons:
    """Results of several trainings: curves by training and number, and the networks."""

    def __init__(self) -> None:
        self.curves: dict[str, dict[str, Curve]] = {}
        self.networks: dict[str, Any] = {}

    def of(self, number: str) -> dict[str, Curve]:
        """The curves of one number, by training."""
        return {title: curves[number] for title, curves in self.curves.items() if number in curves}


def study(recipes: Mapping[str, Recipe], watched: str = HELD_OUT_PSNR) -> Lessons:
    """Train recipes one after another, in temporary folders.

    In a notebook, the curve of ``watched`` is drawn live.

    Raises:
        UserError: as :func:`mtkd.training.loop.train`.
    """
    figure, lessons = _live(list(recipes), watched), Lessons()
    with TemporaryDirectory() as folder:
        for number, (title, recipe) in enumerate(recipes.items()):
            trace = figure.data[number]

            def report(row: Mapping[str, Any], trace: Any = trace) -> None:
                if watched in row:
                    trace.update(x=[*(trace.x or ()), row["iteration"]], y=[*(trace.y or ()), row[watched]])

            run = Path(folder) / str(number)
            train(recipe, run, False, report, cache=Path(folder) / "cache")
            measured = Measured(run)
            measured.read()
            lessons.curves[title] = measured.curves()
            lessons.networks[title] = zoo.load(recipe.name, recipe.scale, sources=[run])
    return lessons


def _live(titles: Sequence[str], watched: str) -> Any:
    from plotly.graph_objects import FigureWidget  # type: ignore[import-untyped]

    figure = FigureWidget(blank("step", watched, 320))
    for number, title in enumerate(titles):
        figure.add_scatter(x=[], y=[], mode="lines+markers", name=title, line={"color": PALETTE[number]})
    display(figure)  # type: ignore[no-untyped-call]
    return figure

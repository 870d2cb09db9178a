"""How the page tells of a run: one line in the list, its state in full, and what of it is on the page."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd import networks
from mtkd.plugins import METHODS
from mtkd.training import run_state
from mtkd.training.run_state import Run, State

from ..state import QUIET, Shared, is_open_script
from .messages import title_of

OFF = (
    "Training runs on the explorer's computer, so it is off where other computers can reach the page. It is on with "
    "`mtkd demo` without `--host` or `--share`. With `--trust`, every visitor can train."
)


@dataclass(frozen=True)
class Seen:
    """What the page shows of the runs; of each answer, only what differs from it is sent.

    Attributes:
        runs: their labels and names.
        chosen: the name of the run that is shown; the rest is of it.
        rows: how many measurements there are.
        sample: the newest one's file, and when it was written.
    """

    runs: tuple[tuple[str, str], ...] = ()
    chosen: str | None = None
    state: State | None = None
    rows: int = 0
    log: tuple[str, ...] = ()
    sample: tuple[Path, float] | None = None

    @classmethod
    def of(cls, runs: Sequence[Run], run: Run | None) -> Seen:
        """The runs as they are now, and one of them."""
        listed = tuple((label(one), one.name) for one in runs)
        if run is None:
            return cls(listed)
        newest = run_state.newest_sample(run.folder)
        sample = (newest, newest.stat().st_mtime) if newest else None
        rows, log = len(run_state.measured(run.folder).rows), tuple(run_state.log(run.folder))
        return cls(listed, run.name, run.state, rows, log, sample)


_ADVICE = {
    "stopped": "Resume goes on from the last step that was saved.",
    "failed": "Resume tries again. To change the recipe, delete the run or choose another name.",
    "diverged": "Start it again under another name with a lower learning rate.",
    "damaged": "It can be deleted; nothing else can be done with it here.",
}


def duration(seconds: float) -> str:
    """ "45 s", "3 min 20 s", "2 h 10 min", "3 d 4 h"."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // 86_400, whole % 86_400 // 3600, whole % 3600 // 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole % 60, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(
        f"{number} {unit}" for number, unit in parts[first : first + 2] if number or first == len(parts) - 1
    )


def label(run: Run) -> str:
    """A run in the list: its name, state, progress, quality and time."""
    parts = [_model(run), run.state]
    if run.state in ("running", *run_state.RESUMABLE) and run.iteration:
        parts.append(f"step {run.iteration:,} of {run.iterations:,}")
    if run.state == "finished":
        parts.append(f"{run.iterations:,} steps")
    if run.psnr is not None:
        parts.append(f"{run.psnr:.2f} dB")
    if run.seconds_left is not None:
        parts.append(f"{duration(run.seconds_left)} left")
    elif run.state == "finished" and run.seconds is not None:
        parts.append(duration(run.seconds))
    return " · ".join(parts)


def status(run: Run) -> str:
    """The state of a run as HTML."""
    share = run.iteration / run.iterations if run.iterations else 0
    facts = [f"step {run.iteration:,} of {run.iterations:,}"] if run.iterations else []
    if run.active and run.speed is not None:
        facts.append(f"{run.speed:.3g} steps a second")
    if run.seconds_left is not None:
        facts.append(f"{duration(run.seconds_left)} left")
    if run.psnr is not None:
        facts.append(f"validation {run.psnr:.2f} dB")
    if run.seconds is not None:
        facts.append(f"{'trained for' if run.state == 'finished' else 'started'} {duration(run.seconds)}"
                     f"{'' if run.state == 'finished' else ' ago'}")  # fmt: skip
    lines = [run.note, _ADVICE.get(run.state, "")]
    return (
        f'<div class="train-status train-{run.state}"><div class="train-head"><b>{html.escape(_model(run))}</b>'
        f'<span class="train-state">{run.state}</span><span>{html.escape(_what(run))}</span></div>'
        f"{bar(share, *facts)}"
        f"{''.join(f'<p>{html.escape(line)}</p>' for line in lines if line)}</div>"
    )


def bar(share: float, *facts: str) -> str:
    """A progress bar, and facts under it."""
    percent = f"{100 * share:.0f}"
    return (
        f'<div class="train-bar" role="progressbar" aria-label="Steps done" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></div>'
        f'<div class="train-facts">{"".join(f"<span>{html.escape(fact)}</span>" for fact in facts if fact)}</div>'
    )


def said(run: Run | None) -> str:
    """What a screen reader says of a run: its state, and each quarter of its way."""
    if run is None:
        return ""
    quarter = 4 * run.iteration // run.iterations if run.iterations else 0
    text = f"{_model(run)}: {run.state}"
    if run.state == "running" and quarter:
        text += f", {25 * quarter} percent"
    elif run.state == "finished" and run.psnr is not None:
        text += f", {run.psnr:.2f} dB"
    return f"<span>{html.escape(text)}</span>"


def watch(
    shared: Shared,
    tab: gr.Tab,
    timer: gr.Timer,
    answers: tuple[Callable[..., Any], Callable[..., Any]],
    inputs: list[Any],
    outputs: list[Any],
    within: str,
) -> None:
    """Have a view be answered when it is opened, and at each tick of its timer.

    Args:
        answers: when it is opened, and at a tick; both take ``inputs`` and whether the view is open.
        within: id of an element of the view, which is open where that is visible.
    """
    script = is_open_script(within)
    inputs = [*inputs, gr.Checkbox(visible=False)]
    for opened in (tab.select, shared.tabs.select):
        opened(answers[0], inputs, outputs, js=script, **QUIET)
    timer.tick(answers[1], inputs, outputs, js=script, **QUIET)


def _model(run: Run) -> str:
    return f"{run.recipe.name} ×{run.recipe.scale}" if run.recipe else run.name


def _what(run: Run) -> str:
    """What is trained, in words: network and role, method, teachers, device."""
    if run.recipe is None:
        return ""
    recipe = run.recipe
    spec = networks.specs()[recipe.network]
    network = "Combined teacher" if spec.role == "aggregator" else f"{spec.title} {spec.role}"
    parts = [network, METHODS[recipe.method.name].title]
    if recipe.teachers:
        parts.append(f"learns from {', '.join(title_of(name, recipe.scale) for name in recipe.teachers)}")
    if run.device:
        parts.append(f"on {'the CPU' if run.device == 'cpu' else run.device}")
    return " · ".join(parts)

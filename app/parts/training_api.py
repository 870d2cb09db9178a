"""What the Runs view does, for programs: by the names of runs."""

from __future__ import annotations

from typing import Any

from gradio.events import api

from mtkd.training import jobs, run_state

from ..state import errors_shown
from .training_recipes import held_out, prefilled, resolve


def connect() -> None:
    """Give the functions below to programs, as ``/train_start`` and so on."""
    for function in (_start, _runs, _curves, _stop, _resume, _delete):
        api(function, api_name=f"train{function.__name__}")


def _start(
    recipe: str, scale: int, name: str, steps: int, data: str = "", device: str = "cpu", more: str = ""
) -> dict[str, Any]:
    """Start a training: a recipe as PLAN/MODEL, a folder of images (empty: the bundled ones)."""
    with errors_shown():
        fields = prefilled(recipe, scale) | {"name": name, "steps": steps, "data": data, "more": more}
        fields["held_out"] = held_out(data)
        return _told(jobs.start(resolve(recipe, scale, **fields), device))


def _runs() -> list[dict[str, Any]]:
    """All runs, the one that was started last first."""
    return [_told(run) for run in run_state.runs()]


def _curves(run: str) -> dict[str, Any]:
    """What a run has measured: per name its steps and values, at most 1000."""
    with errors_shown():
        return {key: list(curve) for key, curve in run_state.measured(run_state.find(run).folder).curves().items()}


def _stop(run: str) -> str:
    """Have a run saved and stopped."""
    with errors_shown():
        jobs.stop(run)
    return run


def _resume(run: str) -> dict[str, Any]:
    """Go on with a stopped or failed run."""
    with errors_shown():
        return _told(jobs.resume(run))


def _delete(run: str) -> str:
    """Move a run into the folder `deleted`; returns its place there."""
    with errors_shown():
        return str(jobs.delete(run))


def _told(run: run_state.Run) -> dict[str, Any]:
    return {"run": run.name, "state": run.state, "note": run.note, "step": run.iteration, "steps": run.iterations,
            "psnr": run.psnr, "steps_a_second": run.speed, "seconds_left": run.seconds_left}  # fmt: skip

"""The choice of a plan, in every tab that shows or starts its runs: a bundled one, or one with runs of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import unknown_name
from mtkd.experiments.plan import Plan, available_plans, load_plan
from mtkd.explore.evidence.results import Results
from mtkd.explore.evidence.results import load as load_results
from mtkd.home import runs_folder

from ..state import QUIET, errors_shown

PLAN = "mini"
"""What is chosen at first."""


def layout(elem_id: str) -> gr.Dropdown:
    """A choice whose value is the name of a plan."""
    return gr.Dropdown(list(available_plans()), value=PLAN, label="Plan", elem_id=elem_id, min_width=120)


def radio(elem_id: str) -> gr.Radio:
    """The same, with all of them in sight."""
    return gr.Radio(list(available_plans()), value=PLAN, label="Plan", elem_id=elem_id)


def connect(tab: gr.Tab, choice: gr.Dropdown | gr.Radio) -> None:
    """Have the plans be listed anew when the tab is opened."""
    tab.select(_listed, None, choice, **QUIET)


def _listed() -> dict[str, Any]:
    return gr.update(choices=list(available_plans()))


def plan(name: str) -> Plan:
    """The plan of this name.

    Raises:
        Error: there is none, or its file cannot be read.
    """
    with _errors_shown():
        return load_plan(_source(name))


def results(name: str) -> Results:
    """What was recorded for the plan of this name.

    Raises:
        Error: there is none, or its file or records cannot be read.
    """
    with _errors_shown():
        return load_results(_source(name))


def models_folder(name: str) -> tuple[Path, ...]:
    """Where models of the plan's own runs lie, if there are any: folders that are looked up before others."""
    return (folder,) if (folder := runs_folder(name)).is_dir() else ()


def _source(name: str) -> str:
    """What the plan of this name is loaded from."""
    if name not in (plans := available_plans()):
        raise unknown_name("plan", name, plans)
    return plans[name]


@contextmanager
def _errors_shown() -> Iterator[None]:
    with errors_shown(f"{runs_folder()}{os.sep}"):
        yield

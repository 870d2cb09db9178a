"""The choice of a plan, in every tab that shows or starts its runs: a bundled one, or one with runs of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr

from mtkd.errors import UserError, unknown_name
from mtkd.experiments.plan import Plan, available_plans, load_plan
from mtkd.experiments.records import MEASURED
from mtkd.explore.evidence.results import Results, has_records
from mtkd.explore.evidence.results import load as load_results
from mtkd.home import runs_folder

from ..state import QUIET, errors_shown

PLAN = "mini"
"""What is chosen at first."""


def layout(elem_id: str, min_width: int = 120, measured: bool = True) -> gr.Dropdown:
    """A choice whose value is the name of a plan; ``measured``: of one with records."""
    return gr.Dropdown(_names(measured), value=PLAN, label="Plan", elem_id=elem_id, min_width=min_width)


def connect(tab: gr.Tab, choice: gr.Dropdown, measured: bool = True) -> None:
    """Have the plans be listed anew when the tab is opened."""
    tab.select(lambda: gr.update(choices=_names(measured)), None, choice, **QUIET)


def _names(measured: bool) -> list[str]:
    return [name for name in available_plans() if has_records(name) or not measured]


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


def readable(name: str) -> Results | None:
    """The same, or None where it cannot be read: the views that show it say why when they are opened."""
    try:
        return load_results(_source(name))
    except UserError:
        return None


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
    with errors_shown(f"{runs_folder()}{os.sep}", f"{MEASURED}{os.sep}"):
        yield

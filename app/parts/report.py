"""A part of the Compare tab: what is seen as one HTML file, to be given to others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.data.examples import example
from mtkd.explore import Comparison
from mtkd.explore.report import Report

from ..server.queue import COMPUTING
from ..state import PRIVATE, Shared, errors_shown
from .messages import errors_in, no_comparison, notice

_SAVE = "(problem) => { if (!problem) document.querySelector('#report-file').click(); }"


def build(shared: Shared) -> None:
    """Lay out the button and connect it."""
    button = gr.Button("Download report", size="sm", elem_id="report")
    file = gr.DownloadButton(visible="hidden", elem_id="report-file")
    note = gr.HTML(visible=False, apply_default_css=False, elem_id="report-note")

    def make(comparison: Comparison | None, name: str | None, upload: str) -> dict[Any, Any]:
        """Write the report of the comparison."""
        if comparison is None:
            raise no_comparison()
        title = example(name).title if name else Path(upload or "photo").stem
        path = shared.pictures.group("report").folder / "report.html"
        with errors_shown(str(path)), shared.turns, Report(path, largest=sys.maxsize) as report:
            report.add(title, comparison)
        return {file: str(path), note: notice("")}

    inputs = [shared.comparison, shared.bar.example, shared.bar.kept]
    for_people = errors_in(make, lambda message: {note: notice(message)})
    made = button.click(for_people, inputs, [file, note], show_progress="minimal", **PRIVATE, **COMPUTING)
    made.success(None, note, None, js=_SAVE, **PRIVATE)

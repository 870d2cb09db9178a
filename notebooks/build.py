"""Run the notebooks and store them with static outputs: ``python notebooks/build.py [NAME...]``.

The source of a notebook is its ``.py`` file (jupytext, percent format). The ``.ipynb`` beside it is made here: its
pictures and tables read well without running, and no widget state or JavaScript is stored in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
LIVE = (
    "application/vnd.jupyter.widget-view+json",
    "application/vnd.plotly.v1+json",
    "application/javascript",
)


def sources() -> list[Path]:
    """The notebooks' source files, in the order of the course."""
    return sorted(HERE.glob("[0-9]*.py"))


def execute(source: Path, change: Callable[[nbformat.NotebookNode], None] | None = None) -> nbformat.NotebookNode:
    """Run one notebook from top to bottom and keep its static outputs; an error in a cell is raised.

    ``change`` may change its cells before.
    """
    notebook = jupytext.read(source)
    if change:
        change(notebook)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", store_widget_state=False)
    client.execute(cwd=str(HERE))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if any(kind in output.get("data", {}) for kind in LIVE):
                output.data = {"text/markdown": "*(interactive: comes alive when the notebook is run)*"}
            if "data" in output:
                output.data.pop("image/jpeg", None)  # pictures are judged here: PNG only
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("jupytext", {}).pop("formats", None)  # with it, saving in JupyterLab would write the source
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main(names: list[str]) -> None:
    """Build the named notebooks, or all."""
    for source in sources():
        if not names or source.stem in names:
            nbformat.write(execute(source), source.with_suffix(".ipynb"))
            print(source.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main(sys.argv[1:])

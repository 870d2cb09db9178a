"""Every notebook runs from top to bottom, is stored in step with its source, and stays small."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import jupytext
import nbformat
import pytest

from mtkd.course.exercises import of_lesson

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9]*.py"))
QUICK = "04_wavelets"
"""The one that the fast run executes."""


def builder():
    spec = importlib.util.spec_from_file_location("notebooks_build", NOTEBOOKS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(notebook, cells: str) -> dict[str, list[str]]:
    """What the code cells that hold a pattern printed or wrote, by their source as it is stored."""
    return {
        cell.source.replace("FAST = True", "FAST = False"): [
            output.get("text") or output.get("data", {}).get("text/markdown") for output in cell.get("outputs", [])
        ]
        for cell in notebook.cells
        if cell.cell_type == "code" and re.search(cells, cell.source)
    }


WIDGETS = """
from ipywidgets import interactive
from mtkd.course.picker import AttributionPicker

def other(child):
    if hasattr(child, "options"):
        values = [value for _, value in child._options_full]
        return next(value for value in reversed(values) if value != child.value)
    if isinstance(child.value, bool):
        return not child.value
    return child.max if child.value != child.max else child.min

for name, widget in list(globals().items()):
    if isinstance(widget, interactive):
        for child in widget.kwargs_widgets:
            widget.update()
            before = widget.result
            child.value = other(child)
            assert widget.result is not None and widget.result is not before, (name, child)
    if isinstance(widget, AttributionPicker):
        for place in ([40, 40, 16, 16], [80, 64, 16, 16]):
            widget.viewer.view = {**widget.viewer.view, "region": place}
            assert (widget.answer.window.top, widget.answer.window.left) == tuple(place[:2])
        before = widget.answer
        widget.model.value = other(widget.model)
        assert widget.answer is not before and widget.answer.model == widget.model.value
"""
"""Moves every control of a notebook's widgets once, and sees that the picture follows."""


def exercises(notebook) -> list[tuple[int, str, str, str]]:
    """(number of the cell, id, its line with `check`, the solution's code) of every exercise."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source.startswith("# Exercise"):
            after = notebook.cells[number + 1].source
            assert after.startswith("<details><summary>Solution</summary>\n\n"), after
            solution = re.search(r"```python\n(.*?)```", after, re.DOTALL)[1]
            name = re.match(r"# Exercise (\d\d\.\d):", cell.source)[1]
            checks = [line for line in cell.source.splitlines() if line.startswith(f'check("{name}", ')]
            assert len(checks) == 1, cell.source
            found.append((number, name, checks[0], solution))
    return found


def with_solutions(notebook) -> None:
    """The notebook as its tests run it: short trainings, solutions tried, widgets moved."""
    for number, name, checking, solution in reversed(exercises(notebook)):
        right = f"from mtkd.course.grade.session import _last\nassert _last[{name!r}].right, _last[{name!r}]"
        notebook.cells.insert(number + 1, nbformat.v4.new_code_cell(f"{solution}\n{checking}\n{right}"))
    for cell in notebook.cells:
        cell.source = re.sub("^FAST = False", "FAST = True", cell.source, flags=re.MULTILINE)
    notebook.cells.append(nbformat.v4.new_code_cell(WIDGETS))


TRAINING = {"10_your_own_method", "11_your_own_teachers"}
EXECUTED = [
    pytest.param(
        s, marks=pytest.mark.slow if s.stem in TRAINING else () if s.stem == QUICK else pytest.mark.sweep, id=s.stem
    )
    for s in SOURCES
]


@pytest.mark.parametrize("source", EXECUTED)
def test_runs_with_its_solutions_and_widgets(source):
    notebook = builder().execute(source, with_solutions)
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert pictures
    stored = jupytext.read(source.with_suffix(".ipynb"))
    of_records = "" if source.stem == "09_findings" else r"\b(report|records|agreements|held_out_by_step|conclusion)\b"
    now = said(notebook, of_records)
    for cell, text in said(stored, of_records).items():  # what is stored is what the records say now
        assert text == now[cell], cell
    assert now or source.stem[:2] in ("00", "01", "08", "10")


@pytest.mark.parametrize("source", [s for s in SOURCES if "01" <= s.stem[:2] <= "08"], ids=lambda path: path.stem)
def test_a_lesson_has_its_parts(source):
    notebook = jupytext.read(source)
    lesson = source.stem[:2]
    assert [name for _, name, *_ in exercises(notebook)] == [one.id for one in of_lesson(lesson)]
    assert any(cell.source == f'progress("{lesson}")' for cell in notebook.cells)
    assert "**Goal.**" in notebook.cells[0].source and "minutes" in notebook.cells[0].source
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "*In the paper:*" in text and "*In the code:*" in text
    for path in re.findall(r"\]\((\.\./[^)#]+)", text):
        assert (NOTEBOOKS / path).is_file(), path


@pytest.mark.parametrize(
    "name",
    ["Eq. 1", "Eq. 2", "Eq. 3", "Eq. 4", "Sec. 3.1.1", "Sec. 3.1.2", "Table 1", "Table 5", "Fig. 4"],
)
def test_each_formula_of_the_paper_has_its_check(name):
    """Some heading names it, and an assertion stands in one of the next three cells."""
    for source in SOURCES:
        cells = jupytext.read(source).cells
        for number, cell in enumerate(cells):
            titles = [t for t in cell.source.splitlines() if t.startswith("#") and cell.cell_type == "markdown"]
            named = any(re.search(re.escape(name) + r"(?!\d)", title) for title in titles)
            following = cells[number + 1 : number + 4]
            if named and any(c.cell_type == "code" and "assert" in c.source for c in following):
                return
    pytest.fail(f"no heading with {name} is followed by an assertion")


def test_the_course_imports_only_what_its_extra_installs():
    """`make lab` installs the project with the extra `notebooks`, not the tests' packages."""
    project = tomllib.loads((NOTEBOOKS.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["notebooks"], *extras["explain"], "IPython"]  # IPython: of ipywidgets
    declared = {re.split(r"[^\w-]", one)[0].lower() for one in asked}
    known = packages_distributions()
    for path in [*SOURCES, *(NOTEBOOKS.parent / "mtkd" / "course").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in {one.split(".")[0] for one in names} - sys.stdlib_module_names - {"mtkd"}:
                assert {one.lower() for one in known.get(name, [])} & declared, f"{path.name} imports {name}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_stored_notebook_is_in_step_with_its_source(source):
    stored = jupytext.read(source.with_suffix(".ipynb"))
    expected = jupytext.read(source)
    assert [(c.cell_type, c.source) for c in stored.cells] == [(c.cell_type, c.source) for c in expected.cells]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_stored_notebook_is_small_and_static(source):
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size < 1_000_000
    content = json.loads(path.read_text())
    assert "widgets" not in content["metadata"]
    outputs = [o for cell in content["cells"] for o in cell.get("outputs", [])]
    assert outputs and not any(o["output_type"] == "error" for o in outputs)
    kinds = {kind for o in outputs for kind in o.get("data", {})}
    assert kinds <= {"text/plain", "text/markdown", "image/png", "text/html"}


@pytest.mark.parametrize("source", [s for s in SOURCES if s.stem[:2] >= "10"], ids=lambda path: path.stem)
def test_a_later_lesson_has_its_parts_and_words_for_its_pictures(source):
    cells = nbformat.read(source.with_suffix(".ipynb"), 4).cells
    assert "**Goal.**" in cells[0].source and "**Time.**" in cells[0].source and "*In the code:*" in cells[0].source
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert "points |" in text  # an open question or project, with its rubric
    for path in re.findall(r"\]\((\.\./[^)#]+)", text):
        assert (NOTEBOOKS / path).is_file(), path
    shown = [o for cell in cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert shown and all(len(o.metadata["image/png"]["alt"]) > 20 for o in shown)


@pytest.mark.parametrize("source", [s for s in SOURCES if s.stem[:2] <= "09"], ids=lambda path: path.stem)
def test_every_picture_has_alt_text_and_every_lesson_a_next_one(source):
    notebook = jupytext.read(source.with_suffix(".ipynb"))
    pictures = [o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    for output in pictures:
        assert len(output.metadata["image/png"]["alt"]) > 15
    following = SOURCES[SOURCES.index(source) + 1]
    last = [cell for cell in notebook.cells if cell.cell_type == "markdown"][-1]
    assert "Next:" in last.source and f"({following.stem}.ipynb)" in last.source
    conclusions = [cell for cell in notebook.cells if f'Markdown(conclusion("{source.stem[:2]}"))' in cell.source]
    assert len(conclusions) == (source.stem[:2] >= "03")

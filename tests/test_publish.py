"""Slides and copies of the course: made from the stored notebooks, complete, and without a network."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
pytest.importorskip("latex2mathml")  # of the extra notebooks


@pytest.fixture(scope="module")
def publish():
    spec = importlib.util.spec_from_file_location("notebooks_publish", NOTEBOOKS / "publish.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def picture(alt: str):
    return new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": alt}})


@pytest.fixture
def notebook():
    solution = "<details><summary>Solution</summary>\n\n```python\nanswer = 41\n```\n\nIt is prime.\n</details>"
    return new_notebook(
        cells=[
            new_markdown_cell("# A lesson\n\nFirst sentence. Second sentence.\n\n$$ a < b $$"),
            new_code_cell("draw()", outputs=[picture("one <picture>"), picture("another")]),
            new_markdown_cell("## Part\n\nSaid. And why.\n\n- one\n- two\n\nMore, with [code](../mtkd/x.py)."),
            new_code_cell("shown = 1", metadata={"tags": ["code"]}),
            new_markdown_cell("Only said.", metadata={"tags": ["notes"]}),
            new_markdown_cell("## Left out", metadata={"tags": ["skip"]}),
            new_code_cell('# Exercise 1\nanswer = ...\ncheck("1", answer)', outputs=[picture("judgement")]),
            new_markdown_cell(solution),
        ]
    )


def test_headings_begin_slides_and_text_becomes_notes(publish, notebook) -> None:
    first, second, third = publish.slides(notebook)
    assert "A lesson" in first.title and second.title == first.title and "Part" in third.title
    shown, said = "".join(first.shown), "".join(first.notes)
    assert "First sentence." in shown and "Second sentence." in said and "Second" not in shown
    assert "<math" in shown and "$" not in shown and 'alt="one &lt;picture&gt;"' in shown  # a picture a slide
    assert 'alt="another"' in "".join(second.shown)
    shown, said = "".join(third.shown), "".join(third.notes)
    assert "<li>one</li>" in shown and "shown" in shown and "And why." in said and "Only said." in said
    assert "href" not in said and "<code" not in said
    deck = publish.deck(notebook, "A lesson")
    assert not any(text in deck for text in ("41", "Left out", "judgement"))


def test_copies_for_students_and_with_solutions(publish, notebook) -> None:
    before = nbformat.writes(notebook)
    student, solved = publish.student(notebook), publish.solved(notebook)
    assert nbformat.writes(notebook) == before
    assert not any(cell.get("outputs") for cell in student.cells) and "answer = 41" not in nbformat.writes(student)
    assert "# Exercise 1" in nbformat.writes(student)
    exercise, solution = solved.cells[-2:]
    assert exercise.source == '# Exercise 1\nanswer = 41\n\ncheck("1", answer)' and not exercise.outputs
    assert solution.source == "**Solution.** It is prime."
    assert solved.cells[1].outputs and "../mtkd" not in nbformat.writes(solved)
    nbformat.validate(student)
    nbformat.validate(solved)


def test_code_and_prices_are_no_formulas(publish) -> None:
    made = publish.rendered("`$a$` costs 5$ or 6$, and $x_1$ is $$y$$\n\n```\n$b$\n```")
    assert made.count("<math") == 2 and "$a$" in made and "$b$" in made and "5$ or 6$" in made


LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("lessons", [LESSONS[-1:], pytest.param(LESSONS, marks=pytest.mark.slow)], ids=["one", "all"])
def test_lessons_are_published_whole(publish, lessons: list[str], tmp_path: Path) -> None:
    decks = publish.main("slides", lessons, tmp_path)
    pages = publish.main("course", lessons, tmp_path)
    assert [path.stem for path in decks] == lessons and len(pages) == 4 * len(lessons)
    for path in [*decks, *(page for page in pages if page.suffix == ".html")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'(?:src|srcset)="(?!data:)|<link|@import|url\((?!data:)', text), path
        assert re.search(r"<h[12][^>]*>\S", text) and "FORMULA" not in text, path
    for path in (page for page in pages if page.suffix == ".ipynb"):
        copied = nbformat.read(path, 4)
        nbformat.validate(copied)
        if path.parent.name == "solutions":
            for source in (cell.source for cell in copied.cells if cell.source.startswith("# Exercise")):
                ast.parse(source)
                assert not re.search(r"(?:=|return) \.\.\.", source), source


def test_stored_notebooks_do_not_name_their_sources() -> None:
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        assert "formats" not in nbformat.read(path, 4).metadata.get("jupytext", {}), path.name


@pytest.mark.parametrize("named", [False, True])
def test_saving_in_a_jupyterlab_with_jupytext(named: bool, tmp_path: Path) -> None:
    """A notebook that names its source overwrites it; those that are stored leave it as it is."""
    from jupytext import TextFileContentsManager  # what jupytext puts in place of JupyterLab's own

    for suffix in (".py", ".ipynb"):
        shutil.copy(NOTEBOOKS / f"00_start_here{suffix}", tmp_path)
    source = tmp_path / "00_start_here.py"
    before = source.read_text(encoding="utf-8")
    contents = TextFileContentsManager(root_dir=str(tmp_path))
    model = contents.get("00_start_here.ipynb")
    model["content"].cells[0].source += "\n\nAn answer of a student."
    if named:
        model["content"].metadata.setdefault("jupytext", {})["formats"] = "ipynb,py:percent"
    contents.save(model, "00_start_here.ipynb")
    assert "An answer" in (tmp_path / "00_start_here.ipynb").read_text(encoding="utf-8")
    assert (source.read_text(encoding="utf-8") != before) == named


@pytest.mark.sweep
def test_slides_in_a_browser(publish, browser, tmp_path: Path) -> None:
    (path,) = publish.main("slides", ["11_your_own_teachers"], tmp_path)
    page = browser.new_page(1280, 720)
    before = len(browser.external_requests())
    page.goto(path.as_uri())
    count = page.locator("section").count()
    assert page.locator("section.now h1").is_visible() and count > 8
    page.keyboard.press("ArrowRight")
    assert page.locator("section.now").count() == 1 and page.url.endswith("#2")
    page.keyboard.press("n")
    with_notes = page.evaluate(
        "[...document.querySelectorAll('section')].findIndex((one) => one.querySelector('.notes'))"
    )
    for _ in range(with_notes - 1):
        page.keyboard.press("ArrowRight")
    assert page.locator("section.now .notes").is_visible()
    with page.context.expect_page() as opened:
        page.keyboard.press("p")
    speaker = opened.value
    speaker.wait_for_selector("section.now .notes")
    page.keyboard.press("End")
    speaker.wait_for_function(f"document.querySelector('#place').textContent === '{count} / {count}'")
    speaker.keyboard.press("Home")
    page.wait_for_function("document.querySelector('#place').textContent.startsWith('1 /')")
    hidden = page.evaluate(
        "[...document.querySelectorAll('section')].filter((one, number) => (go(number),"
        " one.scrollHeight > one.clientHeight + 1 || [...one.querySelectorAll('img')].some((img) => img.height < 60)))"
        ".map((one) => one.innerText.slice(0, 40))"
    )
    assert hidden == []  # what a slide shows fits the window
    page.keyboard.press("o")
    assert page.locator("section").nth(3).is_visible()
    page.set_viewport_size({"width": 390, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.external_requests()[before:] == []
    page.context.close()

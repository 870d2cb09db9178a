"""Slides and copies of the course that need no network: ``python notebooks/publish.py slides|course [NAME...]``.

``slides`` writes ``build/slides/NAME.html``, one file a lesson, from the stored notebooks. A heading begins a slide.
Shown are headings, the first sentence below them, formulas, lists, tables and pictures; the rest becomes the notes.
Tags of a cell overrule this: ``slide`` (all of it is shown), ``notes``, ``skip``, ``code`` (its source is shown).

``course`` writes ``build/course/student`` (no outputs, no solutions) and ``build/course/solutions`` (as stored, the
solutions filled in), each as notebooks and as HTML.

Formulas become MathML, which browsers draw themselves.
"""

from __future__ import annotations

import copy
import html
import itertools
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from nbconvert.filters import Highlight2HTML, markdown2html
from pygments.formatters import HtmlFormatter

HERE = Path(__file__).parent
BUILD = HERE.parent / "build"
DECK = HERE / "deck"
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\\w])\$([^$]+?)\$(?!\d)", re.DOTALL)
SENTENCE = re.compile(r".+?(?<!Sec)(?<!Secs)(?<!Fig)(?<!Eq)(?<!Eqs)[.?!](?=\s+[A-Z*`$]|\s*$)", re.DOTALL)
ASKED = re.compile(r"^(?:check|progress)\(", re.MULTILINE)
"""A cell that checks an answer, or counts the right ones."""
SOLUTION = "<details><summary>Solution"
LONG = 300
"""Characters of a list that takes a slide as a picture does."""
MANY = 3
"""Parts on a slide that leave no place for a picture."""
LIVE = "*(interactive: comes alive when the notebook is run)*"
Notebook = Any


# --- from markdown to HTML


def rendered(text: str, suffix: str = ".html") -> str:
    """Markdown as HTML: formulas as MathML, links to lessons as ``suffix`` files, links out of the course as text."""
    formulas: list[str] = []

    def keep(found: re.Match[str]) -> str:
        display = "block" if found[1] else "inline"
        formulas.append(convert((found[1] or found[2]).strip(), display=display))
        return f"FORMULA{len(formulas) - 1}ELUMROF"

    kept, last = [], 0
    for code in CODE.finditer(text):
        kept += [FORMULA.sub(keep, text[last : code.start()]), code[0]]
        last = code.end()
    body = str(markdown2html("".join([*kept, FORMULA.sub(keep, text[last:])])))
    body = re.sub(r'<a href="\.\./[^"]*">(.*?)</a>', r"\1", body, flags=re.DOTALL)
    body = re.sub(r'(<a href="[\w-]+)\.ipynb', rf"\1{suffix}", body)
    body = re.sub(r'<a class="anchor-link".*?</a>', "", body)
    return re.sub(r"FORMULA(\d+)ELUMROF", lambda found: formulas[int(found[1])], body)


def source(cell: Notebook) -> str:
    """The code of a cell, coloured."""
    return f'<div class="code">{Highlight2HTML()(cell.source, "python")}</div>'


def outputs(cell: Notebook) -> list[str]:
    """What a cell showed, each as HTML; nothing of what only comes alive when it runs."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
            found.append(f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{alt}">')
        elif data.get("text/markdown", LIVE) != LIVE:
            found.append(rendered(data["text/markdown"]))
        elif text := (output.get("text") or (data["text/plain"] if set(data) == {"text/plain"} else "")).strip():
            found.append(f"<pre>{html.escape(text)}</pre>")
    return found


def page(title: str, body: str, *more: str, scripts: Iterable[str] = ()) -> str:
    """One HTML file with everything in it."""
    styles = "\n".join([colours(), *(((DECK / name).read_text(encoding="utf-8")) for name in ("page.css", *more))])
    script = "\n".join((DECK / name).read_text(encoding="utf-8") for name in scripts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{styles}</style></head>\n<body>{body}\n<script>{script}</script></body></html>\n"
    )


def colours() -> str:
    """The colours of code."""
    return str(HtmlFormatter().get_style_defs(".highlight"))


# --- slides


@dataclass
class Slide:
    """One slide: its title, what it shows and what is said, as HTML."""

    title: str
    shown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    full: bool = False
    """It holds a picture, a table or a long list; the next one begins a slide of its own."""


def blocks(text: str) -> list[str]:
    """The parts of a markdown text between blank lines; folded parts and code stay whole."""
    whole = re.findall(r"<details>.*?</details>|```.*?```|(?:(?!\n\s*\n|<details>|```).)+", text, flags=re.DOTALL)
    return [part.strip() for part in whole if part.strip()]


def slides(notebook: Notebook) -> list[Slide]:
    """The slides of a lesson."""
    made = [Slide("")]

    def show(part: str, large: bool = False) -> None:
        if large and (made[-1].full or len(made[-1].shown) >= MANY):
            made.append(Slide(made[-1].title))
        made[-1].shown.append(part)
        made[-1].full |= large

    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "skip" in tags or ASKED.search(cell.source):
            continue
        if cell.cell_type == "markdown":
            for part in blocks(cell.source):
                _place(part, tags, made, show)
        elif cell.cell_type == "code":
            if "code" in tags:
                show(source(cell), large=True)
            for output in outputs(cell):
                show(output, large=len(output) > LONG or bool(re.search(r"<img|<table|^<pre>(?:.*\n){6}", output)))
    return [slide for slide in made if slide.title or slide.shown]


def _place(part: str, tags: list[str], made: list[Slide], show: Callable[..., None]) -> None:
    """Put one block of text on a slide, or among its notes."""
    heading = re.match(r"(#+) (.+)(?:\n(.*))?", part, flags=re.DOTALL)
    if heading:
        made.append(Slide(rendered(re.sub(r"^(\d+)\.", r"\1\\.", heading[2].strip()))))
        part = (heading[3] or "").strip()
        if not part:
            return
    bare = not made[-1].shown and not made[-1].notes
    if part.startswith(SOLUTION):
        return
    if part.startswith(("<details>", "*In the ")) or "notes" in tags:
        made[-1].notes.append(rendered(part))
    elif re.match(r"\|", part):
        show(rendered(part), large=True)
    elif "slide" in tags or re.match(r"```|\$\$|- |\d+\. ", part):
        show(rendered(part), large=len(part) > LONG)
    elif bare:
        first = SENTENCE.match(part)
        made[-1].shown.append(rendered(first[0] if first else part))
        rest = part[len(first[0]) :].strip() if first else ""
        if rest:
            made[-1].notes.append(rendered(rest))
    else:
        made[-1].notes.append(rendered(part))


def deck(notebook: Notebook, title: str) -> str:
    """The slides of a lesson as one HTML file."""
    parts = []
    for number, slide in enumerate(slides(notebook), 1):
        level = "h1" if number == 1 else "h2"
        head = re.sub(r"</?p>", "", slide.title).strip()
        notes = f'<aside class="notes">{"".join(slide.notes)}</aside>' if slide.notes else ""
        shown = "\n".join(slide.shown)
        parts.append(f'<section><{level}>{head}</{level}><div class="shown">{shown}</div>{notes}</section>')
    return page(f"{title}: slides", f"<main>{''.join(parts)}</main>", "deck.css", scripts=["deck.js"])


# --- copies for students and lecturers


def student(notebook: Notebook) -> Notebook:
    """A copy without outputs and solutions."""
    copied = copy.deepcopy(notebook)
    copied.cells = [cell for cell in copied.cells if not cell.source.startswith(SOLUTION)]
    for cell in copied.cells:
        _unlinked(cell)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copied


def solved(notebook: Notebook) -> Notebook:
    """A copy with outputs, in which the solutions are filled in; what they say is unfolded."""
    copied = copy.deepcopy(notebook)
    for cell in copied.cells:
        _unlinked(cell)
    for cell, after in itertools.pairwise(copied.cells):
        if after.source.startswith(SOLUTION):
            inside = re.sub(r"<details><summary>(.*?)</summary>\s*|</details>", "", after.source)
            code = re.search(r"```python\n(.*?)```", inside, flags=re.DOTALL)
            if code and cell.cell_type == "code":
                lines = cell.source.splitlines()
                head = itertools.takewhile(lambda line: line.startswith("#"), lines)
                cell.source = "\n".join([*head, code[1].rstrip(), "", *(line for line in lines if ASKED.match(line))])
                cell.outputs, inside = [], inside.replace(code[0], "")
            after.source = f"**Solution.** {inside.strip()}"
    return copied


def _unlinked(cell: Notebook) -> None:
    """Links that lead out of the folder would be dead in a copy: their text stays."""
    if cell.cell_type == "markdown":
        cell.source = re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", cell.source)


def lesson(notebook: Notebook, title: str) -> str:
    """A notebook as one HTML file."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(rendered(cell.source))
        elif cell.cell_type == "code":
            parts += [source(cell), *outputs(cell)]
    return page(title, f"<main class=lesson>{''.join(parts)}</main>")


def title_of(notebook: Notebook) -> str:
    """The first heading."""
    found = re.search(r"^# (.+)$", notebook.cells[0].source, flags=re.MULTILINE)
    return found[1] if found else "Lesson"


def main(what: str, names: list[str], build: Path = BUILD) -> list[Path]:
    """Write slides or copies of the named lessons, or of all; returns the files."""
    written = []

    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)

    for path in sorted(HERE.glob("[0-9]*.ipynb")):
        if names and path.stem not in names:
            continue
        notebook = nbformat.read(path, 4)
        title = title_of(notebook)
        if what == "slides":
            write(build / "slides" / f"{path.stem}.html", deck(notebook, title))
            continue
        for folder, made in (("student", student(notebook)), ("solutions", solved(notebook))):
            write(build / "course" / folder / path.name, nbformat.writes(made))
            write(build / "course" / folder / f"{path.stem}.html", lesson(made, title))
    return written


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("slides", "course"):
        raise SystemExit("usage: python notebooks/publish.py slides|course [NAME...]")
    for file in main(sys.argv[1], sys.argv[2:]):
        print(file.relative_to(BUILD.parent))

"""README and docs: short, linked, without dead links; what is generated is in step with the records."""

from __future__ import annotations

import importlib.util
import io
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from mtkd.cli.main import app

ROOT = Path(__file__).parents[1]
README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LONG = {"results.md", "spec.md"}
"""A generated page, and the specification."""
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its blocks and spans of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]+`", "code", text)


def anchors(page: Path) -> set[str]:
    """The anchors that a host of git repositories makes of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def dead(page: Path) -> list[str]:
    """The links of a page that lead to no file or heading."""
    found = []
    for link in LINK.findall(prose(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_dead_links_are_seen(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# Large `images`, and more\n```\n# no heading\n```\n", encoding="utf-8")
    wrong = ["gone.md", "#nothing", "other.md#no-heading"]
    right = ["other.md", "other.md#large-images-and-more", "https://example.org/gone", "#page"]
    page.write_text("# Page\n`[code](code.md)`\n" + " ".join(f"[link]({to})" for to in wrong + right), encoding="utf-8")
    assert dead(page) == wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_opens_with_its_question(page: Path) -> None:
    if page.name not in LONG:
        assert page.stat().st_size <= 12 << 10
    assert re.match(r"# .+\n\n\*[^*]+\?\*\n", page.read_text(encoding="utf-8"))


def test_the_readme_is_a_front_door() -> None:
    assert README.stat().st_size <= 8192
    first_screen = README.read_text(encoding="utf-8").split("\n## ")[0]
    assert "make demo" in first_screen and "make test" in first_screen and "docs/images/" in first_screen


def test_the_index_links_every_page() -> None:
    linked = set(LINK.findall(prose(DOCS / "index.md")))
    assert {page.relative_to(DOCS).as_posix() for page in PAGES} - {"index.md"} <= linked


# --- commands that a page names


def unknown(line: str) -> str | None:
    """What of an ``mtkd ...`` command line the program does not know: a command, an option; None if all."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    while True:
        options = {name for param in command.params for name in param.opts + param.secondary_opts}
        while words and words[0] in options:  # those before the command take a value
            words = words[2:] if words[0] == "--plugin" else words[1:]
        if not hasattr(command, "commands") or not words or words[0].startswith("-"):
            break
        if words[0] not in command.commands:
            return words[0]
        command, words = command.commands[words[0]], words[1:]
    return next((word for word in words if word.startswith("-") and word not in options | {"--help"}), None)


def commands(page: Path) -> list[str]:
    """The ``mtkd`` commands in a page's code that are written out: with no COMMAND or TABLE... to be replaced."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [part for block in blocks for line in block.splitlines() for part in line.partition("  #")[0].split("&&")]
    spans = re.findall(r"`((?:\.venv/bin/)?mtkd [^`]+)`", text)
    written = [re.sub(r"^(?:\w+=\S+ )*(?:\.venv/bin/)?(?=mtkd )", "", line.strip()) for line in [*lines, *spans]]
    return [line for line in written if line.startswith("mtkd ") and not re.search(r"\.\.\.|\[|COMMAND", line)]


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page: Path) -> None:
    assert [line for line in commands(page) if unknown(line)] == []


def test_unknown_commands_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    right = [
        "MTKD_ZOO=runs mtkd demo",
        "mtkd models fetch rcan --scale 4  # by hand",
        "mtkd --plugin a.py train b --out c",
    ]
    wrong = ["mtkd upscal a.png", "mtkd models fetch --sclae 4", "mtkd data fetched set5"]
    page.write_text("```\n" + "\n".join(right + wrong) + "\n```\nand `mtkd score A B --gone`\n", encoding="utf-8")
    found = commands(page)
    assert len(found) == 7 and [line for line in found if unknown(line)] == [*wrong, "mtkd score A B --gone"]


# --- what docs/build.py makes


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_show_the_records(build) -> None:
    assert (DOCS / "results.md").read_text(encoding="utf-8") == build.results()
    readme = README.read_text(encoding="utf-8")
    assert build.fill(readme, "headline", build.headline()) == readme


@pytest.mark.sweep
def test_the_readmes_picture_shows_what_the_networks_make(build) -> None:
    stored = DOCS / "images" / "flicker.webp"
    assert stored.stat().st_size <= 256 << 10
    with Image.open(stored) as shown, Image.open(io.BytesIO(build.flicker())) as made:
        assert shown.n_frames == made.n_frames == len(build.SHOWN)
        for frame in range(made.n_frames):
            shown.seek(frame)
            made.seek(frame)
            before, now = (np.asarray(picture.convert("RGB"), dtype=float) for picture in (shown, made))
            assert abs(before - now).mean() < 0.1


@pytest.mark.sweep
def test_the_pair_is_measured_as_the_page_says(build) -> None:
    page = (DOCS / "numbers.md").read_text(encoding="utf-8")
    assert build.fill(page, "conventions", build.conventions()) == page


def test_a_marker_that_is_missing(build) -> None:
    assert build.fill("a\n<!-- x -->\nold\n<!-- /x -->\nb", "x", r"new \1") == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb"
    with pytest.raises(ValueError, match="no <!-- x -->"):
        build.fill("nothing", "x", "new")

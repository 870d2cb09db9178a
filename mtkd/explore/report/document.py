"""A report as HTML: one file, or a folder where that would be too large. Opens from disk, in any browser, offline."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from mtkd import __version__, networks
from mtkd.errors import Unwritable, UserError
from mtkd.explore.comparison.core import LR, TRUTH, Comparison
from mtkd.explore.comparison.outputs import loaded
from mtkd.explore.report import entries
from mtkd.explore.viewer import plain, script, style
from mtkd.files import write_text
from mtkd.metrics import spec

LARGEST = 30_000_000
"""Bytes of a report that is one file. A larger one becomes a folder, whose pictures load when they are looked at."""
MARK = "mtkd-report"
"""In the head of every page that is written here: a folder that holds such a page may be written anew."""


class Report:
    """Comparisons of the same models on one picture or several, written picture by picture.

    ``with Report(path) as report: report.add(title, comparison)``. Nothing stands at ``path`` before the end, and
    after an error what stood there before. :attr:`written` is what was written.

    Args:
        path: the HTML file; its name without the suffix is that of the folder that a large report becomes.
        title: what stands at its head.
        baseline: name of the model over which gains are given; without, a student alone, else bicubic, else the first.
        largest: bytes of one file.
        sections: HTML between the head and the pictures.

    Raises:
        UserError: the place is taken by something that is no report.
        Unwritable: the folder cannot be written to.
    """

    def __init__(
        self, path: Path, title: str = "", baseline: str | None = None, largest: int = LARGEST, sections: str = ""
    ) -> None:
        self.path = path if path.suffix.lower() in (".html", ".htm") else path.with_name(f"{path.name}.html")
        self.title, self.baseline, self.largest, self.sections = title, baseline, largest, sections
        self.written: Path | None = None
        self._contents: list[dict[str, Any]] = []
        self._first: Comparison | None = None
        self._size = 0
        _check_place(self.path, self.folder)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._work = Path(tempfile.mkdtemp(prefix=f".{self.path.stem[:40]}.", dir=self.path.parent))
        except OSError as error:
            raise Unwritable(f"{self.path}: cannot be written ({error.strerror})") from error

    @property
    def folder(self) -> Path:
        """What a large report becomes."""
        return self.path.with_suffix("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._contents:
                self.written = self._write()
        finally:
            shutil.rmtree(self._work, ignore_errors=True)

    def add(self, title: str, comparison: Comparison) -> None:
        """One more picture.

        Raises:
            UserError: another scale or kind than the first, or no model in common with it.
            Unwritable: the disk is full.
        """
        first = self._first or comparison
        if (comparison.scale, comparison.hr_image is None) != (first.scale, first.hr_image is None):
            raise UserError(f"{title}: scale and ground truth must be as in the first picture of the report")
        entry = entries.entry(title, comparison)
        if self._contents and not entries.names([*self._contents, entry.content]):
            raise UserError(f"{title}: no model in common with the first picture of the report")
        text = f"mtkdPictures({len(self._contents)}, {_json(entry.pictures)});\n"
        self._save(f"pictures/{len(self._contents)}.js", text)
        self._size += len(text)
        self._contents.append(entry.content)
        self._first = self._first or _light(comparison)

    def _save(self, name: str, text: str) -> None:
        with _disk(self.path):
            path = self._work / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def _write(self) -> Path:
        page = self._size + len(_json(self._contents)) + len(self.sections) + 300_000
        if page <= self.largest:
            files = (self._work / f"pictures/{n}.js" for n in range(len(self._contents)))
            pictures = [f"<script>{file.read_text(encoding='utf-8')}</script>" for file in files]
            write_text(self.path, self._page(pictures))
            return self.path
        self._save("index.html", self._page([]))
        with _disk(self.folder):
            old = self._work.with_name(f"{self._work.name}.old")
            if self.folder.exists():
                self.folder.rename(old)
            self._work.rename(self.folder)
            shutil.rmtree(old, ignore_errors=True)
            self.folder.chmod(0o755)
        return self.folder

    def _page(self, pictures: list[str]) -> str:
        assert self._first is not None
        title = self.title or _title(self._contents, self._first.scale)
        mount = script().replace("export function mount", "function mount")
        viewer = f"const mount = (() => {{\n{mount}\nreturn mount;\n}})();"
        parts = "\n".join((viewer, plain("places"), _plain("metrics.js"), _plain("report.js")))
        code = f"(() => {{\n{parts}\nshowReport(mount);\n}})();"
        return _PAGE.format(
            mark=MARK,
            title=html.escape(title),
            style=style() + module("report.css"),
            about=html.escape(_about(self._first)),
            sections=self.sections,
            provenance=_provenance(self._first),
            data=_json(self._data(self._first, in_files=not pictures)),
            receive=module("pictures.js"),
            pictures="\n".join(pictures),
            script=code.replace("</script", "<\\/script"),
        )

    def _data(self, first: Comparison, in_files: bool) -> dict[str, Any]:
        names = entries.names(self._contents)
        likely = [name for name in entries.baselines(first) if name in names]
        if self.baseline is not None and self.baseline not in names:
            raise UserError(f"--baseline {self.baseline}: not among the models of the report: {', '.join(names)}")
        return {
            "scale": first.scale,
            "truth": TRUTH if first.hr_image is not None else None,
            "lr": LR,
            "crop": first.scale,
            "models": [one for one in entries.models(first) if one["name"] in names],
            "metrics": [
                {"name": name, "title": spec(name).title, "unit": spec(name).unit, "digits": spec(name).digits}
                for name in first.metrics
            ],
            "baseline": self.baseline or (likely[0] if likely else None),
            "inFiles": in_files,
            "images": self._contents,
        }


def _check_place(path: Path, folder: Path) -> None:
    """Nothing that is no report is written over."""
    if path.is_dir():
        raise UserError(f"{path}: a folder; give the name of an HTML file")
    if path.exists() and MARK not in path.read_bytes()[:2000].decode(errors="replace"):
        raise UserError(f"{path}: exists and is no report; choose another name")
    index = folder / "index.html"
    known = index.is_file() and MARK in index.read_bytes()[:2000].decode(errors="replace")
    if folder.exists() and not known:
        folder_holds = "a file" if folder.is_file() else "a folder that is no report"
        raise UserError(f"{folder}: {folder_holds}; choose another name")


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror or error})") from error


def _light(comparison: Comparison) -> Comparison:
    """The comparison without most of its pictures: their first pixels stand for them."""
    return comparison.stored(lambda _, image: image[:1, :1])


def _title(contents: list[dict[str, Any]], scale: int) -> str:
    what = contents[0]["title"] if len(contents) == 1 else f"{len(contents)} pictures"
    return f"{what}, ×{scale}"


def _about(comparison: Comparison) -> str:
    if comparison.hr_image is None:
        return f"Every picture was upscaled ×{comparison.scale}. There is no ground truth, so nothing is measured."
    return (
        f"Every picture was downscaled ×{comparison.scale} (MATLAB's bicubic) and upscaled again by each model. The "
        f"picture itself is the ground truth. Measured with {comparison.protocol}."
    )


def _provenance(comparison: Comparison) -> str:
    """Which weights and versions made it, as rows of a table."""
    rows = [("mtkd", __version__), ("Python", sys.version.split()[0]), ("PyTorch", version("torch"))]
    for result in comparison.results:
        title = result.title or result.name
        if result.role == "elsewhere":
            rows.append((title, "made by another program"))
        elif result.name in networks.baselines():
            rows.append((title, "no weights"))
        else:
            rows.append((title, f"{result.name}, weights {loaded(result.name, comparison.scale).weights}"))
    return "\n".join(f"<tr><th scope=row>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in rows)


def _json(content: Any) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def module(name: str) -> str:
    """A file of this package: a script as a module, or a style sheet."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache
def _plain(name: str) -> str:
    """A module as a part of a classic script."""
    return re.sub("^export ", "", module(name), flags=re.MULTILINE)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{mark}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
<header><h1>{title}</h1><p>{about}</p></header>
<noscript><p>This page needs JavaScript: it shows the pictures and computes the numbers of a region.</p></noscript>
{sections}
<nav id="gallery" aria-label="Pictures" hidden></nav>
<div id="viewer" class="mv"></div>
<p id="said" role="status" aria-live="polite"></p>
<div id="numbers"></div>
<section><h2>How it was made</h2><div class="wide"><table><tbody>
{provenance}
</tbody></table></div></section>
</main>
<script type="application/json" id="data">{data}</script>
<script>{receive}</script>
{pictures}
<script>
{script}
</script>
</body>
</html>
"""

"""An experiment as one HTML file: its tables, what its rows differ by, and its models on the example pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from PIL import Image

from mtkd import networks, zoo
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.experiments.tables import markdown
from mtkd.explore.comparison.core import compare
from mtkd.explore.evidence.charts import differences
from mtkd.explore.report.document import Report

MOST = 8
"""Models whose pictures a report holds: more make a page that nobody loads."""


def write(
    content: Mapping[str, Any],
    size: str,
    path: Path,
    sources: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the report of :func:`mtkd.experiments.tables.report` as a page, whole or not at all.

    Its pictures are those of the first table of which at least one model is here, at its largest scale.

    Args:
        size: name of the plan.
        path: the HTML file; over 30 MB it becomes a folder of that name.
        sources: folders of models that are looked up first.
        progress: called with how many pictures are done, of how many.

    Raises:
        UserError: the place is taken by something that is no report, or no model of the tables is here.
        Unwritable: the folder cannot be written to.
    """
    table, names = _shown(content, sources)
    body = MarkdownIt().enable("table").render(markdown(content, size).partition("\n")[2])
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    figures = "\n".join(_figures(content))
    pictures = f"{table['title']}, ×{table['scale']}: its models on the example pictures"
    sections = (
        f'<section class="experiment">{body}</section>\n'
        f'<section class="experiment"><h2>Differences</h2>{figures}</section>\n'
        f"<section><h2>Pictures</h2><p>{html.escape(pictures)}</p></section>"
    )
    with Report(path, f"Experiment {size}", sections=sections) as report:
        for done, one in enumerate(EXAMPLES):
            if progress:
                progress(done, len(EXAMPLES))
            report.add(one.title, compare(one.read(), names, table["scale"], sources=sources))
    assert report.written is not None  # pictures were added
    return report.written


def _shown(content: Mapping[str, Any], sources: Sequence[Path]) -> tuple[Mapping[str, Any], list[str]]:
    """A table, and the names of its models that are here: students before others, in its order."""
    for table in sorted(content["tables"], key=lambda one: -int(one["scale"])):
        here = {model.name: model.role for model in zoo.models(table["scale"], sources)}
        rows = [row["model"] for row in table["rows"] if row["measured"]]
        bases = [name for name in rows if name in networks.baselines()]
        names = sorted((name for name in rows if name in here), key=lambda name: here[name] != "student")
        if names:
            return table, list(dict.fromkeys([*bases, *names]))[:MOST]
    raise UserError("no model of these tables is on this computer; write the report without --html")


def _figures(content: Mapping[str, Any]) -> Iterator[str]:
    """What the rows of each table differ by, as pictures with a title."""
    for table in content["tables"]:
        pairs = [(row["first"], row["second"]) for row in table["differences"]]
        sets = [name for name in table["measured_sets"] if any(name in row["sets"] for row in table["differences"])]
        if pairs:
            title = html.escape(f"{table['title']}, ×{table['scale']}")
            chart = differences(content, table["table"], pairs, table["scale"], sets)
            yield f'<figure><figcaption>{title}</figcaption><img alt="{title}" src="{_address(chart)}"></figure>'


def _address(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.quantize(256).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"

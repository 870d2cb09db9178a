"""What was measured, for the page: answers in words, and the differences of the methods as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtkd.explore.evidence.results import load
from mtkd.explore.evidence.summary import answers

TABLES = ("table2", "table5")
"""Of one student each: the methods, and the parts of MTKD."""


def findings(folder: Path, scale: int) -> dict[str, Any] | None:
    """Draw the figures into a folder, and give what the page says: ``source``, ``answers``, ``figures``.

    Without the extra ``app`` there are no figures. None where nothing was measured at this scale.
    """
    results = load()
    said = answers(results, scale)
    if not said:
        return None
    return {
        "source": f"{len(results.records.runs)} runs",
        "answers": [{"question": one.question, "text": str(one).strip()} for one in said],
        "figures": _figures(folder, results.report, scale),
    }


def _figures(folder: Path, report: dict[str, Any], scale: int) -> list[dict[str, str]]:
    try:
        from mtkd.explore.evidence.charts import differences
    except ImportError:
        return []
    made = []
    for table in report["tables"]:
        over = [(row["first"], row["second"]) for row in table["differences"] if row["second"] == "scratch"]
        if (table["table"] in TABLES) and table["scale"] == scale and over:
            picture = differences(report, table["table"], over, scale)
            folder.mkdir(exist_ok=True)
            path = folder / f"{table['table']}.png"
            picture.quantize(256).save(path, optimize=True)
            made.append({"title": f"{table['title']}, ×{scale}", "file": f"{folder.name}/{path.name}"})
    return made

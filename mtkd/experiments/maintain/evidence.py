"""The evidence that the project ships: records of its runs, how alike its teachers err, and the tables made of them.

``python -m mtkd.experiments.maintain.evidence RUNS`` adds what a folder of runs has new to the records
``measured/SIZE.sqlite``, runs the bundled teachers and aggregators on the benchmark sets (MTKD_DATA) for
``measured/SIZE-agreement.json``, and writes what follows from them: ``measured/SIZE.md`` and ``SIZE.json``. With
``--tables`` only the latter, from the records that are there. ``docs/build.py`` makes the documentation's tables.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtkd import zoo
from mtkd.data.sources import default_sets
from mtkd.errors import UserError
from mtkd.experiments import records
from mtkd.experiments.maintain import older_runs
from mtkd.experiments.maintain.agreement import agreement
from mtkd.experiments.plan import Plan, load_plan
from mtkd.experiments.runner import HELD_OUT, images_of
from mtkd.experiments.tables import markdown, report
from mtkd.files import write_bytes, write_json, write_text
from mtkd.home import data_folder
from mtkd.zoo.checkpoints import weights_hash


def agreements(plan: Plan, data: Path, known: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """The teachers' :class:`~mtkd.experiments.maintain.agreement.Agreement` beside their aggregators, at every scale.

    ``known`` rows are kept where they were made with the same weights.

    Raises:
        UserError: a set is missing.
    """
    rows: list[dict[str, Any]] = []
    for scale in sorted({model.scale for model in zoo.models() if model.bundled}):
        teachers = [plan.teacher_name(architecture) for architecture in plan.teachers]
        aggregators = [m.name for m in zoo.models(scale) if m.bundled and m.role == "aggregator"]
        networks, others = ({name: zoo.load(name, scale) for name in group} for group in (teachers, aggregators))
        hashes = {name: weights_hash(network) for name, network in (networks | others).items()}
        for set_name in (HELD_OUT, *default_sets()):
            identity = {"set": set_name, "scale": scale, "networks": hashes}
            same = [row for row in known if identity.items() <= row.items()]
            if not same:
                result = agreement(networks, images_of(set_name, scale, data, plan.images()), scale, others)
                same = [identity | result.row()]
            rows += same
    return rows


def measured_agreements(size: str) -> list[dict[str, Any]]:
    """What :func:`agreements` gave when the evidence was made; nothing where there is none."""
    path = records.MEASURED / f"{size}-agreement.json"
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []


def measured_report(size: str) -> dict[str, Any]:
    """The report of all tables from the bundled records."""
    plan = load_plan(size)
    return report(plan, records.read(records.MEASURED / f"{size}.sqlite"), list(plan.tables))


def main() -> None:
    """Make the evidence of one size."""
    parser = argparse.ArgumentParser(prog="python -m mtkd.experiments.maintain.evidence")
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("--size", default="mini")
    parser.add_argument("--tables", action="store_true", help="only the tables, from the records that are there")
    chosen = parser.parse_args()
    if (chosen.runs is None) != chosen.tables:
        parser.error("give the folder of runs, or --tables")
    try:
        if chosen.runs is not None:
            older_runs.update_all(chosen.runs)
            known = measured_agreements(chosen.size)
            found = agreements(load_plan(chosen.size), data_folder(), known)
            made = records.rebuild(chosen.runs, known=records.shipped(chosen.size)).read_bytes()
            write_bytes(records.MEASURED / f"{chosen.size}.sqlite", made)
            write_json(records.MEASURED / f"{chosen.size}-agreement.json", found)
        content = measured_report(chosen.size)
        write_text(records.MEASURED / f"{chosen.size}.md", markdown(content, chosen.size))
        write_json(records.MEASURED / f"{chosen.size}.json", content)
    except UserError as error:
        raise SystemExit(f"evidence: {error}") from None


if __name__ == "__main__":
    main()

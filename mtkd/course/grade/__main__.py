"""Grade a folder of submissions: ``python -m mtkd.course.grade FOLDER``.

Each notebook or Python file in the folder is run in a process of its own, with limits of time and memory: the cells
with a check, and those that define what they use. The limits stop loops and large arrays; they are no sandbox. Run
submissions of people whom you do not trust in a container without a network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mtkd.course.grade.folder import Graded, Limits, as_csv, as_json, grade_folder
from mtkd.errors import UserError
from mtkd.files import write_text


def main(arguments: list[str] | None = None) -> int:
    """The command; 0, or 2 after a mistake of the caller."""
    parser = argparse.ArgumentParser(prog="python -m mtkd.course.grade", description=__doc__.partition("\n\n")[2])
    parser.add_argument("folder", type=Path, help="with submissions (.ipynb, .py), also in folders inside")
    parser.add_argument("--lesson", help="grade the exercises of this lesson, as in 04; by default those in each file")
    parser.add_argument("--output", type=Path, help="table to write: .csv or .json")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="for each submission (%(default)s)")
    parser.add_argument("--memory", type=float, default=Limits.gib, help="GiB for each submission (%(default)s)")
    parser.add_argument("--all-cells", action="store_true", help="run every cell, not only what the exercises need")
    given = parser.parse_args(arguments)
    try:
        if given.output and given.output.suffix not in (".csv", ".json"):
            raise UserError(f"{given.output}: a table ends in .csv or .json")
        if given.seconds <= 0 or given.memory <= 0:
            raise UserError("--seconds and --memory are above 0")
        graded: list[Graded] = []
        for one in grade_folder(given.folder, Limits(given.seconds, given.memory), given.lesson, given.all_cells):
            graded.append(one)
            print(_line(one), flush=True)
        if given.output:
            write_text(given.output, as_csv(graded) if given.output.suffix == ".csv" else as_json(graded))
            print(f"{given.output}: {len(graded)} submissions")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _line(one: Graded) -> str:
    rest = ", ".join(f"{name} {verdict}" for name, verdict in one.verdicts.items() if verdict != "right")
    line = f"{one.submission}: {one.right} of {len(one.verdicts)} right, {one.points} of {one.possible} points"
    return "\n  ".join([line + (f" ({rest})" if rest else ""), *one.errors])


if __name__ == "__main__":
    sys.exit(main())

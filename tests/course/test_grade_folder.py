"""The grader of a folder: right and wrong submissions, and those that loop, eat memory, crash or do not parse."""

from __future__ import annotations

import csv
import json
from io import StringIO

import nbformat
import pytest

from mtkd.course.exercises import of_lesson
from mtkd.course.grade.__main__ import main
from mtkd.course.grade.cells import lessons, needed, read_cells
from mtkd.course.grade.folder import Limits, as_csv, as_json, grade_file, grade_folder, submissions
from mtkd.errors import UserError

ALL_RIGHT = """# %%
import math
from mtkd.course import check

raise_of_the_dead = 1 / 0

# %%
half = 0.6

# %%
check("05.1", 0.006)

# %%
answer_2 = half
check("05.2", answer_2)

# %%
check("05.3", 0.625)

# %%
def train_step(student, optimizer, lr_image, gt_image, mt_image, alpha):
    return ...
check("05.4", train_step)
"""


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".ipynb":
        cells = [nbformat.v4.new_code_cell(cell) for cell in text]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    else:
        path.write_text(text)
    return path


def test_only_the_cells_that_exercises_need_are_run(tmp_path):
    text = "import os\n# %% [markdown]\n# text\n# %%\n%time\nx = 1\nx?\n# %%\ny = 2\n"
    cells = read_cells(write(tmp_path, "a.py", text))
    assert len(cells) == 3 and "%time" not in cells[1] and "?" not in cells[1]
    cells = ["import torch, math", "a = torch.ones(1)", "b = 2", "b = a", "print(b)", 'check("04.2", b)', "def f(:"]
    assert needed(cells) == [0, 1, 2, 3, 5]
    assert needed(['def f(:\ncheck("04.1", f)', "x = 1"]) == [0]
    assert lessons([*cells, 'check("05.1", 3)', '# check("06.1", 3)']) == ["04", "05"]


def test_a_folder_is_graded(tmp_path, capsys):
    write(tmp_path, "ada/05.py", ALL_RIGHT)
    faulty = 'from mtkd.course import check\ndef f(*a):\n    return 1 / 0\ncheck("05.4", f)'
    cells = ["%matplotlib inline", faulty, 'from mtkd.course import check\ncheck("05.2", 0.6)', "import os\n1 / 0"]
    write(tmp_path, "ben.ipynb", cells)
    write(tmp_path, ".ipynb_checkpoints/ben.ipynb", cells)
    (tmp_path / "cleo.ipynb").write_text("{")
    (tmp_path / "dan.py").write_text("print('hello')")
    ada, ben, cleo, dan = grade_folder(tmp_path, Limits(90, 8))

    ids = [one.id for one in of_lesson("05")]
    verdicts = ["right", "right", "right", "not answered", "missing"]
    assert (ada.submission, ada.verdicts, ada.right) == ("ada/05.py", dict(zip(ids, verdicts, strict=True)), 3)
    assert (ada.points, ada.possible) == (2 + 1 + 3, 11) and ada.messages["05.4"] == "not answered"
    assert ada.errors == ["cell 1, line 5: ZeroDivisionError: division by zero"]

    assert ben.verdicts == dict.fromkeys(ids, "missing") | {"05.2": "right", "05.4": "not yet"} and not ben.errors
    assert ben.messages["05.4"] == "not yet: the function raises ZeroDivisionError: division by zero"
    assert cleo.errors == ["cleo.ipynb: this is not a notebook"] and not cleo.verdicts
    assert dan.errors == ["no exercise in it: no cell calls check(...)"]

    rows = list(csv.DictReader(StringIO(as_csv([ada, ben, cleo, dan]))))
    assert [row["right"] for row in rows] == ["3", "1", "0", "0"] and rows[0]["05.3"] == "right"
    assert rows[2]["errors"] == "cleo.ipynb: this is not a notebook" and rows[3]["05.1"] == ""
    assert json.loads(as_json([ada]))[0]["messages"]["05.1"] == "right"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os._exit(3)", "it ended its process with code 3"),
        ("hoard = bytearray(2**36)", "MemoryError"),
        ("import sys; sys.exit()", "SystemExit"),
        ("import time\ntry:\n  time.sleep(99)\nexcept TimeoutError:\n  time.sleep(99)", "stopped after 30 s"),
        ("answer = (", "SyntaxError"),
        ("while True:\n  answer = 1\n", "TimeoutError"),
    ],
)
@pytest.mark.slow
def test_a_submission_cannot_stop_the_grader(tmp_path, code, said):
    first = 'from mtkd.course import check\ncheck("05.2", 0.6)\n'
    path = write(tmp_path, "a.ipynb", [first, f'{code}\ncheck("05.1", 1)', 'check("05.3", 0.625)'])
    graded = grade_file(path, "a", Limits(30, 8), None, False)
    assert said in " ".join(graded.errors), graded
    assert graded.verdicts["05.2"] == "right"
    goes_on = said.endswith("Error") or said == "SystemExit"
    assert graded.verdicts["05.3"] == ("right" if goes_on else "missing")


def test_the_command_writes_a_table_and_tells_mistakes(tmp_path, capsys):
    folder = tmp_path / "in"
    write(folder, "a.py", 'from mtkd.course import check\ncheck("05.2", 0.6)\n')
    for name in ("out.csv", "out.json")[:1]:
        assert main([str(folder), "--output", str(tmp_path / name), "--lesson", "05"]) == 0
        assert (tmp_path / name).read_text().startswith("submission,right,of,points,possible,05.1,")
    said = capsys.readouterr().out
    assert "a.py: 1 of 5 right, 1 of 11 points (05.1 missing, " in said and "1 submissions" in said
    for arguments, words in (
        ([str(tmp_path / "no")], "no such folder"),
        ([str(folder), "--lesson", "99"], "lesson '99' has no exercises"),
        ([str(folder), "--output", "table.xls"], "ends in .csv or .json"),
        ([str(folder), "--seconds", "0"], "above 0"),
    ):
        assert main(arguments) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \.ipynb"):
        submissions(tmp_path / "empty")

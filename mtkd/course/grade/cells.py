"""The cells of a submission, and those of them that its exercises need."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from mtkd.errors import UserError

_CHECK = re.compile(r"""^check\(\s*["'](\d\d)\.\d+["']""", re.MULTILINE)


def read_cells(path: Path) -> list[str]:
    """The code cells of a notebook, or of a Python file in the percent format, without lines of magics and help.

    Raises:
        UserError: the file cannot be read, or is no notebook.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read ({error})") from None
    if path.suffix == ".py":
        header, *parts = re.split(r"(?m)^# %%", text)
        cells = ["#" + part for part in parts if not part.startswith(" [markdown]")]
        if re.search(r"(?m)^[^#\s]", header):  # code before the first cell, or no cells
            cells.insert(0, header)
    else:
        try:
            content = json.loads(text)["cells"]
            cells = ["".join(cell["source"]) for cell in content if cell["cell_type"] == "code"]
        except (ValueError, TypeError, KeyError):
            raise UserError(f"{path.name}: this is not a notebook") from None
    return [re.sub(r"(?m)^\s*[%!?].*$|^[\w.]+\?+$", "", cell) for cell in cells]


def lessons(cells: list[str]) -> list[str]:
    """The lessons whose exercises these cells check, as in "04"."""
    return sorted({lesson for cell in cells for lesson in _CHECK.findall(cell)})


def needed(cells: list[str]) -> list[int]:
    """The numbers of the cells with a check, and of those that define what such cells use, in order.

    A cell that only changes an object in place is not seen. A cell that does not parse is needed if it has a check.
    """
    names: set[str] = set()
    chosen = []
    for number in range(len(cells) - 1, -1, -1):
        has_check = bool(_CHECK.search(cells[number]))
        try:
            tree = ast.parse(cells[number])
        except SyntaxError:
            chosen += [number] * has_check
            continue
        if has_check or _defined(tree) & names:
            chosen.append(number)
            names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return chosen[::-1]


def _defined(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found

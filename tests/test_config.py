"""YAML files are read as PyYAML's own safe loader reads them; what no file of this project needs is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mtkd.config import MAX_DEPTH, assign, read_yaml, to_yaml
from mtkd.errors import UserError

ROOT = Path(__file__).parents[1] / "mtkd"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.yaml")), ids=lambda path: path.name)
def test_bundled_files_are_read_as_by_the_plain_loader(path: Path) -> None:
    content = read_yaml(path)
    assert content == yaml.safe_load(path.read_text(encoding="utf-8"))
    assert yaml.safe_load(to_yaml(content)) == content and list(yaml.safe_load(to_yaml(content))) == list(content)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
def test_deep_nesting_is_refused(opening: str, levels: int, tmp_path: Path) -> None:
    """The C composer alone would end the process, not raise."""
    path = tmp_path / "deep.yaml"
    path.write_text(opening * levels)
    with pytest.raises(UserError, match="nested mappings and lists"):
        read_yaml(path)


@pytest.mark.parametrize(
    "number", ["9" * 31, "-" + "9" * 40, "0x" + "f" * 40, "1_000" * 10, '!!int "' + "1" * 5000 + '"']
)
def test_huge_numbers_are_refused(number: str) -> None:
    with pytest.raises(UserError, match=r"--set seed=.*digits"):
        assign({}, f"seed={number}")


def test_text_of_many_digits_is_text() -> None:
    content: dict[str, object] = {}
    assign(content, f"name='{'9' * 60}'")
    assign(content, "iterations=123456789012345678901234567890")
    assign(content, "ema=")
    assert content == {"name": "9" * 60, "iterations": 123456789012345678901234567890, "ema": None}


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "loop.yaml"
    path.write_text("a: &a [*a]\n")
    with pytest.raises(UserError, match="aliases"):
        read_yaml(path)

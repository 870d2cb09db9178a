"""Malformed input of every kind is read or refused in one line; ``make test-slow`` tries all 7,500 files."""

from __future__ import annotations

import io
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtkd.config import assign, read_yaml
from mtkd.errors import UserError, check_format, unknown_name
from mtkd.images import decode, read_image
from mtkd.training.recipe import Recipe, parse
from mtkd.zoo.model import read_card
from tests.benchmarks import corpus
from tests.benchmarks.fuzz import NUMBERS, failed, fuzz
from tests.training.conftest import recipe_content

SHORT = {"images": 120, "recipes": 120, "checkpoints": 60}


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *(pytest.param(kind, number, marks=pytest.mark.sweep) for kind, number in SHORT.items()),
        *(pytest.param(kind, number, marks=pytest.mark.slow) for kind, number in NUMBERS.items()),
    ],
)
def test_malformed_files_are_read_or_refused(kind: str, number: int, tmp_path: Path) -> None:
    attempts = fuzz(kind, number, seed=number, folder=tmp_path)
    assert not failed(attempts)
    outcomes = {attempt.outcome for attempt in attempts}
    assert outcomes == {"read", "refused"}


@pytest.mark.sweep
def test_the_harness_notices_code_that_is_run(tmp_path: Path) -> None:
    """The control: a reader that trusts its files."""
    found = {attempt.name: attempt.outcome for attempt in failed(fuzz("control", 22, seed=0, folder=tmp_path))}
    for name in ("system.pt", "system-old.pth", "eval.pt", "latest-code.pt"):
        assert "os.system" in found[name]
    assert "bare-pickle.pt" in found and "crop.npy" in found


@pytest.mark.parametrize("name", ["page.eps", "code.ps", "icon.ico", "rgb.tga", "rgb.pcx", "drawing.svg", "page.pdf"])
def test_other_forms_are_not_even_looked_at(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(corpus.whole_images()[name])
    with pytest.raises(UserError, match="not an image|, which is not read; save it"):
        read_image(path)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = sorted(Recipe.model_fields)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=10), TREES, max_size=4))
def test_any_value_under_any_key(changes: dict[str, Any]) -> None:
    """A recipe with anything in it is a recipe, or one line says what is wrong with it."""
    try:
        recipe = parse(recipe_content(Path("images"), **{str(k): v for k, v in changes.items()}), "test")
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
    else:
        assert parse(recipe.model_dump(mode="json"), "again") == recipe


@MANY
@given(st.lists(st.sampled_from(KEYS) | st.text(max_size=10), min_size=1, max_size=3), st.text(max_size=30))
def test_any_assignment(path: list[str], value: str) -> None:
    content = recipe_content(Path("images"))
    try:
        assign(content, f"{'.'.join(path)}={value}")
        parse(content, "test")
    except UserError as error:
        assert "\n" not in str(error)


@MANY
@given(st.binary(max_size=300), st.sampled_from(sorted(corpus.whole_images())))
def test_any_bytes_behind_the_beginning_of_a_picture(data: bytes, name: str) -> None:
    start = corpus.whole_images()[name][:40]
    try:
        image = decode(io.BytesIO(start + data))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@MANY
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_as_yaml_or_card(content: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        for read in (read_yaml, read_card):
            try:
                assert isinstance(read(path), dict)
            except UserError as error:
                assert "\n" not in str(error)


@MANY
@given(TREES)
def test_any_name_and_format(value: Any) -> None:
    assert len(str(unknown_name("model", value, ["ada", "bob"]))) < 300
    try:
        check_format(value, "mtkd/1", "file")
    except UserError as error:
        assert len(str(error)) < 200
    else:
        assert value == "mtkd/1"


@pytest.mark.parametrize("levels", range(3, 12))
def test_aliases_that_hold_aliases(levels: int, tmp_path: Path) -> None:
    """Nine to the power of ``levels`` values in a few lines."""
    path = tmp_path / "laughs.yaml"
    path.write_text("\n".join(corpus.LAUGHS.splitlines()[: levels + 1]))
    if levels <= 4:
        assert read_yaml(path)[f"l{levels}"]
    else:
        with pytest.raises(UserError, match="aliases"):
            read_yaml(path)


@pytest.mark.sweep
def test_the_corpus_is_the_same_every_time() -> None:
    for make in (corpus.images, corpus.recipes):
        assert list(make(random.Random(1), 60)) == list(make(random.Random(1), 60))

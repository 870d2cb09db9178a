"""What tabs answer to rare events, asked without a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from mtkd_app.files import Pictures
from mtkd_app.main import build
from mtkd_app.train_view import status
from PIL import Image

from mtkd.data.examples import example
from mtkd.experiments.plan import load_recipe
from mtkd.training import jobs

Handler = Callable[..., Any]


@pytest.fixture(scope="module")
def pictures() -> Iterator[Pictures]:
    with Pictures() as pictures:
        yield pictures


@pytest.fixture(scope="module")
def page(pictures: Pictures) -> gr.Blocks:
    return build(pictures)


@pytest.fixture(scope="module")
def handler(page: gr.Blocks) -> Callable[[str, str], Handler]:
    """A tab's function by the names of both."""
    LocalContext.request.set(SimpleNamespace(session_hash="a"))
    found = {(one.fn.__module__.rpartition(".")[2], one.fn.__name__): one.fn for one in page.fns.values() if one.fn}
    return lambda tab, name: found[tab, name]


def test_an_image_of_a_benchmark_set_is_copied(handler, pictures, tmp_path):
    """Gradio hands out no file of people's folders."""
    folder = tmp_path / "Set5" / "HR"
    folder.mkdir(parents=True)
    Image.fromarray(example("chelsea").read()[:48, :80]).save(folder / "baby.png")
    path, _ = handler("compare", "choose")(str(tmp_path), "×4", "Set5 baby")
    assert pictures.holds(Path(path)) and Path(path).read_bytes() == (folder / "baby.png").read_bytes()
    with pytest.raises(gr.Error, match="look there again"):
        handler("compare", "choose")(str(tmp_path), "×4", "Set5 bird")


def test_a_table_to_download_is_its_sessions(handler, pictures):
    """What is no session's goes after a while, though its page is open."""
    found = handler("results", "fill")("table2", "×4", "Set5", "PSNR", None)
    csv = next(Path(one.value["path"]) for one in found if isinstance(one, gr.DownloadButton))
    assert csv.name == "table2_x4_Set5_PSNR.csv" and csv.is_relative_to(pictures.made)


@pytest.fixture
def run() -> Iterator[str]:
    """A run that a terminal started, with a sample."""
    folder = jobs.runs_folder() / "handled_x4"
    (folder / "samples").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(load_recipe("mini/edsr_tiny-scratch", ["name=handled"]).dump())
    Image.fromarray(example("chelsea").read()[:8, :24]).save(folder / "samples" / "10.png")
    yield folder.name
    if folder.exists():
        jobs.delete(folder.name)


def test_a_sample_is_its_sessions(handler, pictures, run):
    changed = handler("train", "view")(run, {})
    sample = next(Path(one.value["path"]) for one in changed.values() if isinstance(one, gr.Image))
    assert sample.is_relative_to(pictures.made)


def test_models_that_are_gone_are_not_checked(handler, run):
    """Gradio refuses every event that has a name which is none of the choices."""
    _, models, _ = handler("train", "open_compare")(run, "×4", ["bicubic", "gone"])
    assert models.value == ["bicubic"] and "gone" not in {name for name, _ in models.choices}


def test_a_folder_that_was_given_stays_whatever_the_recipe(handler, tmp_path, monkeypatch):
    (tmp_path / "train" / "DIV2K_train_HR").mkdir(parents=True)
    monkeypatch.setenv("MTKD_DATA", str(tmp_path))

    def filled(recipe: str, now: str) -> dict[str, Any]:
        return {field.elem_id: value for field, value in handler("train", "fill")(recipe, "×3", now).items()}

    mine = filled("small/aggregator_small", "/my/photos")
    assert "train-data" not in mine and "train-name" in mine and None not in mine.values()
    assert filled("small/aggregator_small", "")["train-data"] == "DIV2K_train_HR"
    assert filled("small/aggregator_small", "BSDS400")["train-data"] == "DIV2K_train_HR"  # no person gave it
    assert "train-data" not in filled("mini/edsr_tiny-kd", "DIV2K_train_HR")  # rather than the examples
    assert filled("mini/edsr_tiny-kd", "")["train-data"] == ""


def test_progress_is_a_number(run):
    assert re.search(r'aria-valuenow="\d+"', status(jobs.find(run)))

"""What tabs answer to rare events, asked without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from mtkd_app.files import Pictures
from mtkd_app.main import build
from PIL import Image

from mtkd.data.examples import example

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

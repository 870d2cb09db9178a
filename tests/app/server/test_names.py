"""Names that are HTML: of files, models, runs, views. On a page they are text, and no script of theirs runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd import zoo
from mtkd.data.examples import EXAMPLES
from mtkd.explore import compare
from mtkd.zoo.checkpoints import read_state, save_state
from mtkd.zoo.headers import Header
from tests.app.conftest import served
from tests.app.pages import another_run, open_others, open_part, open_view, upload, wait_for_text
from tests.browser import wait_until_answered

pytestmark = pytest.mark.sweep

EVIL = "<img src=x onerror=window.ran=1>"
MODELS = ["bicubic", "edsr_tiny-mtkd"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An explorer whose user has a model and a run of that name; neither can be made with it, but copied there."""
    home = tmp_path_factory.mktemp("evil")
    state = read_state(zoo.find("edsr_tiny-mtkd", 4).path)
    (home / "models").mkdir()
    save_state(home / "models" / "evil_x4.safetensors", state, Header(EVIL, "edsr_tiny", 4))
    run = home / "runs" / EVIL
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(f"name: {EVIL}\n")
    with served(MTKD_HOME=str(home)) as (address, _):
        yield address


@pytest.fixture(scope="module")
def opened(browser: Any, server: str) -> Iterator[Any]:
    page = browser.new_page(1400, 1000)
    page.goto(server)
    page.locator(".mv-canvas[data-name='ground truth']").wait_for(timeout=180_000)
    page.set_default_timeout(60_000)
    yield page
    page.context.close()


@pytest.fixture
def page(opened: Any) -> Iterator[Any]:
    """The page; whatever a test does there, no script ran."""
    yield opened
    wait_until_answered(opened)
    assert opened.evaluate("window.ran") is None
    assert opened.locator("img[src=x]").count() == 0


def test_of_an_upload_and_a_result_from_elsewhere(page, tmp_path):
    """Also past Gradio, which takes such signs out of names: the page's own request names the file."""
    low = EXAMPLES[4].read()[:24, :32]
    results = compare(low, ["bicubic"], 4, ground_truth=False)
    picture, result = tmp_path / f"{EVIL}.png", tmp_path / f"{EVIL} too.png"
    Image.fromarray(low).save(picture)
    Image.fromarray(np.array(results.results[0].image)).save(result)

    def rename(route: Any) -> None:
        """What Gradio would keep of the names is put back into the answer of the upload."""
        answer = route.fetch()
        path = Path(answer.json()[0])
        evil = path.with_name(result.name if "too" in path.name else picture.name)
        shutil.copy(path, evil)
        route.fulfill(status=200, json=[str(evil)])

    open_view(page, "Compare")
    page.route(lambda url: "/gradio_api/upload?" in url, rename)
    with another_run(page):
        upload(page, picture)
    with another_run(page):
        page.get_by_label("Upscale my photo").check()
    open_others(page)
    with another_run(page):
        page.locator("#others input[type=file]").set_input_files(str(result))
    wait_for_text(page, "#table", f"{EVIL} too")
    assert page.locator(f'.mv-canvas[data-name="{EVIL} too"]').count() == 1
    views = (("Wavelet loss", "#wavelet-legend"), ("Attribution", "#lam-said"), ("Framework", ".fw-box"))
    for title, shown in views:
        open_view(page, title)
        page.locator(shown).first.wait_for(timeout=180_000)
        wait_until_answered(page)
    page.unroute_all()
    open_view(page, "Compare")


def test_of_a_mistaken_file(page, tmp_path):
    """An error repeats its name."""
    path = tmp_path / f"{EVIL}.png"
    path.write_bytes(b"no image")
    upload(page, path)
    page.locator("#viewer").get_by_text("not an image").wait_for()


@pytest.mark.parametrize("view", [{"models": [EVIL + "2", "bicubic"]}, {"example": EVIL}, {"focus": EVIL}, {EVIL: 1}])
def test_of_a_saved_view(page, tmp_path, view):
    path = tmp_path / "view.json"
    path.write_text(json.dumps({"format": 1, "example": "coffee", **view}))
    open_part(page, "#export")
    with page.expect_file_chooser() as chooser:
        page.click("#open-view")
    with page.expect_response(lambda response: "queue/join" in response.url):
        chooser.value.set_files(str(path))
    wait_until_answered(page)


def test_of_models_and_runs(page):
    assert page.get_by_label(EVIL).count() or page.get_by_text(EVIL).count()
    for title in ("Models", "Runs", "Tables", "Ablations"):
        open_view(page, title)
        wait_until_answered(page)
    open_view(page, "Runs")
    page.locator("#train-runs").get_by_text(EVIL).wait_for()


def test_of_a_link(page, server):
    page.goto(f"{server}?example=coffee&models={EVIL}2,bicubic&focus={EVIL}")
    page.get_by_text("left out").wait_for()
    with page.expect_response(lambda response: "queue/join" in response.url):
        page.goto(f"{server}?example={EVIL}")
    wait_until_answered(page)

"""The Bring your own tab as a person uses it: drop a checkpoint, see what it is, add it, compare it, remove it."""

from __future__ import annotations

import io
import os
import pickle
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mtkd_app.main import build
from mtkd_app.server.session_files import Pictures
from PIL import Image

from mtkd import networks, zoo
from mtkd.data.examples import EXAMPLES
from mtkd.images import crop_to_multiple, to_tensor, to_uint8
from mtkd.resize import imresize
from mtkd.zoo.checkpoints import load_state, read_state
from tests.app.conftest import served
from tests.browser import wait_until_drawn

pytestmark = pytest.mark.sweep

SHOTS = Path(__file__).parents[2] / "screenshots"
NAME = "brought"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[str]:
    """An explorer of its own: what is added here must not appear in other tests."""
    with served(MTKD_HOME=str(home)) as (address, _):
        yield address


@pytest.fixture(scope="module")
def page(browser: Any, server: str) -> Iterator[Any]:
    page = browser.new_page(1280, 900)
    page.goto(server)
    page.locator(".mv-canvas[data-name='ground truth']").wait_for(timeout=60_000)
    open_tab(page, "own")
    yield page
    page.context.close()


def open_tab(page: Any, name: str) -> None:
    page.locator(f"[role=tab][data-tab-id={name}]:visible").click()


def checkpoint(path: Path, network: str = "edsr_tiny", scale: int = 4) -> Path:
    """A bundled model in the form of BasicSR, under another name: its picture is known."""
    if network == "edsr_tiny":
        state = read_state(zoo.find("edsr_tiny-mtkd", scale).path)
    else:
        torch.manual_seed(0)
        state = networks.build(network, scale).state_dict()
    torch.save({"params": state}, path)
    return path


def drop(page: Any, path: Path) -> None:
    """Put a file into the box, in place of the one that is there."""
    # The box's own button alone: an error that was shown leaves one of the same name, hidden.
    names = ("Clear", "Remove this file")
    clear = page.locator(", ".join(f"#own-file button[aria-label='{name}']:visible" for name in names))
    if clear.count():
        clear.first.click()
    page.locator("#own-file input[type=file]").set_input_files(str(path))


def fill(page: Any, box: str, text: str) -> None:
    page.locator(f"#{box} input, #{box} textarea").first.fill(text)


def value(page: Any, box: str) -> str:
    return page.locator(f"#{box} input, #{box} textarea").first.input_value()


def wait_for_table(page: Any, text: str) -> str:
    page.wait_for_function("text => document.querySelector('.own-table')?.innerText.includes(text)", arg=text)
    return page.inner_text(".own-table")


def error(page: Any) -> str:
    toast = page.locator(".toast-body").last
    toast.wait_for(timeout=30_000)
    text = toast.inner_text()
    page.locator(".toast-close").last.click()
    page.locator(".toast-body").wait_for(state="detached")
    return text


def test_a_checkpoint_is_looked_into_before_anything_is_kept(page: Any, home: Path, tmp_path: Path) -> None:
    assert not page.locator("#own-add").is_enabled()
    drop(page, checkpoint(tmp_path / "my net_x4.pth"))
    table = wait_for_table(page, "edsr_tiny")
    for text in ("EDSR", "edsr_tiny (student)", "×4", "57,960", "BasicSR"):
        assert text in table
    assert value(page, "own-name") == "my-net"
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "own-1280.png")
    assert not home.joinpath("models").exists()


def test_added_and_compared(page: Any, server: str, home: Path) -> None:
    """Its pane shows, pixel for pixel, what the network makes of the example."""
    fill(page, "own-name", NAME)
    page.click("#own-add")
    page.locator("#own-compare").wait_for(timeout=30_000)
    assert (home / "models" / f"{NAME}_x4.safetensors").exists()
    assert f"{NAME} ×4 is now in the lists of all tabs" in page.inner_text("#own-done")
    page.wait_for_function("name => document.querySelector('#own-models')?.innerText.includes(name)", arg=NAME)
    assert "my net_x4.pth" in page.inner_text("#own-models")
    page.click("#own-compare")
    box = page.locator(f"#models label:has(span:text-is('{NAME}')) input")
    box.wait_for()
    assert box.is_checked()
    page.click("#go")
    page.locator(f".mv-canvas[data-name='{NAME}']").wait_for(timeout=60_000)
    link = page.locator(f".mv a[download='{NAME}_x4.png']").get_attribute("href")
    with urllib.request.urlopen(urllib.parse.urljoin(server, link)) as answer:
        shown = np.asarray(Image.open(io.BytesIO(answer.read())))
    network = networks.build("edsr_tiny", 4).eval()
    load_state(network, read_state(zoo.find("edsr_tiny-mtkd", 4).path), "x")
    hr = crop_to_multiple(EXAMPLES[0].read(), 4)
    lr = imresize(torch.from_numpy(hr).permute(2, 0, 1), 1 / 4).permute(1, 2, 0).numpy()
    with torch.inference_mode():
        assert np.array_equal(shown, to_uint8(network(to_tensor(lr))))


def test_of_another_scale_from_a_path(page: Any, tmp_path: Path) -> None:
    """Opening it in Compare changes the scale there; the dropped file gives way to the path."""
    open_tab(page, "own")
    fill(page, "own-path", str(checkpoint(tmp_path / "rcan_tiny_x2.pth", "rcan_tiny", 2)))
    page.locator("#own-file", has_text="my net").wait_for(state="detached")
    page.click("#own-look")
    assert "×2" in wait_for_table(page, "rcan_tiny")
    fill(page, "own-name", "second")
    page.click("#own-add")
    page.wait_for_function("() => document.querySelector('#own-done')?.innerText.includes('second ×2')")
    page.click("#own-compare")
    box = page.locator("#models label:has(span:text-is('second')) input")
    box.wait_for()
    assert page.locator("label:has-text('×2') input[type=radio]").first.is_checked()
    assert box.is_checked()
    assert page.locator(f"#models label:has(span:text-is('{NAME}'))").count() == 0
    open_tab(page, "own")


class Payload:
    """Makes a file when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("kind", ["code", "text", "empty", "truncated", "another", "html"])
def test_bad_files_give_one_clear_message(page: Any, home: Path, tmp_path: Path, kind: str) -> None:
    path, mark = tmp_path / "bad.pth", tmp_path / "was run"
    before = sorted(home.rglob("*"))
    if kind == "code":
        path.write_bytes(pickle.dumps(Payload(mark)))
        expected = "nothing of it was run"
    elif kind == "text":
        path.write_text("not weights but a poem")
        expected = "not a weights file"
    elif kind == "empty":
        path.write_bytes(b"")
        expected = "an empty file"
    elif kind == "truncated":
        path = tmp_path / "bad.safetensors"
        path.write_bytes(zoo.find("edsr_tiny-mtkd", 4).path.read_bytes()[:30_000])
        expected = "not a readable weights file"
    else:
        key = "<img src=x onerror=alert(1)>" if kind == "html" else "body.0.rdb1.conv1.weight"
        torch.save({"params_ema": {key: torch.zeros(2)}}, path)
        expected = "another architecture than EDSR, RCAN, SwinIR"
    drop(page, path)
    message = error(page)
    assert expected in message
    assert "Traceback" not in message and str(tmp_path) not in message and not re.search(r"/tmp|gradio/", message)
    assert not page.locator("#own-add").is_enabled() and page.locator(".own-table").count() == 0
    assert page.locator("img[src=x]").count() == 0
    assert not mark.exists() and sorted(home.rglob("*")) == before


def test_bad_paths_choices_and_names(page: Any, tmp_path: Path) -> None:
    for path, expected in ((tmp_path, "a folder"), (tmp_path / "none.pt", "no such file")):
        fill(page, "own-path", str(path))
        page.click("#own-look")
        assert expected in error(page)
    drop(page, checkpoint(tmp_path / "a.pth"))
    wait_for_table(page, "edsr_tiny")
    for name, expected in (
        ("edsr_mini", "is that of a bundled model"),
        (NAME, f"you have a model '{NAME}' at scale 4"),
        ("../x", "use letters"),
    ):
        fill(page, "own-name", name)
        page.click("#own-add")
        assert expected in error(page)
    page.click("#own-scale input")
    page.get_by_role("option", name="×3", exact=True).click()
    page.locator(".own-table").wait_for(state="detached")
    page.click("#own-look")
    assert "is not edsr_tiny x3 but edsr_tiny x4: upsample.0.weight is" in error(page)
    page.click("#own-scale input")
    page.get_by_role("option", name="as detected", exact=True).click()


def test_removed_models_are_kept_aside(page: Any, home: Path) -> None:
    page.click("#own-remove")
    assert "Choose one of your models" in error(page)
    page.click("#own-chosen input")
    page.get_by_role("option", name="second ×2").click()
    page.click("#own-remove")
    page.wait_for_function("() => document.querySelector('#own-done')?.innerText.includes('out of all lists')")
    assert len(list((home / "models" / "removed").glob("second_x2-*.safetensors"))) == 1
    page.wait_for_function("() => !document.querySelector('#own-models').innerText.includes('second')")


def test_still_there_after_a_reload(page: Any) -> None:
    page.reload()
    page.locator(".mv-canvas[data-name='ground truth']").wait_for(timeout=60_000)
    page.locator(f"#models label:has(span:text-is('{NAME}'))").wait_for()


def test_from_a_program(server: str, home: Path, tmp_path: Path) -> None:
    client = Client(server, verbose=False)
    file = handle_file(str(checkpoint(tmp_path / "net_x3.pth", "edsr_tiny", 3)))
    arguments = {"path": "", "network": "detect", "scale": 0}
    table, name, *_ = client.predict(file, **arguments, api_name="/inspect_checkpoint")
    assert "edsr_tiny" in table and name == "net"
    client.predict(file, **arguments, name="third", replace=False, api_name="/add_checkpoint")
    assert (home / "models" / "third_x3.safetensors").exists()
    client.predict("third ×3", api_name="/remove_model")
    assert not (home / "models" / "third_x3.safetensors").exists()
    with pytest.raises(AppError, match="no model of your own is called 'third ×3'"):
        client.predict("third ×3", api_name="/remove_model")


def test_layout_does_not_break(browser: Any, server: str) -> None:
    page = browser.new_page(1280, 900)
    page.goto(f"{server}?__theme=dark")
    page.locator(".mv-canvas[data-name='ground truth']").wait_for(timeout=60_000)
    open_tab(page, "own")
    page.locator("#own-models", has_text=NAME).wait_for()
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 1000})
        wait_until_drawn(page)
        page.screenshot(path=SHOTS / f"own-{width}-dark.png")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.context.close()


def test_off_where_strangers_may_come() -> None:
    with Pictures() as pictures:
        page = build(pictures, trusted=False)
    tab = next(b for b in page.blocks.values() if isinstance(b, gr.Tab) and b.id == "own")
    assert [type(child) for child in tab.children] == [gr.Markdown]
    assert "one computer alone" in tab.children[0].value
    names = {f.api_name for f in page.fns.values()}
    assert names.isdisjoint({"inspect_checkpoint", "add_checkpoint", "remove_model"}) and "compare" in names

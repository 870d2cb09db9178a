"""The Models view as a person uses it: drop a checkpoint, see what it is, add it, compare it, remove it."""

from __future__ import annotations

import io
import json
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
from mtkd.networks.edsr import EDSR
from mtkd.resize import imresize
from mtkd.zoo.checkpoints import load_state, read_state
from tests.app.conftest import served
from tests.app.pages import SHOTS, open_view, pane_names
from tests.browser import wait_until_answered, wait_until_drawn

pytestmark = pytest.mark.sweep

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
    page.locator(".mv-canvas[data-name='ground truth']").wait_for(timeout=180_000)
    open_view(page, "Models")
    yield page
    page.context.close()


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


def error(page: Any, place: str = "found") -> str:
    """What is wrong, as it stands at a place; the page says it there and nowhere else."""
    alert = page.locator(f"#own-{place} [role=alert]")
    alert.wait_for(timeout=90_000)
    wait_until_answered(page)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[role=alert]')].filter((n) => n.offsetParent).length === 1"
    )
    assert page.locator(".toast-body").count() == 0
    assert page.get_by_text("Error", exact=True).filter(visible=True).count() == 0
    return alert.inner_text()


def type_path(page: Any, path: Path) -> None:
    fill(page, "own-path", str(path))
    page.keyboard.press("Enter")


def test_a_checkpoint_is_inspected_before_anything_is_kept(page: Any, home: Path, tmp_path: Path) -> None:
    assert not page.locator("#own-add").is_visible()
    drop(page, checkpoint(tmp_path / "my net_x4.pth"))
    table = wait_for_table(page, "edsr_tiny")
    for text in ("EDSR", "edsr_tiny (student)", "×4", "57,960", "BasicSR"):
        assert text in table
    assert value(page, "own-name") == "my-net"
    page.screenshot(path=SHOTS / "own-1280.png")
    assert not home.joinpath("models").exists()


def test_added_and_compared(page: Any, server: str, home: Path) -> None:
    """Its pane shows, pixel for pixel, what the network makes of the example."""
    fill(page, "own-name", NAME)
    page.click("#own-add")
    page.locator("#own-compare").wait_for(timeout=90_000)
    assert (home / "models" / f"{NAME}_x4.safetensors").exists()
    assert f"{NAME} ×4 is now in all lists" in page.inner_text("#own-done")
    page.wait_for_function("name => document.querySelector('#own-models')?.innerText.includes(name)", arg=NAME)
    assert "my net_x4.pth" in page.inner_text("#own-models")
    page.click("#own-compare")
    page.locator(f".mv-canvas[data-name='{NAME}']").wait_for(timeout=180_000)
    assert pane_names(page)[:2] == ["ground truth", NAME]
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
    open_view(page, "Models")
    type_path(page, checkpoint(tmp_path / "rcan_tiny_x2.pth", "rcan_tiny", 2))
    page.locator("#own-file", has_text="my net").wait_for(state="detached")
    assert "×2" in wait_for_table(page, "rcan_tiny")
    fill(page, "own-name", "second")
    page.click("#own-add")
    page.wait_for_function("() => document.querySelector('#own-done')?.innerText.includes('second ×2')")
    page.click("#own-compare")
    page.locator(".mv-canvas[data-name='second']").wait_for(timeout=180_000)
    assert page.locator("#scale label:has-text('×2') input").is_checked()
    assert NAME not in pane_names(page)
    open_view(page, "Models")


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
        expected = "no code in it was run"
    elif kind == "text":
        path.write_text("not weights but a poem")
        expected = "not a supported checkpoint"
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
        expected = "not weights of"
    drop(page, path)
    message = error(page)
    assert expected.lower() in message.lower() and not message.startswith("The file")
    assert "Traceback" not in message and str(tmp_path) not in message and not re.search(r"/tmp|gradio/", message)
    assert not page.locator("#own-add").is_visible() and page.locator(".own-table").count() == 0
    assert page.locator("img[src=x]").count() == 0
    assert not mark.exists() and sorted(home.rglob("*")) == before


def test_a_wrong_file_is_refused_once_and_the_next_one_is_taken(page: Any, tmp_path: Path) -> None:
    """No second press of a button, no second message."""
    (tmp_path / "bad.pth").write_text("not weights but a poem")
    drop(page, tmp_path / "bad.pth")
    assert "Not a supported checkpoint" in error(page)
    assert page.locator("#own-found").inner_text().count("checkpoint") == 1
    drop(page, checkpoint(tmp_path / "good.pth"))
    wait_for_table(page, "edsr_tiny")
    assert page.locator("[role=alert]:visible").count() == 0 and page.locator("#own-add").is_enabled()


def test_bad_paths_choices_and_names(page: Any, tmp_path: Path) -> None:
    for path, expected in ((tmp_path, "A folder"), (tmp_path / "none.pt", "No such file")):
        type_path(page, path)
        page.locator("#own-found [role=alert]", has_text=expected).wait_for()
        assert expected in error(page)
    drop(page, checkpoint(tmp_path / "a.pth"))
    wait_for_table(page, "edsr_tiny")
    for name, expected in (
        ("edsr_mini", "is that of a bundled model"),
        (NAME, f"model '{NAME}' exists at scale 4"),
        ("../x", "use letters"),
    ):
        fill(page, "own-name", name)
        page.click("#own-add")
        page.locator("#own-done [role=alert]", has_text=expected).wait_for()
        assert expected in error(page, "done")
    page.get_by_text("Advanced: choose network").click()
    page.click("#own-scale input")
    page.get_by_role("option", name="×3", exact=True).click()
    page.locator(".own-table").wait_for(state="detached")
    assert "is not edsr_tiny x3 but edsr_tiny x4: upsample.0.weight is" in error(page).lower()
    page.click("#own-scale input")
    page.get_by_role("option", name="Detect", exact=True).click()
    wait_for_table(page, "edsr_tiny")


def test_several_networks_and_what_weights_do_not_tell(page: Any, home: Path, tmp_path: Path) -> None:
    """The fields that a file needs are there, and only for it."""
    assert not page.locator("#own-key").is_visible() and not page.locator("#own-settings").is_visible()
    torch.manual_seed(0)
    first, average = (EDSR(4, channels=10, blocks=blocks).state_dict() for blocks in (3, 2))
    torch.save({"net_g": first, "net_g_ema": average}, tmp_path / "two.pth")
    drop(page, tmp_path / "two.pth")
    assert "choose below" in wait_for_table(page, "10 channels, 2 blocks")
    assert value(page, "own-key") == "net_g_ema" and "res_scale=" in value(page, "own-settings")
    page.click("#own-key input")
    page.get_by_role("option", name="net_g", exact=True).click()
    wait_for_table(page, "10 channels, 3 blocks")
    fill(page, "own-name", "several")
    fill(page, "own-settings", "res_scale=much")
    page.locator("#own-name input, #own-name textarea").first.focus()
    assert "--set res_scale=much: give a value such as" in error(page)
    fill(page, "own-settings", "res_scale=0.5")
    page.locator("#own-path input, #own-path textarea").first.focus()
    wait_for_table(page, "As given: res_scale 0.5")
    page.screenshot(path=SHOTS / "own-several-1280.png")
    assert value(page, "own-name") == "several"
    page.click("#own-add")
    page.wait_for_function("() => document.querySelector('#own-done')?.innerText.includes('several ×4')")
    card = json.loads((home / "models" / "several_x4.json").read_text())
    assert card["options"]["res_scale"] == 0.5 and card["options"]["blocks"] == 3
    drop(page, checkpoint(tmp_path / "plain.pth"))
    wait_for_table(page, "edsr_tiny")
    assert not page.locator("#own-key").is_visible() and not page.locator("#own-settings").is_visible()


def test_removed_models_are_kept_aside(page: Any, home: Path) -> None:
    assert page.locator("#own-remove").is_disabled()
    page.locator("#own-models label", has_text="second ×2").click()
    page.locator("#own-remove:enabled").click()
    page.wait_for_function("() => document.querySelector('#own-removed')?.innerText.includes('is removed')")
    assert len(list((home / "models" / "removed").glob("second_x2-*.safetensors"))) == 1
    page.wait_for_function("() => !document.querySelector('#own-models').innerText.includes('second')")


def test_still_there_after_a_reload(page: Any) -> None:
    """The address opens the view again."""
    page.reload()
    page.locator("#own-models label", has_text=NAME).wait_for()


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
    page.locator(".mv-canvas[data-name='ground truth']").wait_for(timeout=180_000)
    open_view(page, "Models")
    page.locator("#own-models", has_text=NAME).wait_for()
    for width in (390, 1280, 1920):
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
    assert "serves one computer" in tab.children[0].value
    names = {f.api_name for f in page.fns.values()}
    assert names.isdisjoint({"inspect_checkpoint", "add_checkpoint", "remove_model"}) and "compare" in names

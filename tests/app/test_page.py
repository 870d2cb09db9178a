"""The built page's description: what the browser can trigger goes through the queue, and is let through the guard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from mtkd_app import tabs
from mtkd_app.main import build
from mtkd_app.server.session_files import Pictures


@pytest.fixture(scope="module")
def page() -> Iterator[gr.Blocks]:
    with Pictures() as pictures:
        yield build(pictures)


def test_no_event_of_the_browser_bypasses_the_queue(page: gr.Blocks) -> None:
    """Gradio posts an event without the queue to ``run/``, which the guard refuses."""
    served = [event for event in page.config["dependencies"] if event["targets"] and event["backend_fn"]]
    assert served
    assert [event["targets"] for event in served if event["queue"] is False] == []


def test_every_picture_is_sent_lossless(page: gr.Blocks) -> None:
    kinds = (gr.Image, gr.ImageSlider, gr.Gallery)
    pictures = [block for block in page.blocks.values() if isinstance(block, kinds)]
    assert pictures and {block.format for block in pictures} == {"png"}


def test_an_empty_viewer_says_what_fills_it_where_it_stands(page: gr.Blocks) -> None:
    """Compare fills by itself; nothing asks for a choice that is made above all views."""
    viewers = [block for block in page.blocks.values() if isinstance(block, gr.HTML) and block.elem_id]
    texts = {
        block.elem_id: block.props["options"]["empty"] for block in viewers if "empty" in block.props.get("options", {})
    }
    assert {"viewer", "wavelet-viewer", "lam-viewer"} <= set(texts)
    assert "Loading" in texts["viewer"]
    assert [name for name, text in texts.items() if "Choose" in text] == []


def test_no_ids_of_variants_are_seen_before_their_titles_are_there(page: gr.Blocks) -> None:
    (variants,) = [block for block in page.blocks.values() if block.elem_id == "ablation-variants"]
    assert not variants.visible or all(title != name for title, name in variants.choices)


DROPPED = """import gradio as gr
from mtkd_app.state import Shared, Tab


def greet(name: str) -> str:
    return f"Hello {name}"


def build(shared: Shared, tab: gr.Tab) -> None:
    name, answer = gr.Textbox(), gr.Textbox()
    name.submit(greet, name, answer, api_name="greet")


TAB = Tab("Dropped", order=25, build=build)
"""


def test_a_module_among_the_tabs_is_a_tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dropped.py").write_text(DROPPED)
    monkeypatch.setattr(tabs, "__path__", [*tabs.__path__, str(tmp_path)])
    try:
        with Pictures() as pictures:
            page = build(pictures)
    finally:
        sys.modules.pop("mtkd_app.tabs.dropped", None)
        vars(tabs).pop("dropped", None)
    shown = {block.id: block.label for block in page.blocks.values() if isinstance(block, gr.Tab)}
    titles = list(shown.values())
    assert titles.index("Compare") < titles.index("Dropped") < titles.index("Evidence")
    assert shown["dropped"] == "Dropped"
    (event,) = (event for event in page.fns.values() if event.api_name == "greet")
    assert event.fn is not None and event.fn("you") == "Hello you"
    assert [name for _, name in event.targets] == ["submit"]

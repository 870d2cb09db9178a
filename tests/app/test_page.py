"""The built page's description: what the browser can trigger goes through the queue, and is let through the guard."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest
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

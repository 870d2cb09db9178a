"""What a comparison says, in two sentences: about this picture, and in general."""

from __future__ import annotations

import html

import gradio as gr

from mtkd.data.examples import example as example_named
from mtkd.explore import Comparison
from mtkd.explore.comparison.region import Region
from mtkd.explore.comparison.story import story
from mtkd.explore.evidence.headline import headline, place_caption

from ..state import Shared


def layout(shared: Shared) -> gr.HTML:
    """An empty place for the sentences, and the way to the evidence."""
    with gr.Row(equal_height=False, elem_id="in-short"):
        sentences = gr.HTML(elem_id="facts", apply_default_css=False)
        shared.evidence.render()
    return sentences


def value(comparison: Comparison, region: Region | None, example: str | None) -> str:
    """The sentences; what is true in general stands beside what is seen here, with the same weight."""
    if comparison.hr_image is None:
        return _paragraphs("There is no ground truth: the results can be looked at, not measured.")
    general = headline(comparison.scale)
    shown = example_named(example) if example else None
    found = story(comparison, region)
    here = found.sentence() if found else ""
    if found and shown and shown.place and region == Region.of(shown.place.region):
        here = place_caption(shown.place, found, comparison.scale)
    note = shown.note if shown else ""
    plain = found.beside() if found else ""
    if general is None:
        return _paragraphs(_joined(here, plain), note)
    beside = _joined(here, plain, general.beside() if plain else "")
    return f"<p><b>{html.escape(general.verdict())}</b></p>{_paragraphs(beside, note, general.sentence())}"


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _paragraphs(*sentences: str) -> str:
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences if sentence)

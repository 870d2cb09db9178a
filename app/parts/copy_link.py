"""A part of the Compare tab: the button that copies the page's address."""

from __future__ import annotations

import gradio as gr

from ..state import PRIVATE

_LINK = "Copy link"
_COPY_LINK = f"""async () => {{
  try {{
    await navigator.clipboard.writeText(location.href);
    return "Copied";
  }} catch {{ // no clipboard over plain http, or not allowed
    window.prompt("The link to this view", location.href);
    return "{_LINK}";
  }}
}}"""
_LINK_AGAIN = f'() => new Promise((done) => setTimeout(() => done("{_LINK}"), 1500))'


def layout() -> gr.Button:
    """Lay out the button."""
    return gr.Button(_LINK, size="sm", elem_id="link", scale=0, min_width=110)


def connect(link: gr.Button) -> None:
    """Copy the address; the button says so for a moment."""
    copied = link.click(None, None, link, js=_COPY_LINK, **PRIVATE)
    copied.then(None, None, link, js=_LINK_AGAIN, **PRIVATE)

"""Pages that show the viewer."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer

import pytest

from tests.explore.viewer.page import NAMED, Handler, Viewer


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def open_viewer(browser, address):
    """Shows panes in a viewer on a fresh page; browser windows are shared, one for each kind of screen."""
    pages = {}

    def open_(*arguments, width=1280, height=800, scale=1, theme="light", **options):
        if (scale, theme) not in pages:
            pages[scale, theme] = browser.new_page(width, height, device_scale_factor=scale, color_scheme=theme)
        page = pages[scale, theme]
        page.set_viewport_size({"width": width, "height": height})
        page.mouse.move(0, 0)
        page.goto(address)
        page.wait_for_function("() => Boolean(window.start)")
        return Viewer(page, *arguments, **options)

    yield open_
    for page in pages.values():
        page.context.close()


@pytest.fixture
def viewer(open_viewer):
    return open_viewer()


@pytest.fixture
def named(open_viewer):
    """Three panes as of a comparison."""
    return open_viewer(NAMED[:3], reference="truth")

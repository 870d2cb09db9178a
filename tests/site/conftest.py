"""A site on a plain host under a sub-path, for the tests in Chromium and Firefox, and what its pages take and give."""

from __future__ import annotations

import base64
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtkd import infer, zoo
from mtkd.errors import UserError
from mtkd.images import to_tensor, to_uint8
from mtkd.networks import folded
from mtkd.site.build import build
from mtkd.site.runtime import runtime

MODELS = ("rcan_tiny-scratch", "rcan_tiny-mtkd", "edsr_tiny-mtkd")
BYTES = """image => { let text = ''; for (const byte of image.data) text += String.fromCharCode(byte);
  return [image.width, image.height, btoa(text)]; }"""
GIVEN = """(text, w, h) => { const bytes = Uint8ClampedArray.from(atob(text), (c) => c.charCodeAt(0));
  return new ImageData(bytes, w, h); }"""


def data_of(image: np.ndarray) -> list[object]:
    """An image (h, w, 3) as arguments of :data:`GIVEN`."""
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    return [base64.b64encode(opaque.tobytes()).decode(), image.shape[1], image.shape[0]]


def expected(name: str, image: np.ndarray) -> np.ndarray:
    """What ``mtkd upscale`` makes."""
    return to_uint8(infer.upscale(folded(zoo.load(name, 4)), to_tensor(image), 4))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain host of static files."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def runtime_folder() -> Path:
    """onnxruntime-web: that of the folder MTKD_RUNTIME, or from npm."""
    pytest.importorskip("onnxscript", reason="needs the extra 'export'")
    if given := os.environ.get("MTKD_RUNTIME"):
        return runtime(Path(given))
    try:
        return runtime()
    except UserError as error:
        pytest.skip(f"needs onnxruntime-web: {error}")


@pytest.fixture(scope="session")
def folder(runtime_folder, tmp_path_factory) -> Path:
    """A site under a sub-path."""
    return build(tmp_path_factory.mktemp("host") / "group" / "demo", MODELS, 4, runtime_folder)


@pytest.fixture(scope="session")
def address(folder):
    yield from hosted(folder)


def hosted(folder: Path) -> Iterator[str]:
    """The address of a site on a plain host, under a sub-path."""
    handler = functools.partial(Quiet, directory=folder.parent.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/{folder.parent.name}/{folder.name}/"
    server.shutdown()
    server.server_close()

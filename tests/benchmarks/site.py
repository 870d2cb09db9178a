"""Speed of the static site: ``python -m tests.benchmarks.site [--rounds 7]``; its numbers are in docs/static-site.md.

Serves a site of edsr_tiny and the models that it opens with, plainly, and measures in Chromium: ``upscale`` of 256 x
256 LR pixels on one thread (first visit) and on several (second visit), beside native onnxruntime on as many; and time
from opening the page, with an empty cache, to the first result. Least of the rounds; page and onnxruntime take turns.
On a busy machine the clock tells little: CPU seconds of the page's process and of this one stand beside it.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mtkd.site import build
from mtkd.site.runtime import VERSION
from tests.benchmarks.converters import renderer_seconds
from tests.browser import open_browser

MODEL = "edsr_tiny-mtkd"
SIDE = 256
UPSCALE = """async ([name, side]) => {
  const { upscale } = await import('./engine.js');
  const image = new ImageData(side, side);
  image.data.forEach((_, i) => { image.data[i] = i % 4 === 3 ? 255 : (i * 37) % 251; });
  const began = performance.now();
  await upscale(name, 4, image);
  return performance.now() - began;
}"""
FIRST = """() => document.querySelector('#table tbody tr') ? performance.now() : false"""


Times = tuple[float, float]
"""Milliseconds of the clock, and of the CPU."""


class Plain(http.server.SimpleHTTPRequestHandler):
    """A host that says nothing."""

    def log_message(self, *_: object) -> None:
        pass


def native(file: Path, threads: int) -> Callable[[], Times]:
    """A run by onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    lr_image = np.random.default_rng(0).random((1, 3, SIDE, SIDE), dtype=np.float32)

    def run() -> Times:
        began = time.perf_counter(), time.process_time()
        session.run(None, {"lr": lr_image})
        return 1000 * (time.perf_counter() - began[0]), 1000 * (time.process_time() - began[1])

    return run


def upscaled(page: Any) -> Times:
    """A run of the page."""
    began = renderer_seconds()
    clock = page.evaluate(UPSCALE, [MODEL, SIDE])
    return clock, 1000 * (renderer_seconds() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--site", type=Path, help="a site of `mtkd site` that has the models, in place of a new one")
    given = parser.parse_args()
    rounds = given.rounds
    with tempfile.TemporaryDirectory() as work, open_browser() as browser:
        folder = given.site or build(Path(work) / "site", ("rcan_tiny-scratch", "rcan_tiny-mtkd", MODEL))
        handler = functools.partial(Plain, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"

        opening = []
        for _ in range(rounds):
            page = browser.new_page()
            page.on("pageerror", lambda error: print(f"page: {error}"))
            page.on("console", lambda said: print(f"page: {said.text}"))
            page.on("requestfailed", lambda request: print(f"failed: {request.url} {request.failure}"))
            page.goto(address)
            opening.append(page.wait_for_function(FIRST, timeout=120_000).json_value())
            page.context.close()
        print(f"onnxruntime {onnxruntime.__version__}, onnxruntime-web {VERSION}, Chromium {browser.instance.version}")
        print(
            f"first result after opening: {min(opening) / 1000:.2f} s (of {rounds}; largest {max(opening) / 1000:.2f})"
        )

        page = browser.new_page()
        for visit in (1, 2):
            page.goto(address)
            page.wait_for_function("document.body.dataset.ended > 0", timeout=120_000)
            threads = page.evaluate("(async () => (await import('./engine.js')).threads)()")
            run = native(folder / "models" / f"{MODEL}.onnx", threads)
            run(), upscaled(page)
            pairs = [(run(), upscaled(page)) for _ in range(rounds)]
            for number, what in enumerate(("clock", "CPU")):
                ours, theirs = (min(one[number] for one in side) for side in zip(*pairs, strict=True))
                ratio = theirs / ours
                print(f"{threads} threads, {what}: native {ours:.0f} ms, page {theirs:.0f} ms, ratio {ratio:.2f}")
            if visit == 1:
                page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        server.shutdown()


if __name__ == "__main__":
    main()

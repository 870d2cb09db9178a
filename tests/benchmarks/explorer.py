"""The explorer as its page shows it: seconds to the first panes, to a region's numbers, and a large image.

Run ``python -m tests.benchmarks.explorer`` on an otherwise idle machine; it needs Chromium.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil
from PIL import Image

from mtkd.data.examples import EXAMPLES
from tests.app.conftest import served
from tests.app.pages import another_run, draw_region, open_page, open_picture_panel, upload, wait_for_run, wait_for_text
from tests.browser import open_browser

FRAMES = """() => new Promise((done) => {
  const canvas = document.querySelector('#viewer .mv-canvas'), box = canvas.getBoundingClientRect(), times = [];
  const tick = (now) => {
    times.push(now);
    if (times.length > 60) return done((times.at(-1) - times[0]) / 60);
    canvas.parentElement.dispatchEvent(new WheelEvent('wheel', {
      deltaY: times.length % 30 < 15 ? -120 : 120, bubbles: true, cancelable: true,
      clientX: box.x + box.width / 2, clientY: box.y + box.height / 2,
    }));
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})"""


def timed(action) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    """Print one row a measurement as markdown."""
    print("| what | measured | target |\n|---|--:|--:|")
    with (
        tempfile.TemporaryDirectory() as folder,
        served(MTKD_HOME=folder) as (address, process),
        open_browser() as browser,
    ):
        server = psutil.Process(process.pid)
        began = time.perf_counter()
        page = browser.new_page(1280, 900)
        page.goto(address)
        page.locator("#viewer .mv-canvas").first.wait_for()
        shown = time.perf_counter() - began
        print(f"| first view painted, after the server answers | {shown:.1f} s | 2 s |", flush=True)
        wait_for_run(page, "")
        all_panes = time.perf_counter() - began
        print(f"| all panes of it | {all_panes:.1f} s | |", flush=True)
        page.context.close()
        page = open_page(browser, address)
        open_picture_panel(page)

        def choose_another() -> None:
            page.locator("#examples button.thumbnail-item, #examples .grid-container button").nth(2).click()
            page.wait_for_function("document.querySelectorAll('#viewer a[download]:not([hidden])').length == 1")

        print(f"| another example, to the first result | {timed(choose_another):.1f} s | 1 s |", flush=True)
        wait_for_run(page, "")
        region = timed(lambda: (draw_region(page), wait_for_text(page, "#table", "region PSNR-Y")))
        print(f"| a region's numbers, from the mouse button's release | {region:.1f} s | no model runs |", flush=True)
        before = server.memory_info().rss
        large = Path(folder) / "large.png"
        Image.open(EXAMPLES[1].path).resize((2040, 1356), Image.Resampling.BICUBIC).save(large)
        with another_run(page):
            upload(page, large)
        began = time.perf_counter()
        with another_run(page):
            page.click("#whole")
        seconds = time.perf_counter() - began
        print(f"| 2040 x 1356, all default panes | {seconds:.0f} s | |", flush=True)
        grown = (server.memory_info().rss - before) / 2**20
        print(f"| growth of the server's memory for it | {grown:.0f} MiB | |", flush=True)
        page.wait_for_function("!document.querySelector('#viewer .mv-loading')")
        print(
            f"| a frame while zooming, four panes of 2040 x 1356 | {page.evaluate(FRAMES):.0f} ms | fluid |", flush=True
        )


if __name__ == "__main__":
    main()

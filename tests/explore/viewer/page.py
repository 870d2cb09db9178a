"""A page that shows the viewer, and what tests do with it."""

from __future__ import annotations

import base64
import io
import json
from http.server import BaseHTTPRequestHandler

import numpy as np
from PIL import Image

from mtkd.explore.viewer import script, style

WIDTH, HEIGHT = 200, 150
EVIL = '<img src=x onerror="window.hacked=1"><b>student</b>'
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><link rel="stylesheet" href="/viewer.css">
<body style="margin:8px"><div id="root"></div><script type="module">
import { mount } from "/viewer.js";
window.views = [];
window.start = (panes, options = {}) => {
  window.viewer = mount(document.querySelector("#root"),
    { panes, onView: (view) => window.views.push(view), ...options });
};
</script>"""


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def coordinates(blue: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """An image that says where it was read: red is x, green is y, blue tells images apart."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, blue)], axis=-1).astype(np.uint8)


def checkerboard() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.where(((x + y) % 2 == 0)[..., None], [250, 10, 20], [10, 240, 130]).astype(np.uint8)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def near(image: np.ndarray, by: int) -> np.ndarray:
    """The image, changed by at most so many levels."""
    changed = image + np.random.default_rng(by).integers(-by, by + 1, image.shape)
    return changed.clip(0, 255).astype(np.uint8)


IMAGES = {
    "first": coordinates(10),
    "second": coordinates(20),
    "error": 255 - coordinates(30),
    "checkerboard": checkerboard(),
    "noise": noise(),
    "near": near(noise(), 20),
    "far": near(noise(), 24),
    "small": coordinates(60, HEIGHT // 2, WIDTH // 2),
    "other_size": coordinates(70, 120, 90),
    "large": coordinates(0, 1356, 2000),
    **{f"large_{i}": coordinates(10 * i + 10, 1356, 2000) for i in range(3)},
}
PANES = [
    {"name": "LR", "caption": "50 × 37", "layers": {"image": "/first.png"}, "scale": 4},
    {
        "name": "edsr_mini",
        "caption": "31.09 dB · 0.8801",
        "layers": {"image": "/second.png", "error": "/error.png"},
        "download": {"href": "/second.png", "filename": "edsr.png"},
    },
    {"name": "checkerboard", "layers": {"image": "/checkerboard.png"}},
    {
        "name": "noise",
        "layers": {"image": "data:image/png;base64," + base64.b64encode(png(IMAGES["noise"])).decode()},
        "download": {"href": "javascript:window.hacked=2", "filename": "x"},
    },
    {"name": EVIL, "caption": EVIL, "layers": {"image": {"url": "/second.png"}, EVIL: "/error.png"}},
    {"name": "lost", "layers": {"image": "/missing.png"}},
]


START = {"zoom": 1, "cx": 0.5, "cy": 0.5, "layer": "image", "mode": "grid", "focus": None, "pair": None,
         "baseline": None, "gain": 1, "region": None}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        pages = {"/": (PAGE, "text/html"), "/viewer.js": (script(), "text/javascript")}
        pages["/viewer.css"] = (style(), "text/css")
        if self.path == "/widget.js":
            from mtkd.explore.viewer.widget import Viewer as Widget

            pages[self.path] = (str(Widget._esm), "text/javascript")
        name = self.path.strip("/").removesuffix(".png")
        if self.path in pages:
            text, kind = pages[self.path]
            body = text.encode()
        elif name in IMAGES:
            body, kind = png(IMAGES[name]), "image/png"
        else:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


NAMED = [
    {"name": "truth", "title": "Ground truth", "layers": {"image": "/first.png"}},
    {"name": "alone", "title": "Student alone", "caption": "29 dB", "layers": {"image": "/second.png"}},
    {"name": "mtkd", "caption": "31 dB", "layers": {"image": "/checkerboard.png"}},
    {"name": "mt", "layers": {}, "title": "Combined teacher", "caption": "about 12 s", "pending": "running"},
]


class Viewer:
    """What the tests do with a page that shows the viewer."""

    def __init__(self, page, panes=PANES, **options):
        self.page = page
        self.names = [pane["name"] for pane in panes]
        page.evaluate("([panes, options]) => start(panes, options)", [panes, options])
        self.wait_loaded()

    def wait_loaded(self):
        self.page.wait_for_function("!document.querySelector('.mv-loading')")
        self.settle()

    def settle(self):
        """Wait for the drawing of what was just done: three frames."""
        self.page.evaluate(
            "() => new Promise((done) => { let n = 3;"
            " const tick = () => (n-- ? requestAnimationFrame(tick) : done()); tick(); })"
        )

    @property
    def view(self):
        return json.loads(self.page.evaluate("document.querySelector('#root').dataset.view"))

    def canvas(self, name):
        return self.page.locator(".mv-canvas").nth(self.names.index(name))

    def pixels(self, name) -> np.ndarray:
        """The RGBA values of a pane's canvas, (H, W, 4)."""
        return self._pixels(self.canvas(name))

    def drawn(self) -> np.ndarray:
        """The RGBA values of the one canvas that is seen, (H, W, 4)."""
        return self._pixels(self.page.locator(".mv-canvas:visible"))

    @staticmethod
    def _pixels(canvas) -> np.ndarray:
        picture = canvas.evaluate("(canvas) => canvas.toDataURL('image/png')")
        with Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))) as image:
            return np.asarray(image.convert("RGBA"))

    def point(self, name, fx=0.5, fy=0.5):
        box = self.canvas(name).bounding_box()
        return box["x"] + fx * box["width"], box["y"] + fy * box["height"]

    def wheel(self, name, delta, fx=0.5, fy=0.5):
        self._turn(*self.point(name, fx, fy), delta)

    def _turn(self, x, y, delta):
        self.page.mouse.move(x, y)
        # The event comes asynchronously.
        listen = "new Promise((done) => addEventListener('wheel', done, {once: true, capture: true}))"
        self.page.evaluate(f"() => {{ window.turned = {listen}; }}")
        self.page.mouse.wheel(0, delta)
        self.page.evaluate("() => window.turned.then(() => null)")
        self.settle()

    def wheel_over(self, box):
        """A turn of the wheel in the middle of a place on the page."""
        self._turn(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4, -400)

    def click(self, label):
        self.page.locator(".mv-bar .mv-button", has_text=label).first.click()
        self.settle()

    def key(self, key):
        self.page.keyboard.press(key)
        self.settle()

    def focus(self):
        self.page.locator("#root").focus()

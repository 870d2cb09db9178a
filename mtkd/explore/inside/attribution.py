"""Attribution of one comparison's results as pictures and numbers (Sec. 5.3.1, Fig. 4)."""

from __future__ import annotations

import io
import json
import queue
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.explain.answer import Explanation, answer
from mtkd.explain.maps import attribution_maps, density, diffusion_index
from mtkd.explain.question import Question, Window, ask
from mtkd.explore.comparison.core import Comparison, SaveImage, compare
from mtkd.explore.comparison.paper_figures import PRESETS, attribution_figure, busiest_region, preset_images, render
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw import colours
from mtkd.explore.viewer import Pane
from mtkd.images import UInt8Image, to_uint8

SHORT = 0.3
"""Seconds between two signs of life."""


def models(comparison: Comparison) -> list[str]:
    """The results that can be attributed: of networks of the catalogue."""
    return [r.name for r in comparison.results if r.role not in ("interpolation", "elsewhere")]


def window_in(comparison: Comparison, region: Region | None, size: int) -> Window:
    """The window of ``size`` around the middle of a region, moved inside; where there is most detail without one.

    Raises:
        UserError: the image is too small for the window.
    """
    height, width = (side * comparison.scale for side in comparison.lr_image.shape[:2])
    if size + 1 > min(height, width):
        raise UserError(f"the result is {width} x {height}: too small for a window of {size} x {size} and 1 pixel more")
    if region is None:
        pictures = list(comparison.pictures().values())
        region = busiest_region(pictures[-1], size, size)
    top = region.top + region.height // 2 - size // 2
    left = region.left + region.width // 2 - size // 2
    # Differences reach one pixel below and to the right of the window.
    return Window(min(max(0, top), height - size - 1), min(max(0, left), width - size - 1), size)


def question(comparison: Comparison, model: str, window: Window) -> Question:
    """See :func:`mtkd.explain.question.ask`."""
    return ask(model, comparison.lr_image, comparison.scale, window)


class Cancelled(Exception):  # noqa: N818
    """Nobody waits for the answer any more."""


class Turn(Protocol):
    """A lock that can be handed on to others between two steps."""

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> object: ...

    def pass_on(self) -> None:
        """Have the next turn after those that wait."""


State = tuple[int, int, Explanation | None]
"""Steps done, of how many, and at the end the answer."""


def answer_in_steps(asked: Question, method: str = "lam", turn: Turn | None = None, **options: Any) -> Iterator[State]:
    """Answer in a thread of its own; yields how many steps are done, of how many, at the end with the answer.

    Closing the iterator stops the work at its next step. ``turn`` is held while it works, and passed on at each step.

    Raises:
        UserError: see :func:`~mtkd.explain.answer.answer`.
    """
    told: queue.Queue[State | Exception] = queue.Queue()
    closed = threading.Event()

    def progress(done: int, of: int) -> None:
        if closed.is_set():
            raise Cancelled
        told.put((done, of, None))
        if turn:
            turn.pass_on()

    def work() -> None:
        try:
            with turn or nullcontext():
                told.put((1, 1, answer(asked, method, progress=progress, **options)))
        except Exception as error:
            told.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    done: State = (0, 1, None)
    try:
        while done[2] is None:
            try:
                news = told.get(timeout=SHORT)
                while not told.empty():
                    if isinstance(news, Exception) or news[2] is not None:
                        break
                    news = told.get()
            except queue.Empty:
                yield done
                continue
            if isinstance(news, Exception):
                raise news
            done = news
            yield done
    finally:
        closed.set()


@dataclass(frozen=True)
class Shown:
    """Maps of one question as they are drawn: ``attributions`` (3, H, W), one an input; ``preview``: saliency alone."""

    asked: Question
    attributions: Sequence[Tensor]
    preview: bool

    def panes(self, comparison: Comparison, save: SaveImage) -> list[Pane]:
        """The result with the window, and each input: its image, its map, the map on the image, its density.

        All maps are scaled together, 0 black, the largest value pale yellow.
        """
        layers = ("map", "on the image", "density", "image")
        address = save("result", comparison[self.asked.model].image)
        panes: list[Pane] = [
            {
                "name": self.asked.model,
                "caption": "click: place the window",
                "layers": dict.fromkeys(layers, address),
            }
        ]
        factor = comparison.scale // self.asked.input_scale
        maps = attribution_maps(self.attributions)
        for name, image, attribution, one in zip(
            self.asked.inputs, self.asked.images, self.attributions, maps, strict=True
        ):
            picture = to_uint8(image)
            drawn = (colours.heat_map(_levels(one)), on_image(one, picture), _density(one), picture)
            di = diffusion_index(attribution.sum(-3).abs())
            size = f"{one.shape[1]} × {one.shape[0]}"
            caption = f"{size} · preview" if self.preview else f"{size} · DI {'–' if di is None else f'{di:.2f}'}"
            addresses = {
                layer: save(f"{name} {layer}", _enlarged(one, factor)) for layer, one in zip(layers, drawn, strict=True)
            }
            panes.append({"name": name, "caption": caption, "layers": addresses})
        return panes


def on_image(one: Tensor, image: UInt8Image) -> UInt8Image:
    """A map (H, W), 0 to 1, over the grey, darkened image (H, W, 3): where it is strong its colours hide the image."""
    grey = image.astype(np.float64).mean(-1, keepdims=True) * 0.6
    strength = np.sqrt(_levels(one))[..., None]
    mixed = (1 - strength) * grey + strength * colours.heat_map(_levels(one))
    return np.ascontiguousarray(mixed.round().astype(np.uint8))


def _levels(one: Tensor) -> NDArray[np.float64]:
    values: NDArray[np.float64] = one.double().numpy()
    return values


def _density(one: Tensor) -> UInt8Image:
    """The density of a map, its peak pale yellow; black where it has none."""
    try:
        values = density(one)
    except UserError:
        values = np.zeros(one.shape)
    return colours.heat_map(values / (values.max() or 1))


def _enlarged(image: UInt8Image, factor: int) -> UInt8Image:
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def archive(found: Explanation) -> bytes:
    """All that :meth:`~mtkd.explain.answer.Explanation.save` writes, as one zip file."""
    file = io.BytesIO()
    with TemporaryDirectory() as folder, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in found.save(Path(folder)):
            packed.write(path, path.name)
    return file.getvalue()


def figure(comparison: Comparison, asked: Question, found: Explanation, form: str) -> bytes:
    """Fig. 4 of one answer, as a file of the form "png" or "pdf" that carries the answer's numbers."""
    window = found.window
    di = [diffusion_index(a.sum(-3).abs()) for a in found.attributions]
    rows = [
        (name, to_uint8(image), one.numpy(), index)
        for name, image, one, index in zip(found.inputs, asked.images, found.maps, di, strict=True)
    ]
    place = Region(window.top, window.left, window.size, window.size)
    if asked.input_scale == 1:  # the window is in the result: show that above the map
        rows = [(found.model, comparison[found.model].image, rows[0][2], rows[0][3])]
    return render(attribution_figure(comparison.lr_image, rows, place), form, json.dumps(found.row()))


def paper_question(scale: int, size: int = 16) -> tuple[str, Comparison, Question]:
    """What Fig. 4 shows: the first aggregator of a scale on the paper's image, or on the one that stands in for it.

    The paper names no window: it lies where there is most detail.

    Raises:
        UserError: there is no aggregator at this scale.
    """
    aggregator = next((m.name for m in zoo.models(scale) if m.role == "aggregator"), None)
    if aggregator is None:
        raise UserError(f"no aggregator is trained at x{scale}")
    (title, image), *_ = preset_images(PRESETS["fig4"], scale)
    comparison = compare(image, [aggregator], scale)
    return title, comparison, question(comparison, aggregator, window_in(comparison, None, size))

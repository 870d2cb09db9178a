"""Several networks on one image: results, numbers and pictures of the differences."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.explore.comparison.choices import BICUBIC, SCRATCH, title
from mtkd.explore.comparison.columns import columns, metric_column
from mtkd.explore.comparison.outputs import Tiles, loaded, outputs
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw import colours
from mtkd.explore.viewer import Pane
from mtkd.images import UInt8Image, chw, crop_to_multiple, to_uint8
from mtkd.metrics import DEFAULT, PAPER, Protocol, chosen, measure_possible, shown, spec
from mtkd.metrics.flip import error_map
from mtkd.photos.enlarge import opacity
from mtkd.resize import imresize
from mtkd.training.dataset import trained_on
from mtkd.zoo.costs import multiply_adds
from mtkd.zoo.titles import distinct

_TEXTS = ("title", "name", "role")
"""The columns of the table that hold no numbers."""

SaveImage = Callable[[str, UInt8Image], str]
"""Stores a picture under a name and returns its address (a URL or a data URI)."""

LR, TRUTH = "LR", "ground truth"
"""The names of the pictures that no model made."""

TITLES = {LR: "LR input", TRUTH: "Ground truth"}
"""What people read in place of them."""
REGION = Protocol(crop=0)
"""How a region is measured: all of its pixels count."""


@dataclass(frozen=True)
class Result:
    """One model's output: ``image`` (sH, sW, 3) uint8; ``metrics`` by name, None without ground truth.

    ``seconds`` is the time of one run on this machine, ``multiply_adds`` those at 1280 x 720 output; an aggregator's
    and its ``parameters`` include its teachers'. A result from elsewhere has none of the three. ``network`` and
    ``method`` are those of the model's card, where it has one; a snapshot has no ``method``. ``title`` is what people
    read in place of the name.
    """

    name: str
    role: str
    parameters: int | None
    multiply_adds: int | None
    seconds: float | None
    image: UInt8Image
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    network: str | None = None
    method: str | None = None
    title: str = ""
    seen: bool = False
    """Whether the model was trained on this image."""

    @property
    def psnr(self) -> float | None:
        """PSNR in dB, in which gains are given; None where it was not measured."""
        return self.metrics.get("psnr")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Results of several models on one LR image (H, W, 3) uint8, in the order that they were asked for.

    Two are equal only if they are the same object.
    """

    scale: int
    lr_image: UInt8Image
    hr_image: UInt8Image | None
    results: tuple[Result, ...]
    bicubic_psnr: float | None = None
    """Of the interpolation, whether or not it is among the results; None without ground truth."""
    protocol: str = str(PAPER)
    metrics: tuple[str, ...] = DEFAULT
    """The metrics that were asked for, in order."""
    pending: Mapping[str, str] = field(default_factory=dict)
    """Models that have not run yet, the next one first: titles by name."""
    alpha: NDArray[np.uint8] | None = None
    """Opacity (H, W) of the LR image of a transparent picture, without ground truth."""

    @property
    def pixels(self) -> int:
        """Of one result."""
        height, width = self.lr_image.shape[:2]
        return int(height * width * self.scale**2)

    def __getitem__(self, name: str) -> Result:
        """The result of one model.

        Raises:
            KeyError: it was not among the compared models.
        """
        return {result.name: result for result in self.results}[name]

    def stored(self, store: Callable[[str, UInt8Image], UInt8Image]) -> Comparison:
        """The same, with what ``store`` gives back for each image, by a name: for images kept elsewhere."""
        results = tuple(replace(r, image=store(f"result {r.name}", r.image)) for r in self.results)
        hr_image = None if self.hr_image is None else store("HR", self.hr_image)
        alpha = None if self.alpha is None else store("opacity", self.alpha)
        return replace(self, lr_image=store("LR", self.lr_image), hr_image=hr_image, results=results, alpha=alpha)

    def table(self, region: Region | None = None) -> list[dict[str, Any]]:
        """One row a result: what it took, its metrics by name, and its gains in PSNR, ``over_bicubic`` and
        ``over_scratch``; with a region also the metrics in it, ``region_psnr`` and so on.

        ``over_scratch`` is over the student of the same network that was trained without distillation, where it is
        among the results.

        Raises:
            UserError: the region leaves the image.
        """
        alone = (result for result in self.results if result.method == SCRATCH)
        scratch_of = {result.network: result.psnr for result in alone}
        inside = self.quality_in(region) if region else {}
        rows = []
        for result in self.results:
            distilled = result.role == "student" and result.method != SCRATCH
            row: dict[str, Any] = {"title": result.title or result.name}
            row |= {key: getattr(result, key) for key in ("name", "role", "parameters", "multiply_adds", "seconds")}
            row |= {name: result.metrics.get(name) for name in self.metrics}
            row["over_bicubic"] = _gain(result.psnr, self.bicubic_psnr)
            row["over_scratch"] = _gain(result.psnr, scratch_of.get(result.network) if distilled else None)
            rows.append(row | {f"region_{name}": value for name, value in inside.get(result.name, {}).items()})
        return rows

    def markdown(self) -> str:
        """The table as markdown, with the protocol under it."""
        keys = (*_TEXTS, "parameters", "seconds", *self.metrics)
        shown = [column for column in columns(self.metrics) if column.key in keys]
        lines = [
            f"| {' | '.join(column.title for column in shown)} |",
            f"|{'|'.join('---' if column.key in _TEXTS else '--:' for column in shown)}|",
        ]
        lines += [f"| {' | '.join(column.text(row, '–') for column in shown)} |" for row in self.table()]
        return "\n".join([*lines, "", f"Measured with {self.protocol}, x{self.scale}."])

    def csv(self, region: Region | None = None) -> str:
        """The table as comma-separated values, every digit, with scale and protocol in each line.

        With a region also its place, "top left height width", and the metrics in it.

        Raises:
            UserError: the region leaves the image.
        """
        inside = region is not None and self.hr_image is not None
        heads = [column.key for column in columns(self.metrics)] + ["scale", "protocol"]
        heads += ["region", *(f"region_{name}" for name in self.metrics)] if inside else []
        place = " ".join(map(str, vars(region).values())) if region else ""
        rows = [row | {"scale": self.scale, "protocol": self.protocol, "region": place} for row in self.table(region)]
        text = io.StringIO()
        writer = csv.DictWriter(text, heads, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def quality_in(self, region: Region) -> dict[str, dict[str, float | None]]:
        """The metrics of every result in a region of the image: :data:`REGION`.

        None for a metric for which the region is too small: SSIM with fewer than 11 pixels a side. Nothing without
        ground truth.

        Raises:
            UserError: the region leaves the image.
        """
        if self.hr_image is None:
            return {}
        truth = region.cut(self.hr_image)
        return {
            result.name: measure_possible(region.cut(result.image), truth, self.scale, self.metrics, REGION)
            for result in self.results
        }

    def pictures(self) -> dict[str, UInt8Image]:
        """Every picture of the comparison by name, all of one size: the LR image enlarged (nearest), the results, the
        ground truth."""
        enlarged = self.lr_image.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
        found = {LR: enlarged} | {r.name: r.image for r in self.results}
        return found if self.hr_image is None else found | {TRUTH: self.hr_image}

    def titles(self) -> dict[str, str]:
        """What people read in place of the name of each picture, and of those still to come."""
        found = {r.name: r.title or r.name for r in self.results} | {**self.pending}
        if self.hr_image is None:
            return {LR: "Your photo", **found}
        return {LR: TITLES[LR], **found, TRUTH: TITLES[TRUTH]}

    def best_teacher(self) -> tuple[UInt8Image, dict[str, float]] | None:
        """Which teacher is nearest to the ground truth at each pixel, as a picture and shares by name.

        Of more teachers than there are colours, those of the highest PSNR take part. None without ground truth or with
        fewer than two teachers.
        """
        teachers = [r for r in self.results if r.role == "teacher"]
        if self.hr_image is None or len(teachers) < 2:
            return None
        best = sorted(teachers, key=lambda r: r.psnr or 0, reverse=True)[: len(colours.PALETTE)]
        teachers = [r for r in teachers if any(r is one for one in best)]
        picture, shares = colours.best_model_map([r.image for r in teachers], self.hr_image)
        return picture, {r.name: share for r, share in zip(teachers, shares, strict=True)}

    def captions(self, region: Region | None = None) -> dict[str, str]:
        """What stands under the name of each picture: its metrics, of the image, or of a region of it and the PSNR
        of the whole.

        Raises:
            UserError: the region leaves the image.
        """
        height, width = self.lr_image.shape[:2]
        found = {LR: f"{width} × {height}, nearest", TRUTH: ""}
        part = self.quality_in(region) if region else {}
        for r in self.results:
            if self.hr_image is None:
                found[r.name] = r.role if r.seconds is None else f"{r.seconds:.2f} s"
            else:
                quality = part.get(r.name, r.metrics)
                values = " · ".join(_caption(name, quality) for name in self.metrics)
                whole = (
                    f" · whole {metric_column('psnr').text(dict(r.metrics), '–')}"
                    if part and "psnr" in r.metrics
                    else ""
                )
                seen = " · seen in training" if r.seen else ""
                found[r.name] = f"{'region ' if part else ''}{values}{whole}{seen}"
        return found

    def panes(
        self, save: SaveImage, region: Region | None = None, saved: Mapping[str, Pane] | None = None
    ) -> list[Pane]:
        """Panes of the synchronised viewer: the ground truth, every result with its error maps, LR.

        Without ground truth LR is the first. ``saved`` holds panes of this comparison by name whose pictures are not
        saved again.
        """
        captions, titles, pictures = self.captions(region), self.titles(), self.pictures()
        panes: list[Pane] = []
        names = list(pictures) if self.hr_image is None else [TRUTH, *(r.name for r in self.results), LR]
        for name in names:
            if saved and name in saved:
                panes.append({**saved[name], "caption": captions[name]})
                continue
            layers = self._layers(name, pictures[name], save)
            pane: Pane = {"name": name, "title": titles[name], "caption": captions[name], "layers": layers}
            if self.alpha is not None:
                pane["transparent"] = True
            if name == LR:
                pane["scale"] = self.scale
            elif name != TRUTH:
                pane["download"] = {"href": pane["layers"]["image"], "filename": f"{name}_x{self.scale}.png"}
            panes.append(pane)
        return panes

    def _clear(self, name: str, image: UInt8Image) -> UInt8Image:
        """A picture with the opacity that it has: the LR image's, or that interpolated as bicubic does."""
        if self.alpha is None:
            return image
        if name == LR:
            return np.dstack([image, self.alpha.repeat(self.scale, axis=0).repeat(self.scale, axis=1)])
        return np.dstack([image, opacity(self.alpha, self.scale)])

    def _layers(self, name: str, image: UInt8Image, save: SaveImage) -> dict[str, str]:
        layers = {"image": save(name, self._clear(name, image))}
        if self.hr_image is not None and name not in (LR, TRUTH):
            layers["wavelet error"] = save(f"{name}: wavelet error", colours.wavelet_error_map(image, self.hr_image))
            if "flip" in self.metrics:
                visible = error_map(image, self.hr_image) / colours.VISIBLE_RANGE
                layers["flip"] = save(f"{name}: FLIP", colours.heat_map(visible.astype(np.float64)))
        return layers


def _caption(name: str, values: Mapping[str, float | None]) -> str:
    """A metric under a picture; PSNR is known by its unit."""
    value = metric_column(name).text(dict(values), "–")
    unit = f" {spec(name).unit}" if spec(name).unit and value != "–" else ""
    return f"{value}{unit}" if name == "psnr" else f"{spec(name).title} {value}{unit}"


def _gain(psnr: float | None, over: float | None) -> float | None:
    return None if psnr is None or over is None or math.isinf(over) else psnr - over


def data_uri(name: str, image: UInt8Image) -> str:
    """A picture as a PNG data URI, for notebooks (``save`` of :meth:`Comparison.panes`)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def comparing(
    image: UInt8Image,
    models: Sequence[str],
    scale: int = 4,
    ground_truth: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
    others: Mapping[str, UInt8Image] | None = None,
    metrics: Sequence[str] | None = None,
    sources: Sequence[Path] = (),
    alpha: NDArray[np.uint8] | None = None,
) -> Iterator[Comparison]:
    """:func:`compare` step by step: the comparison so far, before the first model and after each; cheapest first.

    Results stand in the order of ``models``, whatever the order in which they run. The last one is complete.
    """
    hr_image = crop_to_multiple(image, scale) if ground_truth else None
    if hr_image is None:
        lr_image = image
    else:
        lr_image = imresize(chw(hr_image), 1 / scale).permute(1, 2, 0).contiguous().numpy()
    measured = shown() if metrics is None else chosen(metrics)
    given = dict(_elsewhere(others or {}, lr_image, scale, models))
    titles = distinct({**{name: title(name, scale, sources) for name in models}, **{name: name for name in given}})
    elsewhere = []
    for name, sr_image in given.items():
        values = measure_possible(sr_image, hr_image, scale, measured)
        elsewhere.append(Result(name, "elsewhere", None, None, None, sr_image, values, title=titles[name]))
    results: dict[str, Result] = {}
    waiting = sorted(dict.fromkeys(models), key=lambda name: multiply_adds(name, scale, sources=sources))

    def so_far(bicubic_psnr: float | None = None) -> Comparison:
        done = tuple(results[name] for name in models if name in results)
        pending = {name: titles[name] for name in waiting}
        return Comparison(
            scale, lr_image, hr_image, (*done, *elsewhere), bicubic_psnr, metrics=measured, pending=pending, alpha=alpha
        )

    yield so_far()
    plain = to_uint8(outputs(BICUBIC, lr_image, scale).sr)
    over = measure_possible(plain, hr_image, scale, ("psnr",))["psnr"]
    while waiting:
        name, number = waiting[0], len(results)
        if progress:
            progress(name, number, len(models))
        tiles = _tiles(progress, name, number, len(models))
        result = _result(name, lr_image, hr_image, scale, measured, tiles, sources)
        results[name] = replace(result, title=titles[name], seen=_seen(name, scale, hr_image, sources))
        waiting.pop(0)
        yield so_far(over)
    if not models:
        yield so_far(over)


def _result(
    name: str,
    lr_image: UInt8Image,
    hr_image: UInt8Image | None,
    scale: int,
    metrics: Sequence[str],
    tiles: Tiles | None,
    sources: Sequence[Path],
) -> Result:
    """One model's output and its numbers."""
    output = outputs(name, lr_image, scale, tiles, sources)
    network = loaded(name, scale, sources).network
    costs = networks.parameter_count(network), multiply_adds(name, scale, sources=sources), output.seconds
    sr_image = to_uint8(output.sr)
    model = None if name in networks.baselines() else zoo.find(name, scale, sources)
    role = "interpolation" if model is None else model.role
    identity = (model.network, model.method if model.step is None else None) if model else (None, None)
    values = measure_possible(sr_image, hr_image, scale, metrics)
    return Result(name, role, *costs, sr_image, values, *identity)


def compare(
    image: UInt8Image,
    models: Sequence[str],
    scale: int = 4,
    ground_truth: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
    others: Mapping[str, UInt8Image] | None = None,
    metrics: Sequence[str] | None = None,
    sources: Sequence[Path] = (),
) -> Comparison:
    """Run several models on one image.

    Args:
        image: (H, W, 3) uint8. With ``ground_truth`` it is the HR image, cut to a multiple of ``scale``, and
            its LR image is made with the MATLAB kernel; else it is the LR image.
        models: names of the catalogue, or ``bicubic``.
        progress: called with the model that runs, how many are done, of how many.
        others: SR images made elsewhere, by name, of the size of the models' results.
        metrics: names of what is measured; PSNR, SSIM and the metrics of loaded plugins without.
        sources: folders of models that are looked up first.

    Raises:
        UserError: unknown model, metric or scale, an image that is too small, or a result from elsewhere of the wrong
            size or with a name that is taken.
    """
    *_, comparison = comparing(image, models, scale, ground_truth, progress, others, metrics, sources)
    if progress:
        progress("", len(models), len(models))
    return comparison


def _seen(name: str, scale: int, hr_image: UInt8Image | None, sources: Sequence[Path]) -> bool:
    """Whether a model was trained on the image."""
    if hr_image is None or name in networks.baselines():
        return False
    return trained_on(zoo.find(name, scale, sources).card, hr_image)


def _tiles(progress: Callable[[str, int, int], None] | None, name: str, number: int, of: int) -> Tiles | None:
    def told(done: int, tiles: int) -> None:
        if progress and tiles > 1:
            progress(f"{name}, tile {done} of {tiles}", number, of)

    return told


def _elsewhere(
    others: Mapping[str, UInt8Image], lr: UInt8Image, scale: int, taken: Sequence[str]
) -> Iterator[tuple[str, UInt8Image]]:
    """Images made elsewhere, once they are known to fit.

    Raises:
        UserError: wrong size, or a name that is taken.
    """
    wanted = (lr.shape[0] * scale, lr.shape[1] * scale)
    for name, image in others.items():
        if image.shape[:2] != wanted:
            raise UserError(f"{name}: {_size(image)}, but x{scale} of this LR image is {wanted[1]} x {wanted[0]}")
        if name in (*taken, LR, TRUTH):
            raise UserError(f"{name}: this name is taken; rename the file")
        yield name, image


def _size(image: UInt8Image) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"

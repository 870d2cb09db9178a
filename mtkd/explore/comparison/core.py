"""Several networks on one image: results, numbers and pictures of the differences."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.experiments.plan import load_plan
from mtkd.explore.comparison.columns import columns, metric_column
from mtkd.explore.comparison.costs import multiply_adds
from mtkd.explore.comparison.outputs import Tiles, loaded, outputs
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw import colours
from mtkd.explore.viewer import Pane
from mtkd.images import UInt8Image, chw, crop_to_multiple, to_uint8
from mtkd.metrics import DEFAULT, PAPER, Protocol, chosen, measure_possible, shown, spec
from mtkd.networks.aggregator import with_teachers
from mtkd.resize import imresize
from mtkd.zoo.catalogue import plan_folders

SaveImage = Callable[[str, UInt8Image], str]
"""Stores a picture under a name and returns its address (a URL or a data URI)."""

LR, TRUTH = "LR", "ground truth"
"""The names of the pictures that no model made."""

BICUBIC = "bicubic"
"""The network over which gains are given."""
SCRATCH = "scratch"
"""The method without distillation."""
REGION = Protocol(crop=0)
"""How a region is measured: all of its pixels count."""


@dataclass(frozen=True)
class Result:
    """One model's output: ``image`` (sH, sW, 3) uint8; ``metrics`` by name, None without ground truth.

    ``seconds`` is the time of one run on this machine, ``multiply_adds`` those at 1280 x 720 output; an aggregator's
    include its teachers', its ``parameters`` do not. A result from elsewhere has none of the three. ``network`` and
    ``method`` are those of the model's card, where it has one; a snapshot has no ``method``.
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
        return replace(self, lr_image=store("LR", self.lr_image), hr_image=hr_image, results=results)

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
            row = {key: getattr(result, key) for key in ("name", "role", "parameters", "multiply_adds", "seconds")}
            row |= {name: result.metrics.get(name) for name in self.metrics}
            row["over_bicubic"] = _gain(result.psnr, self.bicubic_psnr)
            row["over_scratch"] = _gain(result.psnr, scratch_of.get(result.network) if distilled else None)
            rows.append(row | {f"region_{name}": value for name, value in inside.get(result.name, {}).items()})
        return rows

    def markdown(self) -> str:
        """The table as markdown, with the protocol under it."""
        shown = [c for c in columns(self.metrics) if c.key in ("name", "role", "parameters", "seconds", *self.metrics)]
        lines = [
            f"| {' | '.join(column.title for column in shown)} |",
            f"|{'|'.join('---' if column.key in ('name', 'role') else '--:' for column in shown)}|",
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
        """What stands under the name of each picture: its metrics, of the image or of a region of it.

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
                found[r.name] = f"{'region ' if part else ''}{values}"
        return found

    def panes(self, save: SaveImage, region: Region | None = None) -> list[Pane]:
        """Panes of the synchronised viewer: LR, every result with its error maps, the ground truth."""
        captions = self.captions(region)
        panes: list[Pane] = []
        for name, image in self.pictures().items():
            pane: Pane = {"name": name, "caption": captions[name], "layers": self._layers(name, image, save)}
            if name == LR:
                pane["scale"] = self.scale
            elif name != TRUTH:
                pane["download"] = {"href": pane["layers"]["image"], "filename": f"{name}_x{self.scale}.png"}
            panes.append(pane)
        return panes

    def _layers(self, name: str, image: UInt8Image, save: SaveImage) -> dict[str, str]:
        layers = {"image": save(name, image)}
        if self.hr_image is not None and name not in (LR, TRUTH):
            maps = {
                "error": colours.error_map,
                "signed error": colours.signed_error_map,
                "wavelet error": colours.wavelet_error_map,
            }
            for layer, draw in maps.items():
                layers[layer] = save(f"{name}: {layer}", draw(image, self.hr_image))
        return layers


def _caption(name: str, values: Mapping[str, float | None]) -> str:
    """A metric under a picture; PSNR and SSIM side by side need no names."""
    value = metric_column(name).text(dict(values), "–")
    unit = f" {spec(name).unit}" if spec(name).unit and value != "–" else ""
    return f"{'' if name in DEFAULT else f'{name} '}{value}{unit}"


def _gain(psnr: float | None, over: float | None) -> float | None:
    return None if psnr is None or over is None or math.isinf(over) else psnr - over


def data_uri(name: str, image: UInt8Image) -> str:
    """A picture as a PNG data URI, for notebooks (``save`` of :meth:`Comparison.panes`)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


OWN = 6
"""Of a user's own models, so many are compared without being asked for."""


def default_models(scale: int) -> list[str]:
    """What a comparison opens with, of what may be dozens of models.

    Bicubic, the teachers, the aggregator of most of them, and one student without distillation, under kd and under
    mtkd: that of RCAN, which the paper's ablations take, where there are several; then the user's own, the first few,
    without the runs of plans, which may be dozens.
    """
    bundled = [model for model in zoo.models(scale) if model.bundled]
    teachers = [model.name for model in bundled if model.role == "teacher"]
    aggregators = [model for model in bundled if model.role == "aggregator"]
    merged = sorted(aggregators, key=lambda model: (-len(model.header.teachers), len(model.name)))[:1]
    trained: dict[str, list[str]] = {}
    variants = _variants()
    for variant in ("scratch", "kd", "mtkd"):
        for model in bundled:
            if variants.get(model.name) == variant:
                trained.setdefault(model.network, []).append(model.name)
    specs = networks.specs()
    students = max(trained, key=lambda n: (len(trained[n]), specs[n].family == "rcan"), default=None)
    of_plans = plan_folders()
    own = [model.name for model in zoo.models(scale) if not (model.bundled or model.path.parents[1] in of_plans)]
    return [BICUBIC, *teachers, *(m.name for m in merged), *(trained[students] if students else []), *own[:OWN]]


@lru_cache
def _variants() -> dict[str, str | None]:
    """The variant that each bundled student is."""
    return load_plan("mini").trained()


def _parameters(network: nn.Module) -> int:
    """Of the network itself: an aggregator without its teachers, as ``mtkd models`` counts."""
    merged = with_teachers(network)
    return networks.parameter_count(network if merged is None else merged.aggregator)


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
    hr_image = crop_to_multiple(image, scale) if ground_truth else None
    if hr_image is None:
        lr_image = image
    else:
        lr_image = imresize(chw(hr_image), 1 / scale).permute(1, 2, 0).contiguous().numpy()
    measured = shown() if metrics is None else chosen(metrics)
    results = []
    for number, name in enumerate(models):
        if progress:
            progress(name, number, len(models))
        output = outputs(name, lr_image, scale, _tiles(progress, name, number, len(models)), sources)
        network = loaded(name, scale, sources).network
        made = _parameters(network), multiply_adds(name, scale, sources=sources), output.seconds
        picture = to_uint8(output.sr)
        model = None if name in networks.baselines() else zoo.find(name, scale, sources)
        role = "interpolation" if model is None else model.role
        identity = (model.network, model.method if model.step is None else None) if model else (None, None)
        values = measure_possible(picture, hr_image, scale, measured)
        results.append(Result(name, role, *made, picture, values, *identity))
    for name, image in _elsewhere(others or {}, lr_image, scale, models):
        values = measure_possible(image, hr_image, scale, measured)
        results.append(Result(name, "elsewhere", None, None, None, image, values))
    if progress:
        progress("", len(models), len(models))
    plain = to_uint8(outputs(BICUBIC, lr_image, scale).sr)
    over = measure_possible(plain, hr_image, scale, ("psnr",))["psnr"]
    return Comparison(scale, lr_image, hr_image, tuple(results), over, metrics=measured)


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

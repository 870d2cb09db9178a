"""One pass through the framework of Fig. 1: what is run, and what a box of the figure holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from mtkd import networks, zoo
from mtkd.explore.comparison.core import Comparison, default_models
from mtkd.explore.comparison.outputs import loaded, outputs
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.colours import ERROR_RANGE
from mtkd.explore.draw.mosaics import fit
from mtkd.explore.inside.trace import Trace, trace
from mtkd.images import UInt8Image
from mtkd.infer import TILE
from mtkd.networks.aggregator import with_teachers

ERROR_COLOURS = f"Blue is too dark, red too bright; full colour at {ERROR_RANGE} luma levels."
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Picture:
    """``image`` (H, W, 3) uint8; each of its pixels stands for ``reduced`` x ``reduced`` of the tensor's."""

    caption: str
    image: UInt8Image
    reduced: int = 1

    @classmethod
    def of(cls, caption: str, image: UInt8Image) -> Picture:
        """The picture, reduced if it is too large to be looked at whole."""
        return cls(caption, *fit(image))


@dataclass(frozen=True)
class Step:
    """One box of Fig. 1.

    Attributes:
        id: "lr", "teacher-1", ..., "concat", "unshuffle", "shallow", "window", "deep", "merged", "mt", "gt",
            "loss-ka", "student", "loss-dis", "loss-stu", "loss-total".
        title: what the box does, or the name of its network.
        symbol: the paper's, with ``_`` and ``^`` before what is set lower and higher.
        where: section and equation.
        shape: of the tensor, "(1, 9, 256, 256)"; empty for numbers.
        numbers: by name; where ``total`` is given they add up to its number.
        missing: why there is nothing to show, else empty.
    """

    id: str
    title: str
    symbol: str
    where: str
    equation: str = ""
    shape: str = ""
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    total: tuple[str, float] | None = None
    missing: str = ""


@dataclass(frozen=True, eq=False)
class Run:
    """The framework run on the LR image of a comparison; images are float, neither clamped nor rounded.

    Attributes:
        comparison: of the image, or of the part of it that is shown.
        part: says which part, if it is one.
        teachers: their images in the order of the concatenation.
        aggregator: its name, ``trace`` its tensors; None where the scale has none.
        weights: by teacher, of the weighted sum that the aggregator adds, if it does.
        student: its name, None where the scale has none.
    """

    comparison: Comparison
    part: str
    teachers: dict[str, Tensor]
    aggregator: str | None = None
    trace: Trace | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    student: str | None = None
    student_image: Tensor | None = None

    def caption(self, name: str) -> str:
        """The name with its PSNR, where the comparison has it."""
        values = [r.psnr for r in self.comparison.results if r.name == name and r.psnr is not None]
        return f"{name}: {values[0]:.2f} dB" if values else name

    def parameters(self, name: str) -> str:
        """As "1,234 parameters", an aggregator's without its teachers'."""
        network = loaded(name, self.comparison.scale).network
        merged = with_teachers(network)
        return f"{networks.parameter_count(network if merged is None else merged.aggregator):,} parameters"

    def why_not(self, *needed: str) -> str:
        """Why something of "mt", "student", "gt" is not there; empty if all are."""
        scale = self.comparison.scale
        reasons = {
            "mt": "" if self.trace else f"No aggregator for ×{scale} is trained here.",
            "student": "" if self.student else f"No student for ×{scale} is trained here.",
            "gt": "" if self.comparison.hr_image is not None else "The image was given as a low-resolution one.",
        }
        return next((reasons[name] for name in needed if reasons[name]), "")


def shape_text(tensor: Tensor) -> str:
    """As "(1, 9, 256, 256)"."""
    return str(tuple(tensor.shape))


def chosen(comparison: Comparison) -> tuple[list[str], str | None, str | None]:
    """Teachers, aggregator and student that are shown: those compared, else the bundled ones of the scale.

    The teachers are the aggregator's where there is one; of several students one of method mtkd is taken.
    """
    roles = {model.name: model.role for model in zoo.models(comparison.scale)}

    def of(role: str) -> list[str]:
        compared = [result.name for result in comparison.results if roles.get(result.name) == role]
        return compared or [name for name in default_models(comparison.scale) if roles.get(name) == role]

    aggregator = next(iter(of("aggregator")), None)
    student = min(of("student"), key=lambda name: not name.endswith("-mtkd"), default=None)
    if aggregator is None:
        return of("teacher"), None, student
    return list(zoo.find(aggregator, comparison.scale).header.teachers), aggregator, student


def run(comparison: Comparison, progress: Progress | None = None) -> Run:
    """Run teachers, aggregator and student, those that were not run before on this image.

    Of an image of more than ``TILE`` squared LR pixels the centre is taken. ``progress`` gets the name that runs, how
    many are done, of how many.

    Raises:
        UserError: weights that cannot be read.
    """
    teachers, aggregator, student = chosen(comparison)
    comparison, part = _centre(comparison)
    names = [*teachers, *([aggregator] if aggregator else []), *([student] if student else [])]
    images: dict[str, Tensor] = {}
    found: Trace | None = None
    weights: dict[str, float] = {}
    for number, name in enumerate(names):
        if progress:
            progress(name, number, len(names))
        if (merged := with_teachers(loaded(name, comparison.scale).network)) is not None:
            found = trace(merged.aggregator, [images[teacher] for teacher in teachers])
            if merged.aggregator.residual == "weighted":
                weights = dict(zip(teachers, merged.aggregator.teacher_weights.tolist(), strict=True))
        else:
            images[name] = outputs(name, comparison.lr_image, comparison.scale).sr
    shown = {name: images[name] for name in teachers}
    return Run(comparison, part, shown, aggregator, found, weights, student, images[student] if student else None)


def _centre(comparison: Comparison) -> tuple[Comparison, str]:
    """The part of a comparison that is shown, and a sentence that says so; its quality is not that of the whole."""
    height, width = comparison.lr_image.shape[:2]
    if height * width <= TILE**2:
        return comparison, ""
    rows, columns, scale = min(height, TILE), min(width, TILE), comparison.scale
    region = Region((height - rows) // 2, (width - columns) // 2, rows, columns)
    enlarged = Region(*(scale * side for side in (region.top, region.left, rows, columns)))
    truth = comparison.hr_image
    results = [replace(r, image=enlarged.cut(r.image), metrics={}) for r in comparison.results]
    part = replace(
        comparison,
        lr_image=region.cut(comparison.lr_image),
        hr_image=None if truth is None else enlarged.cut(truth),
        results=tuple(results),
    )
    return part, f"Of the large image, {width} × {height}, the central {columns} × {rows} pixels are shown."

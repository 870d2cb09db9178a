"""One forward pass through the framework of Fig. 1, and the content of a box of the figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from mtkd import networks, zoo
from mtkd.explore.comparison.choices import default_models, title
from mtkd.explore.comparison.core import Comparison
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
    """``image`` (H, W, 3) uint8; each pixel stands for ``reduced`` x ``reduced`` values of the tensor."""

    caption: str
    image: UInt8Image
    reduced: int = 1

    @classmethod
    def of(cls, caption: str, image: UInt8Image) -> Picture:
        """Make a picture, reduced if it is too large."""
        return cls(caption, *fit(image))


@dataclass(frozen=True)
class Step:
    """One box of Fig. 1.

    Attributes:
        id: "lr", "teacher-1", ..., "concat", "unshuffle", "shallow", "window", "deep", "merged", "mt", "gt",
            "loss-ka", "student", "loss-dis", "loss-stu", "loss-total".
        title: purpose of the box, or name of its network.
        symbol: symbol of the paper, with ``_`` and ``^`` for subscripts and superscripts.
        where: section and equation.
        shape: shape of the tensor, "(1, 9, 256, 256)"; empty for numbers.
        numbers: numbers by name; if ``total`` is given, they add up to it.
        missing: why the box is empty; else an empty string.
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
        comparison: comparison of the image, or of the part that is shown.
        part: sentence on the part, if it is one.
        teachers: images of the teachers, in the order of concatenation.
        aggregator: name of the aggregator, ``trace`` its tensors; None if the scale has none.
        weights: by teacher, weights of the sum that the aggregator adds, if any.
        student: name of the student; None if the scale has none.
    """

    comparison: Comparison
    part: str
    teachers: dict[str, Tensor]
    aggregator: str | None = None
    trace: Trace | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    student: str | None = None
    student_image: Tensor | None = None

    def title(self, name: str) -> str:
        """What people read in place of a model's name."""
        return self.comparison.titles().get(name) or title(name, self.comparison.scale)

    def caption(self, name: str) -> str:
        """The title with its PSNR, if known."""
        values = [r.psnr for r in self.comparison.results if r.name == name and r.psnr is not None]
        return f"{self.title(name)}: {values[0]:.2f} dB" if values else self.title(name)

    def parameters(self, name: str) -> str:
        """As "1,234 parameters", an aggregator's without its teachers'."""
        network = loaded(name, self.comparison.scale).network
        merged = with_teachers(network)
        return f"{networks.parameter_count(network if merged is None else merged.aggregator):,} parameters"

    def why_not(self, *needed: str) -> str:
        """Why one of "mt", "student", "gt" is missing; empty if none is."""
        scale = self.comparison.scale
        reasons = {
            "mt": "" if self.trace else f"There is no aggregator for ×{scale}.",
            "student": "" if self.student else f"There is no student for ×{scale}.",
            "gt": ""
            if self.comparison.hr_image is not None
            else "The image was given as the LR image, without ground truth.",
        }
        return next((reasons[name] for name in needed if reasons[name]), "")


def shape_text(tensor: Tensor) -> str:
    """As "(1, 9, 256, 256)"."""
    return str(tuple(tensor.shape))


def chosen(comparison: Comparison) -> tuple[list[str], str | None, str | None]:
    """The teachers, aggregator and student to show: those compared, else those of the story, else available ones.

    The teachers are those of the aggregator, if there is one; of several students, one of method mtkd is preferred.
    """
    roles = {model.name: model.role for model in zoo.models(comparison.scale)}
    offered = [*default_models(comparison.scale), *roles]

    def of(role: str) -> list[str]:
        compared = [result.name for result in comparison.results if roles.get(result.name) == role]
        return compared or [name for name in offered if roles.get(name) == role]

    aggregator = next(iter(of("aggregator")), None)
    student = min(of("student"), key=lambda name: not name.endswith("-mtkd"), default=None)
    if aggregator is None:
        return of("teacher"), None, student
    return list(zoo.find(aggregator, comparison.scale).header.teachers), aggregator, student


def run(comparison: Comparison, progress: Progress | None = None) -> Run:
    """Run teachers, aggregator and student, unless their outputs on this image are cached.

    Only the centre of an image of more than ``TILE`` squared LR pixels is used. ``progress`` is called with (name,
    models done, number of models).

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
    return part, f"The image is large ({width} × {height}); its central {columns} × {rows} pixels are shown."

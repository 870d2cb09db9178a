"""What is answered: attributions of the inputs with all that is said of them (maps, DI, shares, completeness)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.explain.curves import Curves, Removal, random_maps
from mtkd.explain.maps import attribution_maps, diffusion_index, shares
from mtkd.explain.neighbourhood import Neighbourhood, context_of, near
from mtkd.explain.options import RESERVED, read_options
from mtkd.explain.question import Question, Window, ask
from mtkd.files import atomic_write, write_json
from mtkd.images import UInt8Image, write_image
from mtkd.plugins import ATTRIBUTIONS
from mtkd.plugins.specs import Progress

TINY = 1e-6
"""A change of the detail below so much a value of the window counts as none: relative errors mean nothing then."""


@dataclass(frozen=True)
class Attributions:
    """What an attribution method returns; tensors alone will do for one that has nothing else to say.

    Attributes:
        tensors: one an input, of its image's shape.
        baselines: images that stand for absent inputs, where the method counts from them. Its check is then that the
            attributions add up to F(images) - F(baselines): completeness.
        details: what else an answer is to say of how it was computed, plain data; counts more than an
            option of the same name.
    """

    tensors: Sequence[Tensor]
    baselines: Sequence[Tensor] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """What the inputs did for the detail F in one window, and how it was computed.

    Attributes:
        model: its name; ``weights`` is the hash of its weights.
        inputs: "LR", or an aggregator's teachers in order.
        method: of attribution; ``details`` are its options, and what it says itself.
        attributions: one an input, (3, H, W): LR size, or HR size for teachers; 0 outside of the part.
        part: of the inputs that the answer was computed from.
        before: F at the method's baselines (of LAM the blurred inputs), None without; ``after`` at the inputs.
        shapley: exact Shapley value of each input, "absent" being its baseline, as a share of after - before; None
            for a single input, without baselines, or where F does not change.
        curves: deletion and insertion curves of the map, where they were asked for; ``random_curves`` are those of
            pixels by chance. A text says why there are none.
    """

    model: str
    scale: int
    weights: str
    window: Window
    inputs: tuple[str, ...]
    method: str
    details: Mapping[str, Any]
    attributions: tuple[Tensor, ...]
    part: Neighbourhood
    before: float | None
    after: float
    shapley: tuple[float, ...] | None
    curves: Curves | str | None = None
    random_curves: Curves | None = None

    @property
    def maps(self) -> list[Tensor]:
        """(H, W) each, 0 to 1, scaled together."""
        return attribution_maps(self.attributions)

    @property
    def signed(self) -> bool:
        """The maps are drawn with their signs."""
        return ATTRIBUTIONS[self.method].signed

    @property
    def change(self) -> float | None:
        """after - before; None where it is nothing (a flat window), and without baselines."""
        return _change(self.before, self.after, self.window)

    @property
    def completeness_error(self) -> float | None:
        """The sum of all attributions - (after - before): 0 for an exact integral; None without baselines."""
        if self.before is None:
            return None
        return float(sum(a.double().sum() for a in self.attributions)) - (self.after - self.before)

    def row(self) -> dict[str, Any]:
        """Everything but the maps, as plain data."""
        parts = shares(self.attributions)
        change, error = self.change, self.completeness_error
        sizes = [list(attribution.shape[-2:]) for attribution in self.attributions]
        inputs = [
            {
                "input": name,
                "size": size,
                "di": diffusion_index(attribution.sum(-3).abs()),
                "share": None if parts is None else parts[k],
                "signed_share": None if change is None else float(attribution.double().sum()) / change,
                "shapley": None if self.shapley is None else self.shapley[k],
            }
            for k, (name, size, attribution) in enumerate(zip(self.inputs, sizes, self.attributions, strict=True))
        ]
        return {
            "model": self.model,
            "scale": self.scale,
            "weights": self.weights,
            "window": {"top": self.window.top, "left": self.window.left, "size": self.window.size},
            "method": self.method,
            **self.details,
            "part": self.part.row(),
            "before": self.before,
            "after": self.after,
            "completeness_error": error,
            "completeness_error_relative": None if change is None or error is None else error / change,
            "inputs": inputs,
            **self._curves_row(),
        }

    def _curves_row(self) -> dict[str, Any]:
        if self.curves is None:
            return {}
        if isinstance(self.curves, str) or self.random_curves is None:
            return {"curves": None, "no_curves": self.curves}
        return {"curves": {**self.curves.row(), "random": self.random_curves.row()}}

    def save(self, folder: Path) -> list[Path]:
        """Write ``explanation.json`` and each input's attribution (``.npy``, float32) and map (``.png``, 0 to 255).

        The maps carry what the JSON says, as their "Description".
        """
        written = []
        for name, attribution, one in zip(self.inputs, self.attributions, self.maps, strict=True):
            path = folder / f"{name}.npy"
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                np.save(file, attribution.float().numpy())
            levels = (one * 255).round().to(torch.uint8).numpy()
            write_image(folder / f"{name}.png", np.repeat(levels[..., None], 3, -1), json.dumps(self.row()))
            written += [path, folder / f"{name}.png"]
        write_json(folder / "explanation.json", self.row())
        return [*written, folder / "explanation.json"]


def answer(
    question: Question,
    method: str = "lam",
    *,
    whole: bool = False,
    curves: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Explanation:
    """Attribute the detail that a question asks for to its inputs.

    Args:
        method: the name of an attribution method (:data:`mtkd.plugins.ATTRIBUTIONS`).
        whole: answer from the whole image, not from the part of it that the window's detail draws on
            (:mod:`mtkd.explain.neighbourhood`): the same where that part is exact, much slower for photos.
        curves: also take the marked pixels away and put them back (:mod:`mtkd.explain.curves`).
        progress: called with (steps done, of how many); an exception that it raises stops the work.
        options: those of the method; see :class:`mtkd.explain.lam.LamOptions`.

    Raises:
        UserError: unknown method or option, a value out of range, a window outside of the SR image, or a plugin's
            method that fails or returns something else than attributions: its file and line are named.
    """
    chosen, progress = read_options(method, options), _Repeating(progress or _nobody)
    asked, part = near(question, context_of(chosen), whole)
    with torch.no_grad():
        after = float(asked.objective(*asked.images))
    with ATTRIBUTIONS.blaming(method):
        returned = ATTRIBUTIONS[method].attribute(asked, chosen, progress)
    result = _checked(method, returned, asked)
    before, shapley = None, None
    if result.baselines is not None:
        with torch.no_grad():
            before = float(asked.objective(*result.baselines))
        change = _change(before, after, question.window)
        if len(asked.images) > 1 and change is not None:
            shapley = _shapley(asked, tuple(result.baselines), change)
    measured = _curves(asked, result.tensors, progress.again) if curves else (None, None)
    tensors = tuple(part.paste(tensor.reshape(tensor.shape[-3:]).detach().cpu()) for tensor in result.tensors)
    return Explanation(
        question.model, question.scale, question.weights, question.window, question.inputs, method,
        {**asdict(chosen), **result.details}, tensors, part, before, after, shapley, *measured,
    )  # fmt: skip


def explain(
    name: str,
    lr_image: UInt8Image,
    scale: int,
    window: Window,
    *,
    method: str = "lam",
    whole: bool = False,
    curves: bool = False,
    hr_image: UInt8Image | None = None,
    device: str | torch.device = "cpu",
    sources: Sequence[Path] = (),
    progress: Progress | None = None,
    **options: Any,
) -> Explanation:
    """:func:`~mtkd.explain.question.ask` and :func:`answer` in one.

    Example:
        >>> explain("rcan_tiny-mtkd", lr_image, 4, Window.around(96, 120), steps=20).row()["inputs"]

    Raises:
        UserError: as those two.
    """
    asked = ask(name, lr_image, scale, window, device, sources, hr_image=hr_image)
    return answer(asked, method, whole=whole, curves=curves, progress=progress, **options)


class _Repeating:
    """Passes progress on. ``again`` repeats the last: it keeps a page alive and lets people cancel."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.last = progress, (0, 1)

    def __call__(self, done: int, of: int) -> None:
        self.last = done, of
        self.again()

    def again(self) -> None:
        self.progress(*self.last)


def _curves(
    question: Question, attributions: Sequence[Tensor], step: Callable[[], None]
) -> tuple[Curves | str, Curves | None]:
    """Those of a map and of chance, or why there are none."""
    try:
        removal = Removal.of(question, step)
        return removal.curves([one.sum(-3).abs() for one in attributions]), removal.curves(random_maps(question))
    except UserError as error:
        return str(error), None


def _nobody(done: int, of: int) -> None:
    """No one looks on."""


def _change(before: float | None, after: float, window: Window) -> float | None:
    if before is None or abs(after - before) <= TINY * 3 * window.size**2:
        return None
    return after - before


def _checked(method: str, returned: Any, question: Question) -> Attributions:
    """What a method returned, if it is what it must be."""
    if isinstance(returned, Tensor):
        returned = (returned,)
    result = returned if isinstance(returned, Attributions) else Attributions(returned)
    _check_tensors(method, "attributions", result.tensors, question)
    if result.baselines is not None:
        _check_tensors(method, "baselines", result.baselines, question)
    if taken := RESERVED & set(result.details):
        raise UserError(f"{ATTRIBUTIONS.label(method)}: its details use names of answers: {', '.join(sorted(taken))}")
    try:
        json.dumps(dict(result.details), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{ATTRIBUTIONS.label(method)}: its details are no plain data ({error})") from error
    return result


def _check_tensors(method: str, what: str, tensors: Any, question: Question) -> None:
    where, images = ATTRIBUTIONS.label(method), question.images
    if not isinstance(tensors, (tuple, list)):
        raise UserError(f"{where}: returned {type(tensors).__name__} as {what}; return one tensor an input")
    if len(tensors) != len(images):
        names = ", ".join(question.inputs)
        raise UserError(f"{where}: returned {len(tensors)} {what} for {len(images)} inputs ({names})")
    for name, tensor, image in zip(question.inputs, tensors, images, strict=True):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = str(tensor.dtype) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise UserError(f"{where}: {what} of {name}: {kind}; return a tensor of floats")
        if what == "attributions" and tensor.shape == image.shape[1:]:
            tensor = tensor[None]
        if tensor.shape != image.shape:
            raise UserError(
                f"{where}: {what} of {name} have the shape {tuple(tensor.shape)}; return {tuple(image.shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{where}: {what} of {name} hold NaN or infinity; return numbers")


@torch.no_grad()
def _shapley(question: Question, baselines: tuple[Tensor, ...], change: float) -> tuple[float, ...]:
    from mtkd.explain._captum import ShapleyValues

    images = question.images
    masks = tuple(torch.full((1, 1, 1, 1), k, device=image.device) for k, image in enumerate(images))
    values = ShapleyValues(question.objective).attribute(images, baselines=baselines, feature_mask=masks)
    return tuple(float(value.flatten()[0]) / change for value in values)

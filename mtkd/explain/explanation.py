"""Attribution of a model's image, with all that is said of it: maps, DI, shares, Shapley values, completeness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import Saliency, ShapleyValues
from torch import Tensor

from mtkd import zoo
from mtkd.errors import unknown_name
from mtkd.explain.lam import (
    PATHS,
    BlurPath,
    Detail,
    LocalAttributionMap,
    Progress,
    Rule,
    Window,
    attribution_maps,
    diffusion_index,
    shares,
)
from mtkd.files import atomic_write
from mtkd.images import UInt8Image, to_tensor, write_image
from mtkd.networks.aggregator import MultiTeacher
from mtkd.zoo.checkpoints import weights_hash

TINY = 1e-6
"""A change of the detail below so much a value of the window counts as none: relative errors mean nothing then."""


@dataclass(frozen=True)
class Explanation:
    """What the inputs did for the detail F in one window, and how it was computed.

    Attributes:
        model: its name; ``weights`` is the hash of its weights.
        inputs: "LR", or an aggregator's teachers in order.
        attributions: one an input, (3, H, W): LR size, or HR size for teachers.
        before: F where the inputs are blurred; ``after`` where they are as they are.
        shapley: exact Shapley value of each input, "absent" being the blurred one, as a share of after - before; None
            for a single input, or where F does not change.
    """

    model: str
    scale: int
    weights: str
    window: Window
    path: BlurPath
    steps: int
    rule: str
    compat: str | None
    inputs: tuple[str, ...]
    attributions: tuple[Tensor, ...]
    before: float
    after: float
    shapley: tuple[float, ...] | None

    @property
    def maps(self) -> list[Tensor]:
        """(H, W) each, 0 to 1, scaled together."""
        return attribution_maps(self.attributions)

    @property
    def change(self) -> float | None:
        """after - before; None where it is nothing (a flat window)."""
        change = self.after - self.before
        return change if abs(change) > TINY * 3 * self.window.size**2 else None

    @property
    def completeness_error(self) -> float:
        """The sum of all attributions - (after - before): 0 for an exact integral."""
        return float(sum(a.double().sum() for a in self.attributions)) - (self.after - self.before)

    def row(self) -> dict[str, Any]:
        """Everything but the maps, as plain data."""
        parts = shares(self.attributions)
        change = self.change
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
            "path": self.path.name,
            "sigma": self.path.sigma,
            "radius": self.path.radius,
            "steps": self.steps,
            "rule": self.rule,
            "compat": self.compat,
            "before": self.before,
            "after": self.after,
            "completeness_error": self.completeness_error,
            "completeness_error_relative": None if change is None else self.completeness_error / change,
            "inputs": inputs,
        }

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
        with atomic_write(folder / "explanation.json") as temporary:
            temporary.write_text(json.dumps(self.row(), indent=1) + "\n", encoding="utf-8")
        return [*written, folder / "explanation.json"]


@dataclass(frozen=True)
class Question:
    """What is asked of a model: F, the detail in one window, as a function of its ``images``.

    Attributes:
        weights: hash of the model's weights.
        inputs: "LR", or an aggregator's teachers in order; ``images`` are theirs, (1, 3, H, W) each.
        path: from the blurred images to the images.
    """

    model: str
    scale: int
    weights: str
    window: Window
    objective: Detail
    inputs: tuple[str, ...]
    images: tuple[Tensor, ...]
    path: BlurPath

    def saliency(self) -> tuple[Tensor, ...]:
        """|dF / d image| of each input, (3, H, W): one pass, a first look before the path is walked.

        Raises:
            UserError: the window leaves the SR image.
        """
        images = tuple(image.clone().requires_grad_() for image in self.images)
        found = Saliency(self.objective).attribute(images)
        return tuple(one[0].cpu() for one in found)

    def answer(
        self, steps: int = 50, rule: Rule = "midpoint", compat: Any = None, progress: Progress | None = None
    ) -> Explanation:
        """Walk the path; see :meth:`~mtkd.explain.lam.LocalAttributionMap.attribute`.

        Raises:
            UserError: unknown rule, no steps, or a window outside of the SR image.
        """
        with torch.no_grad():
            starts = tuple(map(self.path.start, self.images))
            before, after = (float(self.objective(*batch)) for batch in (starts, self.images))
        lam = LocalAttributionMap(self.objective)
        found = lam.attribute(self.images, self.path, steps, rule=rule, compat=compat, progress=progress)
        result = Explanation(
            self.model,
            self.scale,
            self.weights,
            self.window,
            self.path,
            steps,
            rule,
            compat,
            self.inputs,
            tuple(one[0].cpu() for one in found),
            before,
            after,
            None,
        )
        if len(self.images) == 1 or result.change is None:
            return result
        shapley = _shapley(self.objective, self.images, self.path, result.change)
        return Explanation(**{**vars(result), "shapley": shapley})


def ask(
    name: str,
    lr_image: UInt8Image,
    scale: int,
    window: Window,
    sigma: float = 1.2,
    path: str = "blur",
    device: str | torch.device = "cpu",
    sources: Sequence[Path] = (),
) -> Question:
    """Ask for the detail in a window of a model's image: of a network with LR input as a function of the LR image, of
    an aggregator as a function of its teachers' images.

    Args:
        lr_image: (h, w, 3) uint8.
        window: in pixels of the SR image.
        sigma: of the blur that the path starts from, in LR pixels; HR inputs are blurred ``scale`` times as wide.
        path: "blur", or "straight": see :data:`~mtkd.explain.lam.PATHS`.

    Raises:
        UserError: unknown model, scale or path.
    """
    if path not in PATHS:
        raise unknown_name("path", path, PATHS)
    network = zoo.load(name, scale, device, sources)
    weights = weights_hash(network)
    lr = to_tensor(lr_image).to(device)
    if not isinstance(network, MultiTeacher):
        way = PATHS[path].for_hr(1, sigma)
        return Question(name, scale, weights, window, Detail(network, window), ("LR",), (lr,), way)
    with torch.no_grad():
        images = tuple(teacher(lr) for teacher in network.teachers)
    # An aggregator takes a tuple, however short.
    function = network.aggregator if len(images) > 1 else _Single(network.aggregator)
    teachers = network.aggregator.teachers
    way = PATHS[path].for_hr(scale, sigma)
    return Question(name, scale, weights, window, Detail(function, window), teachers, images, way)


def explain(
    name: str,
    lr_image: UInt8Image,
    scale: int,
    window: Window,
    sigma: float = 1.2,
    steps: int = 50,
    rule: Rule = "midpoint",
    compat: Any = None,
    path: str = "blur",
    device: str | torch.device = "cpu",
    sources: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Explanation:
    """:func:`ask` and :meth:`Question.answer` in one.

    Raises:
        UserError: unknown model, scale, path or rule, no steps, or a window outside of the SR image.
    """
    return ask(name, lr_image, scale, window, sigma, path, device, sources).answer(steps, rule, compat, progress)


class _Single(torch.nn.Module):
    """An aggregator of one teacher as a function of its image."""

    def __init__(self, aggregator: torch.nn.Module) -> None:
        super().__init__()
        self.aggregator = aggregator

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.aggregator((image,))
        return result


@torch.no_grad()
def _shapley(objective: Detail, images: tuple[Tensor, ...], path: BlurPath, change: float) -> tuple[float, ...]:
    masks = tuple(torch.full((1, 1, 1, 1), k, device=image.device) for k, image in enumerate(images))
    values = ShapleyValues(objective).attribute(images, baselines=tuple(map(path.start, images)), feature_mask=masks)
    return tuple(float(value.flatten()[0]) / change for value in values)

"""The lesson on the compared methods: maps of features, upcycled patches, costs, and tables of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mtkd.experiments.cost import Estimator
from mtkd.experiments.plan import load_recipe
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.draw.colours import heat_map, luma_error
from mtkd.images import UInt8Image, to_uint8
from mtkd.methods.at import attention_map
from mtkd.methods.dukd import augment, invert
from mtkd.methods.fakd import affinity


@torch.no_grad()
def attention_picture(features: Tensor) -> UInt8Image:
    """The attention map of one picture's features (1, C, h, w), from 0 to its own 99th percentile."""
    values = attention_map(features)[0].view(features.shape[-2:]).double().numpy()
    return heat_map(values / np.quantile(values, 0.99))


@torch.no_grad()
def affinity_picture(features: Tensor, row: int | None = None) -> UInt8Image:
    """The affinity matrix of one picture's features (1, C, h, w), or one of its rows as a map: black 0, yellow 1."""
    values = affinity(features)[0].double()
    chosen = values if row is None else values[row].view(features.shape[-2:])
    return heat_map(chosen.numpy())


@torch.no_grad()
def upcycled(
    student: nn.Module, teacher: nn.Module, lr_image: Tensor, hr_image: Tensor, names: Sequence[str], zoom: int = 2
) -> Image.Image:
    """DUKD on a pair (1, 3, h, w) and (1, 3, sh, sw): a tile, its augmentations, the outputs of the student.

    Args:
        names: of the augmentations, in their order.
    """
    side, scale = lr_image.shape[-1], hr_image.shape[-1] // lr_image.shape[-1]
    tile = hr_image[..., side : 2 * side, side : 2 * side]
    target = to_uint8(teacher(tile))
    chosen = {"g, a tile of HR": 0} | {f"F(g): {name}": 1 << bit for bit, name in enumerate(names)}
    inputs, outputs, errors = [], [], []
    for title, bits in chosen.items():
        changed = augment(tile, bits)
        answer = student(changed)
        back = invert(answer, bits)
        inputs.append((title, "input (nearest)", to_uint8(changed).repeat(scale, 0).repeat(scale, 1)))
        outputs.append(("S(F(g))", "output", to_uint8(answer)))
        away = (back - teacher(tile)).abs().mean()
        errors.append(
            ("F undone, error to T(g)", f"mean {away:.4f}", heat_map(np.abs(luma_error(to_uint8(back), target)) / 8))
        )
    return sheet([*inputs, *outputs, *errors], zoom, columns=len(chosen))


def training_flops(network: str, methods: Sequence[str], size: str = "mini", scale: int = 4) -> dict[str, float]:
    """Floating-point operations of one training step of a student with each method, by the recipes of the plan.

    Outputs of teachers that can be cached are not counted.
    """
    estimator = Estimator({}, None, torch.device("cpu"))
    return {name: estimator.step(load_recipe(f"{size}/{network}-{name}_x{scale}")) for name in methods}


def as_table(rows: Mapping[str, Sequence[str]], header: Sequence[str]) -> str:
    """Markdown of rows by their first column."""
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *("| " + " | ".join([name, *cells]) + " |" for name, cells in rows.items())])

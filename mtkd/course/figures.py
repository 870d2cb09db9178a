"""Pictures of the course that are computed: cosines, nested subbands, receptive fields, similarity, the path of LAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from mtkd.explain.subbands import transform
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.draw.alt import described
from mtkd.explore.draw.colours import diverging, heat_map
from mtkd.explore.draw.mosaics import reach
from mtkd.images import UInt8Image, to_uint8
from mtkd.networks.dct import dct_matrix


def dct_cosines(size: int = 8, zoom: int = 5) -> Image.Image:
    """The size x size cosines of the 2-D DCT: frequency along x grows to the right, along y downwards."""
    d = dct_matrix(size).numpy()
    cells = [
        diverging(np.outer(d[u], d[v]) / np.abs(np.outer(d[u], d[v])).max()) for u in range(size) for v in range(size)
    ]
    side, gap = size * zoom, 3
    picture = np.full((size * (side + gap) + gap,) * 2 + (3,), 60, np.uint8)
    for number, cell in enumerate(cells):
        top, left = (gap + (side + gap) * place for place in divmod(number, size))
        picture[top : top + side, left : left + side] = cell.repeat(zoom, 0).repeat(zoom, 1)
    return described(
        Image.fromarray(picture).quantize(64, dither=Image.Dither.NONE),
        f"{size * size} patterns of {size} x {size} pixels: the top left one is flat; waves get finer to the right and "
        "downwards.",
    )


def haar_square(image: Tensor, levels: int = 2, zoom: int = 3) -> Image.Image:
    """The bands of an image (3, H, W) in their square: LL at the top left, HL right of it, LH below, HH beyond.

    LL is divided by 2^levels; each detail band has its own scale, red positive, blue negative.
    """
    bands = transform(image, levels, "haar")
    square = np.asarray(to_uint8(bands[f"LL{levels}"] / 2**levels))
    for level in range(levels, 0, -1):
        drawn = {}
        for name in ("LH", "HL", "HH"):
            values = bands[f"{name}{level}"].mean(0).double().numpy()
            drawn[name] = np.round(values / reach(values, 99.5) * 16) / 16
        rows = [(square, diverging(drawn["HL"])), (diverging(drawn["LH"]), diverging(drawn["HH"]))]
        square = np.concatenate([np.concatenate(row, 1) for row in rows], 0)
    side = image.shape[-1] * zoom
    picture = Image.fromarray(square).resize((side, image.shape[-2] * zoom), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    for level in range(1, levels + 1):
        middle, end = side >> level, side >> (level - 1)
        draw.line([(middle, 0), (middle, end)], "black", 1)
        draw.line([(0, middle), (end, middle)], "black", 1)
        for name, place in {"HL": (middle, 0), "LH": (0, middle), "HH": (middle, middle)}.items():
            draw.text((place[0] + 4, place[1] + 2), f"{name}{level}", "black", ImageFont.load_default(15))
    return described(
        picture.quantize(96, dither=Image.Dither.NONE),
        f"The image in its {3 * levels + 1} bands, nested: LL{levels} top left; HL, vertical edges, to the right; LH, "
        "horizontal edges, below; HH on the diagonal; the finest level outermost.",
    )


def receptive_fields(networks: Mapping[str, nn.Module], lr_image: Tensor, scale: int, zoom: int = 4) -> Image.Image:
    """Which LR pixels the SR pixel in the middle depends on, for each network: size of the gradient, on a log scale.

    Args:
        lr_image: (1, 3, h, w) in [0, 1].

    Returns:
        A sheet: yellow is the largest gradient, black a ten-thousandth of it or less; the side of the square that holds
        99 % of the sum stands below.
    """
    height, width = (side * scale // 2 for side in lr_image.shape[-2:])
    marked = to_uint8(lr_image)
    marked[height // scale, width // scale] = 0, 0, 255
    cells: list[tuple[str, str, UInt8Image]] = [("LR", "blue: the pixel in the middle", marked)]
    for name, network in networks.items():
        with torch.enable_grad():
            x = lr_image.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(network(x)[..., height, width].sum(), x)
        size = gradient[0].abs().sum(0).double().numpy()
        logs = 1 + np.log10(np.maximum(size / size.max(), 1e-4)) / 4
        cells.append((name, f"99 % within {_side(size)} x {_side(size)}", heat_map(logs)))
    return sheet(cells, zoom, columns=len(cells))


def _side(size: np.ndarray, share: float = 0.99) -> int:
    """The side of the smallest square around the middle with this share of the sum."""
    row, column = (side // 2 for side in size.shape)
    for half in range(max(size.shape)):
        inside = size[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1]
        if inside.sum() >= share * size.sum():
            break
    return 2 * half + 1


def similarity_sheet(result: UInt8Image, truth: UInt8Image, similarity: Tensor, zoom: int = 2) -> Image.Image:
    """A result, the ground truth, and the map of SSIM (H, W) between them: white 1, dark 0 or less."""
    grey = (np.clip(similarity.double().numpy(), 0, 1) * 255).round().astype(np.uint8)
    drawn = np.repeat(grey[..., None], 3, 2)
    cells = [("result", "", result), ("ground truth", "", truth)]
    return sheet([*cells, ("SSIM of each place", f"mean {float(similarity.mean()):.3f}", drawn)], zoom, columns=3)


def path_sheet(
    points: Sequence[Tensor], places: Sequence[float], values: Sequence[float], zoom: int = 4
) -> Image.Image:
    """Images (1, 3, h, w) on a path, with the value of F at each."""
    cells = [
        (f"a = {a:g}", f"F = {value:.1f}", to_uint8(point))
        for point, a, value in zip(points, places, values, strict=True)
    ]
    return sheet(cells, zoom, columns=len(cells))

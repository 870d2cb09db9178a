"""Stage 1 of Fig. 1, box by box: teachers, aggregation and its loss (Sec. 3.1)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd import networks, zoo
from mtkd.explore.draw import colours
from mtkd.explore.draw.mosaics import PERCENTILE, mosaic, signed_mosaic
from mtkd.explore.inside.framework_run import ERROR_COLOURS, Picture, Run, Step, shape_text
from mtkd.explore.inside.framework_window import Place, window_step
from mtkd.explore.inside.trace import Trace
from mtkd.images import to_tensor, to_uint8
from mtkd.metrics import luma
from mtkd.networks.common import DIV2K_MEAN

_BOXES = {
    "concat": ("Concatenate", "[I_HR^1 … I_HR^N]", "Sec. 3.1.1"),
    "unshuffle": ("Pixel-unshuffle", "", "Sec. 3.1.1"),
    "shallow": ("3×3 convolution", "F_s", "Sec. 3.1.1"),
    "window": ("A window in the DCT", "", "Sec. 3.1.2"),
    "deep": ("DCTSwin blocks", "F_d^1 … F_d^B", "Sec. 3.1.2"),
    "merged": ("Residual", "F_s + F_d", "Sec. 3.1.1"),
    "mt": ("MT", "I_HR^MT", "Sec. 3.1"),
}


def input_steps(run: Run) -> list[Step]:
    """The LR image and what the teachers make of it."""
    return [_lr(run), *_teachers(run)]


def _lr(run: Run) -> Step:
    image, scale = run.comparison.lr_image, run.comparison.scale
    origin = "The low-resolution image as given" if run.comparison.hr_image is None else _MADE
    text = f"{origin}. Every network enlarges it ×{scale}. {run.part}".strip()
    picture = Picture.of("LR", image)
    return Step("lr", "LR image", "I_LR", "Sec. 3", "", shape_text(to_tensor(image)), text, (picture,))


_MADE = "The low-resolution image, made from the ground truth with the MATLAB bicubic kernel"


def _teachers(run: Run) -> list[Step]:
    found = []
    for number, (name, image) in enumerate(run.teachers.items(), 1):
        text = f"Teacher {number}, trained before and frozen ({run.parameters(name)})."
        picture = Picture.of(run.caption(name), to_uint8(image))
        symbol = f"I_HR^{number}"
        equation = f"{symbol} = M_T^{number}(I_LR)"
        shape = shape_text(image)
        found.append(Step(f"teacher-{number}", name, symbol, "Sec. 3", equation, shape, text, (picture,)))
    return found


def aggregation_steps(run: Run, window: Place | None) -> list[Step]:
    """From the concatenation to MT, or why it cannot be shown."""
    found = run.trace
    if found is None:
        return [_step(name, missing=run.why_not("mt")) for name in _BOXES]
    return [
        _concat(run, found),
        _unshuffle(run, found),
        _shallow(found),
        window_step(run.comparison, found.windows, window),
        _deep(found),
        _merged(found),
        _mt(run, found),
    ]


def _step(name: str, equation: str = "", tensor: Tensor | None = None, **content: Any) -> Step:
    title, symbol, where = _BOXES[name]
    return Step(name, title, symbol, where, equation, "" if tensor is None else shape_text(tensor), **content)


def _concat(run: Run, found: Trace) -> Step:
    images = found.concatenated[0].view(-1, 3, *found.concatenated.shape[2:]) + _MEAN  # (N, 3, sH, sW)
    strip = mosaic([to_uint8(image) for image in images], len(images))
    height, width = next(iter(run.teachers.values())).shape[-2:]
    text = f"The images of the {len(images)} teachers on top of one another, 3 channels each, less DIV2K's mean colour."
    if (height, width) != found.concatenated.shape[-2:]:
        text += f" Mirrored at the right and bottom from {width} × {height} to whole windows; cut off again at the end."
    picture = Picture.of(f"In this order: {', '.join(run.teachers)}", strip)
    equation = "(1, 3, sH, sW) × N → (1, 3N, sH, sW)"
    return _step("concat", equation, found.concatenated, text=text, pictures=(picture,))


def _unshuffle(run: Run, found: Trace) -> Step:
    scale = run.comparison.scale
    colour = found.unshuffled[0, : 3 * scale**2]
    colour = colour.view(3, scale**2, *colour.shape[1:]) + _MEAN[:, None]
    phases = (luma(255 * colour)[0] / 255).unsqueeze(1).expand(-1, 3, -1, -1)  # (s*s, 3, H, W)
    sheet = mosaic([to_uint8(phase) for phase in phases], scale)
    text = (
        f"One pixel of every {scale} × {scale} goes into an image of its own: {scale}² small images a channel. No "
        "number is changed or lost, and the blocks that follow work at LR size, whatever the scale."
    )
    picture = Picture.of(f"The {scale}² phases of {next(iter(run.teachers))}, luma", sheet)
    equation = "(1, 3N, sH, sW) → (1, 3N s², H, W)"
    return _step("unshuffle", equation, found.unshuffled, text=text, pictures=(picture,))


_MEAN = torch.tensor(DIV2K_MEAN).view(3, 1, 1)


def _maps(tensor: Tensor, name: str) -> Picture:
    return Picture.of(f"{name}, {tensor.shape[1]} maps", signed_mosaic(tensor[0].numpy(), 6))


def _shallow(found: Trace) -> Step:
    text = (
        "Shallow features: one convolution over all phases of all teachers. Blue is negative, white 0, red positive; "
        f"each map has its own scale, full colour at the {PERCENTILE}th percentile of its absolute values."
    )
    equation = "F_s = Conv_3×3(unshuffled)"
    return _step("shallow", equation, found.shallow, text=text, pictures=(_maps(found.shallow, "Shallow features"),))


def _deep(found: Trace) -> Step:
    text = (
        f"{len(found.blocks)} blocks in a row; each adds to its input what its window layers and a 3×3 convolution "
        "make of it. Each map has its own scale."
    )
    pictures = tuple(_maps(block, f"After block {number}") for number, block in enumerate(found.blocks, 1))
    equation = "F_d^b = x + Conv_3×3(layers(x)),  x = F_d^b−1"
    return _step("deep", equation, found.blocks[-1], text=text, pictures=pictures)


def _merged(found: Trace) -> Step:
    text = (
        "The last block's features pass a LayerNorm and a convolution (F_d), and the shallow ones are added: the input "
        "of the sub-pixel upsampler."
    )
    pictures = (_maps(found.merged, "Sum"), _maps(found.shallow, "Shallow"), _maps(found.deep, "Deep"))
    return _step("merged", "F_d = Conv_3×3(LN(F_d^B))", found.merged, text=text, pictures=pictures)


def _mt(run: Run, found: Trace) -> Step:
    assert run.aggregator is not None
    model = zoo.find(run.aggregator, run.comparison.scale)
    notes = networks.specs()[model.header.network].deviations
    text = (
        f"The aggregator's image ({run.parameters(model.name)} without the teachers): trained in Stage 1, frozen in "
        "Stage 2, where the student learns from it."
    )
    if notes:
        text += f" Other than in the paper: {' '.join(notes)}"
    equation = "I_HR^MT = Upsample(F_s + F_d)" + (" + Σ_n w_n I_HR^n" if run.weights else "")
    picture = Picture.of(run.caption(model.name), to_uint8(found.image))
    return _step("mt", equation, found.image, text=text, pictures=(picture,), numbers=run.weights)


def loss_ka(run: Run) -> Step:
    """The loss that the aggregator is trained with (Eq. 1)."""
    title, symbol, where, equation = "Stage 1 loss", "L_KA", "Eq. 1", "L_KA = ‖I_GT − I_HR^MT‖_1"
    truth = run.comparison.hr_image
    if run.trace is None or truth is None:
        return Step("loss-ka", title, symbol, where, equation, missing=run.why_not("mt", "gt"))
    value = float(F.l1_loss(run.trace.image, to_tensor(truth)))
    picture = Picture.of("MT less ground truth", colours.signed_error_map(to_uint8(run.trace.image), truth))
    text = f"Mean absolute error of MT, of values 0 to 1: the aggregator is trained to make it small. {ERROR_COLOURS}"
    return Step("loss-ka", title, symbol, where, equation, text=text, pictures=(picture,), numbers={"L_KA": value})

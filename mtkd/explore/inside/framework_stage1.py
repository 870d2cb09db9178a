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
    """The LR image and the SR images of the teachers."""
    return [_lr(run), *_teachers(run)]


def _lr(run: Run) -> Step:
    image, scale = run.comparison.lr_image, run.comparison.scale
    origin = "The LR image as given" if run.comparison.hr_image is None else _MADE
    text = f"{origin}. Every network upscales it ×{scale}. {run.part}".strip()
    picture = Picture.of("LR", image)
    return Step("lr", "LR image", "I_LR", "Sec. 3", "", shape_text(to_tensor(image)), text, (picture,))


_MADE = "The LR image, made from the ground truth with MATLAB's bicubic kernel"


def _teachers(run: Run) -> list[Step]:
    steps = []
    for number, (name, image) in enumerate(run.teachers.items(), 1):
        text = f"Teacher {number}, trained in advance and frozen ({run.parameters(name)})."
        picture = Picture.of(run.caption(name), to_uint8(image))
        symbol = f"I_HR^{number}"
        equation = f"{symbol} = M_T^{number}(I_LR)"
        shape = shape_text(image)
        steps.append(Step(f"teacher-{number}", run.title(name), symbol, "Sec. 3", equation, shape, text, (picture,)))
    return steps


def aggregation_steps(run: Run, window: Place | None) -> list[Step]:
    """The steps from the concatenation to MT, or why they cannot be shown."""
    trace = run.trace
    if trace is None:
        return [_step(name, missing=run.why_not("mt")) for name in _BOXES]
    return [
        _concat(run, trace),
        _unshuffle(run, trace),
        _shallow(trace),
        window_step(run.comparison, trace.windows, window),
        _deep(trace),
        _merged(trace),
        _mt(run, trace),
    ]


def _step(name: str, equation: str = "", tensor: Tensor | None = None, **content: Any) -> Step:
    title, symbol, where = _BOXES[name]
    return Step(name, title, symbol, where, equation, "" if tensor is None else shape_text(tensor), **content)


def _concat(run: Run, trace: Trace) -> Step:
    images = trace.concatenated[0].view(-1, 3, *trace.concatenated.shape[2:]) + _MEAN  # (N, 3, sH, sW)
    strip = mosaic([to_uint8(image) for image in images], len(images))
    height, width = next(iter(run.teachers.values())).shape[-2:]
    text = f"The images of the {len(images)} teachers, 3 channels each, minus the mean colour of DIV2K."
    if (height, width) != trace.concatenated.shape[-2:]:
        text += f" Padded from {width} × {height} to whole windows by mirroring; the padding is cropped at the end."
    picture = Picture.of(f"Order: {', '.join(map(run.title, run.teachers))}", strip)
    equation = "(1, 3, sH, sW) × N → (1, 3N, sH, sW)"
    return _step("concat", equation, trace.concatenated, text=text, pictures=(picture,))


def _unshuffle(run: Run, trace: Trace) -> Step:
    scale = run.comparison.scale
    colour = trace.unshuffled[0, : 3 * scale**2]
    colour = colour.view(3, scale**2, *colour.shape[1:]) + _MEAN[:, None]
    phases = (luma(255 * colour)[0] / 255).unsqueeze(1).expand(-1, 3, -1, -1)  # (s*s, 3, H, W)
    sheet = mosaic([to_uint8(phase) for phase in phases], scale)
    text = (
        f"Pixel unshuffle: every channel becomes {scale}² channels of LR size, one for each position in a block of "
        f"{scale} × {scale} pixels. No value is lost, and the blocks that follow work at LR size at every scale."
    )
    picture = Picture.of(f"The {scale}² phases of {run.title(next(iter(run.teachers)))}, luma", sheet)
    equation = "(1, 3N, sH, sW) → (1, 3N s², H, W)"
    return _step("unshuffle", equation, trace.unshuffled, text=text, pictures=(picture,))


_MEAN = torch.tensor(DIV2K_MEAN).view(3, 1, 1)


def _maps(tensor: Tensor, name: str) -> Picture:
    return Picture.of(f"{name}, {tensor.shape[1]} maps", signed_mosaic(tensor[0].numpy(), 6))


def _shallow(trace: Trace) -> Step:
    text = (
        "Shallow features: one convolution over all phases of all teachers. Blue is negative, white 0, red positive; "
        f"each map has its own scale, full colour at the {PERCENTILE}th percentile of its absolute values."
    )
    equation = "F_s = Conv_3×3(unshuffled)"
    return _step("shallow", equation, trace.shallow, text=text, pictures=(_maps(trace.shallow, "Shallow features"),))


def _deep(trace: Trace) -> Step:
    text = (
        f"{len(trace.blocks)} blocks in sequence. Each adds to its input the output of its window layers and a 3×3 "
        "convolution. Each map has its own scale."
    )
    pictures = tuple(_maps(block, f"After block {number}") for number, block in enumerate(trace.blocks, 1))
    equation = "F_d^b = x + Conv_3×3(layers(x)),  x = F_d^b−1"
    return _step("deep", equation, trace.blocks[-1], text=text, pictures=pictures)


def _merged(trace: Trace) -> Step:
    text = (
        "The last block's features pass a LayerNorm and a convolution (F_d); the shallow features are added. The sum "
        "is the input of the sub-pixel upsampler."
    )
    pictures = (_maps(trace.merged, "Sum"), _maps(trace.shallow, "Shallow"), _maps(trace.deep, "Deep"))
    return _step("merged", "F_d = Conv_3×3(LN(F_d^B))", trace.merged, text=text, pictures=pictures)


def _mt(run: Run, trace: Trace) -> Step:
    assert run.aggregator is not None
    model = zoo.find(run.aggregator, run.comparison.scale)
    notes = networks.specs()[model.header.network].deviations
    text = (
        f"The SR image of the aggregator ({run.parameters(model.name)} without the teachers). It is trained in Stage 1 "
        "and frozen in Stage 2, where the student learns from it."
    )
    if notes:
        text += f" Differences from the paper: {' '.join(notes)}"
    equation = "I_HR^MT = Upsample(F_s + F_d)" + (" + Σ_n w_n I_HR^n" if run.weights else "")
    picture = Picture.of(run.caption(model.name), to_uint8(trace.image))
    return _step("mt", equation, trace.image, text=text, pictures=(picture,), numbers=run.weights)


def loss_ka(run: Run) -> Step:
    """The loss that the aggregator is trained with (Eq. 1)."""
    title, symbol, where, equation = "Stage 1 loss", "L_KA", "Eq. 1", "L_KA = ‖I_GT − I_HR^MT‖_1"
    truth = run.comparison.hr_image
    if run.trace is None or truth is None:
        return Step("loss-ka", title, symbol, where, equation, missing=run.why_not("mt", "gt"))
    value = float(F.l1_loss(run.trace.image, to_tensor(truth)))
    picture = Picture.of("MT minus ground truth", colours.signed_error_map(to_uint8(run.trace.image), truth))
    text = f"Mean absolute error of MT (values 0 to 1), which Stage 1 minimises. {ERROR_COLOURS}"
    return Step("loss-ka", title, symbol, where, equation, text=text, pictures=(picture,), numbers={"L_KA": value})

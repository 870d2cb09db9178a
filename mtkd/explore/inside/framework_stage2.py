"""Stage 2 of Fig. 1, box by box: student and losses (Sec. 3.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch.nn.functional as F
from ptwt.conv_transform_2 import wavedec2
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.explore.draw import colours
from mtkd.explore.draw.mosaics import PERCENTILE, reach
from mtkd.explore.inside.framework_run import ERROR_COLOURS, Picture, Run, Step, shape_text
from mtkd.images import to_tensor, to_uint8
from mtkd.losses import WaveletLoss
from mtkd.methods.mtkd import MTKD

_BOXES = {
    "gt": ("Ground truth", "I_GT", "Sec. 3.1.3", ""),
    "student": ("Student", "I_stu", "Sec. 3.2", "I_stu = M_S(I_LR)"),
    "loss-dis": ("Wavelet loss", "L_dis", "Eq. 3", "L_dis = 1/(3K+1) Σ_i,k ‖DWT_i,k(I_stu) − DWT_i,k(I_HR^MT)‖_1"),
    "loss-stu": ("L1 to the ground truth", "L_stu", "Eq. 2", "L_stu = ‖I_stu − I_GT‖_1"),
    "loss-total": ("Total loss", "L_total", "Eq. 4", "L_total = α L_stu + L_dis"),
}


def _box(name: str, **content: Any) -> Step:
    title, symbol, where, equation = _BOXES[name]
    return Step(name, title, symbol, where, equation, **content)


def distillation_steps(run: Run) -> list[Step]:
    """Ground truth, student and the three losses, or why they cannot be shown."""
    return [_truth(run), _student(run), *_losses(run)]


def _truth(run: Run) -> Step:
    truth = run.comparison.hr_image
    if truth is None:
        return _box("gt", missing=run.why_not("gt"))
    text = "The original high-resolution image. It enters the losses of the training; no network receives it."
    return _box("gt", shape=shape_text(to_tensor(truth)), text=text, pictures=(Picture.of("Ground truth", truth),))


def _student(run: Run) -> Step:
    if run.student is None or run.student_image is None:
        return _box("student", missing=run.why_not("student"))
    text = f"The small network that is trained in Stage 2 ({run.parameters(run.student)})."
    picture = Picture.of(run.caption(run.student), to_uint8(run.student_image))
    step = _box("student", shape=shape_text(run.student_image), text=text, pictures=(picture,))
    return replace(step, title=run.title(run.student))


def _losses(run: Run) -> list[Step]:
    """L_dis, L_stu and L_total; the numbers are those of the training method itself (:class:`MTKD`)."""
    if run.trace is None or run.student_image is None:
        why = run.why_not("mt", "student")
        return [_box(name, missing=why) for name in ("loss-dis", "loss-stu", "loss-total")]
    student, target, truth = run.student_image, run.trace.image, run.comparison.hr_image
    method = MTKD(("MT",))
    assert isinstance(method.distillation, WaveletLoss)
    distillation = method.distillation
    steps = [_loss_dis(distillation, student, target)]
    if truth is None:
        text = "Without ground truth, the term α L_stu is left out and L_dis remains."
        value = float(distillation(student, target))
        total = _box("loss-total", text=text, numbers={"L_dis": value}, total=("L_total", value))
        return [*steps, _box("loss-stu", missing=run.why_not("gt")), total]
    batch = Batch(to_tensor(run.comparison.lr_image), to_tensor(truth), {"MT": target})
    terms = {name: float(term) for name, term in method.loss(_Given(student), batch).items()}
    l1 = float(F.l1_loss(student, batch.hr_image))
    picture = Picture.of("Student minus ground truth", colours.signed_error_map(to_uint8(student), truth))
    text = f"Mean absolute error of the student (values 0 to 1), weighted with α = {method.alpha}. {ERROR_COLOURS}"
    numbers = {"L_stu": l1, "α L_stu": terms["alpha L_stu"]}
    text_total = f"The loss that Stage 2 minimises, α = {method.alpha}. Only the student receives its gradient."
    shown = {name.replace("alpha", "α"): term for name, term in terms.items()}
    return [
        *steps,
        _box("loss-stu", text=text, pictures=(picture,), numbers=numbers),
        _box("loss-total", text=text_total, numbers=shown, total=("L_total", sum(terms.values()))),
    ]


class _Given(nn.Module):
    """A network whose output is known."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, _: Tensor) -> Tensor:
        return self.image


def _loss_dis(loss: WaveletLoss, student: Tensor, target: Tensor) -> Step:
    terms = {name: float(term) for name, term in loss.bands(student, target).items()}
    low, *details = wavedec2(student - target, loss.wavelet, mode="symmetric", level=loss.levels)
    bands = [low[0], *(band[0] for level in details for band in level)]  # (3, h, w) each, in the order of the terms
    maps = [band.abs().mean(0).double().numpy() for band in bands]
    full = reach(np.concatenate([values.ravel() for values in maps]), PERCENTILE)
    pictures = tuple(
        Picture.of(f"{name}: mean |difference| {values.mean():.2g}", colours.heat_map(values / full))
        for name, values in zip(terms, maps, strict=True)
    )
    text = (
        f"Student and MT are compared in the bands of a wavelet transform ({loss.wavelet.capitalize()}, "
        f"K = {loss.levels}). All pictures share one scale, from black (0) to pale yellow ({full:.2g} or more). Each "
        f"band contributes its mean |difference|, divided by 3K + 1 = {len(maps)}."
    )
    shape = f"{len(maps)} × {shape_text(low)}"
    total = ("L_dis", float(loss(student, target)))
    return _box("loss-dis", shape=shape, text=text, pictures=pictures, numbers=terms, total=total)

"""Cross distillation (after Fang et al. 2022): the student's features through the teacher's own tail."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.methods.base import TeacherMethod
from mtkd.plugins import method


@method("crosskd", title="CrossKD, cross distillation")
class CrossKD(TeacherMethod):
    """|S - GT| + |C - GT| + |C - T|, where C is the frozen teacher's tail fed with the student's features.

    A reconstruction: the publication gives no formula to check against. The features are taken at the end of the body.
    If channel counts differ, a 1x1 convolution, trained with the student, maps them to the teacher's. The gradient
    flows through the tail, whose weights are frozen.
    """

    compares_features = True

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__(student, teacher)
        for role, network, parts in (("student", student, ["feature_channels"]),
                                     ("teacher", teacher, ["feature_channels", "tail"])):  # fmt: skip
            if missing := [part for part in parts if not hasattr(network, part)]:
                raise UserError(f"method crosskd: the {role} has no {missing[0]}; see mtkd.networks.common")
        channels, teacher_channels = int(student.feature_channels), int(teacher.feature_channels)  # type: ignore[arg-type]
        self.project: nn.Module = (
            nn.Identity() if channels == teacher_channels else nn.Conv2d(channels, teacher_channels, 1)
        )

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image, maps = network(batch.lr_image, with_features=True)
        teacher_image = self.look(batch.lr_image)
        cross_image = self.teacher.tail(self.project(maps[-1]), batch.lr_image)
        return {
            "L_gt": F.l1_loss(student_image, batch.hr_image),
            "L_cross_gt": F.l1_loss(cross_image, batch.hr_image),
            "L_cross_kd": F.l1_loss(cross_image, teacher_image),
        }

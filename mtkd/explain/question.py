"""What is asked: which inputs made the detail F in one window of a model's image (Sec. 5.3.1)?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.images import UInt8Image, to_tensor
from mtkd.infer import upscale
from mtkd.networks.aggregator import KnowledgeAggregator, with_teachers
from mtkd.zoo.checkpoints import weights_hash


@dataclass(frozen=True)
class Window:
    """A square of ``size`` pixels a side of the SR image whose corner is ``top``, ``left``."""

    top: int
    left: int
    size: int = 16

    @classmethod
    def around(cls, row: int, column: int, size: int = 16) -> Window:
        """The window whose middle is a pixel."""
        return cls(row - size // 2, column - size // 2, size)


def check_window(window: Window, height: int, width: int) -> None:
    """See that a window lies in an SR image of this size.

    Raises:
        UserError: it does not.
    """
    top, left, size = window.top, window.left, window.size
    if not (size > 0 <= min(top, left) and top + size < height and left + size < width):
        raise UserError(
            f"window of {size} x {size} at {top}, {left} leaves the SR image of {height} rows x {width} columns "
            "(one pixel is needed below and to the right of it)"
        )


class Detail(nn.Module):
    """The objective: a network whose output is F, the detail in a window of its SR image, one number an image (N,).

    F is the sum over channels and window pixels of sqrt(dx^2 + dy^2), the magnitude of the forward differences, which
    reach one pixel beyond the window. Where both differences are 0, so is the gradient.
    """

    def __init__(self, network: nn.Module, window: Window) -> None:
        super().__init__()
        self.network, self.window = network, window

    def forward(self, *images: Tensor) -> Tensor:
        """One tensor for a network with LR input; one a teacher for an aggregator.

        Raises:
            UserError: the window leaves the SR image.
        """
        return self.detail(self.part(*images))

    def part(self, *images: Tensor) -> Tensor:
        """The SR image in the window and one pixel below and to the right of it, (N, 3, size + 1, size + 1).

        Raises:
            UserError: the window leaves the SR image.
        """
        sr: Tensor = self.network(images[0] if len(images) == 1 else images)
        check_window(self.window, *sr.shape[-2:])
        top, left, size = self.window.top, self.window.left, self.window.size
        return sr[..., top : top + size + 1, left : left + size + 1]

    @staticmethod
    def detail(part: Tensor) -> Tensor:
        """F of such a part, (N,)."""
        corner = part[..., :-1, :-1]
        squared = (part[..., 1:, :-1] - corner).square() + (part[..., :-1, 1:] - corner).square()
        edge = squared > 0
        magnitude = torch.where(edge, torch.where(edge, squared, torch.ones_like(squared)).sqrt(), 0.0)
        return magnitude.flatten(1).sum(1)


@dataclass(frozen=True)
class Question:
    """What an attribution method is asked: F, the detail in one window, as a function of ``images``.

    Attributes:
        model: its name; ``weights`` is the hash of its weights.
        objective: F, ``objective(*images) -> (N,)``, differentiable.
        inputs: "LR", or an aggregator's teachers in order.
        images: one an input, (1, 3, H, W) in [0, 1], not clamped: the LR image, or the teachers' HR images.
        input_scale: pixels of an input along one side of an LR pixel: 1, or ``scale`` for teachers' images.
        target: the ground truth in the window, (3, size, size) in [0, 1], where there is one.
    """

    model: str
    scale: int
    weights: str
    window: Window
    objective: Detail
    inputs: tuple[str, ...]
    images: tuple[Tensor, ...]
    input_scale: int = 1
    target: Tensor | None = None


def ask(
    name: str,
    lr_image: UInt8Image,
    scale: int,
    window: Window,
    device: str | torch.device = "cpu",
    sources: Sequence[Path] = (),
    teacher_images: Callable[[str], Tensor] | None = None,
    hr_image: UInt8Image | None = None,
) -> Question:
    """Ask for the detail in a window of a model's image: of a network with LR input as a function of the LR image, of
    an aggregator as a function of its teachers' images.

    Args:
        lr_image: (h, w, 3) uint8.
        window: in pixels of the SR image.
        sources: folders of models, beside the bundled ones.
        teacher_images: gives a teacher's HR image by its name, (1, 3, sh, sw), where it is there already; else the
            teachers run, in tiles on a large image.
        hr_image: the ground truth, where there is one: ``scale`` times the LR image's size.

    Raises:
        UserError: unknown model or scale, or a ground truth of another size.
    """
    target = None if hr_image is None else _in_window(hr_image, lr_image, scale, window).to(device)
    network = zoo.load(name, scale, device, sources)
    weights = weights_hash(network)
    lr = to_tensor(lr_image).to(device)
    if (merged := with_teachers(network)) is None:
        return Question(name, scale, weights, window, Detail(network, window), ("LR",), (lr,), target=target)
    teachers = merged.aggregator.teachers
    if teacher_images is None:
        # A clone: what inference mode made takes no part in gradients.
        images = tuple(upscale(teacher, lr, scale).clone() for teacher in merged.teachers)
    else:
        images = tuple(teacher_images(teacher).clone() for teacher in teachers)
    # An aggregator takes a tuple, however short.
    function = merged.aggregator if len(images) > 1 else _Single(merged.aggregator)
    return Question(name, scale, weights, window, Detail(function, window), teachers, images, scale, target)


def _in_window(hr_image: UInt8Image, lr_image: UInt8Image, scale: int, window: Window) -> Tensor:
    """The ground truth in a window.

    Raises:
        UserError: it has another size than the SR image, or the window leaves it.
    """
    height, width = (side * scale for side in lr_image.shape[:2])
    if hr_image.shape[:2] != (height, width):
        raise UserError(
            f"the ground truth is {hr_image.shape[1]} x {hr_image.shape[0]}: not {scale} times the LR image of "
            f"{lr_image.shape[1]} x {lr_image.shape[0]} ({width} x {height})"
        )
    check_window(window, height, width)
    rows, columns = (slice(start, start + window.size) for start in (window.top, window.left))
    return to_tensor(np.ascontiguousarray(hr_image[rows, columns]))[0]


class _Single(nn.Module):
    """An aggregator of one teacher as a function of its image."""

    def __init__(self, aggregator: KnowledgeAggregator) -> None:
        super().__init__()
        self.aggregator = aggregator
        self.reach, self.wraps = aggregator.reach, aggregator.wraps

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.aggregator((image,))
        return result

"""What is asked: which inputs made the detail F in one window of a model's image (Sec. 5.3.1)?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.images import UInt8Image, to_tensor
from mtkd.networks.aggregator import with_teachers
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
        sr: Tensor = self.network(images[0] if len(images) == 1 else images)
        top, left, size = self.window.top, self.window.left, self.window.size
        height, width = sr.shape[-2:]
        if not (size > 0 <= min(top, left) and top + size < height and left + size < width):
            raise UserError(
                f"window of {size} x {size} at {top}, {left} leaves the SR image of {height} rows x {width} columns "
                "(one pixel is needed below and to the right of it)"
            )
        part = sr[..., top : top + size + 1, left : left + size + 1]
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
    """

    model: str
    scale: int
    weights: str
    window: Window
    objective: Detail
    inputs: tuple[str, ...]
    images: tuple[Tensor, ...]
    input_scale: int = 1


def ask(
    name: str,
    lr_image: UInt8Image,
    scale: int,
    window: Window,
    device: str | torch.device = "cpu",
    sources: Sequence[Path] = (),
) -> Question:
    """Ask for the detail in a window of a model's image: of a network with LR input as a function of the LR image, of
    an aggregator as a function of its teachers' images.

    Args:
        lr_image: (h, w, 3) uint8.
        window: in pixels of the SR image.
        sources: folders of models, beside the bundled ones.

    Raises:
        UserError: unknown model or scale.
    """
    network = zoo.load(name, scale, device, sources)
    weights = weights_hash(network)
    lr = to_tensor(lr_image).to(device)
    if (merged := with_teachers(network)) is None:
        return Question(name, scale, weights, window, Detail(network, window), ("LR",), (lr,))
    with torch.no_grad():
        images = tuple(teacher(lr) for teacher in merged.teachers)
    # An aggregator takes a tuple, however short.
    function = merged.aggregator if len(images) > 1 else _Single(merged.aggregator)
    teachers = merged.aggregator.teachers
    return Question(name, scale, weights, window, Detail(function, window), teachers, images, scale)


class _Single(nn.Module):
    """An aggregator of one teacher as a function of its image."""

    def __init__(self, aggregator: nn.Module) -> None:
        super().__init__()
        self.aggregator = aggregator

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.aggregator((image,))
        return result
